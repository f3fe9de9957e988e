"""Sheets of frames as one picture: clips, each a row, the rows many classes; or videos, a frame of each."""

import cv2
import numpy as np

from videorep.data.choices import spread
from videorep.data.shards.guards import require_files
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.record_reader import RecordReader
from videorep.figures.files import write_file
from videorep.figures.samples import choose_records, describe_record

SHEET_ROWS = 8
SHEET_COLUMNS = 8
TILE_COLUMNS, TILE_SIZE = 4, (180, 240)  # height and width
TILE_HEIGHT = 96
MARGIN = 6
TITLE_HEIGHT = 18
INK, PAPER = (40, 40, 40), (255, 255, 255)


def write_contact_sheet(path, out, split=None):
    """Draws some clips of a split as a PNG: each row shows frames of one at even distances, the rows many classes.

    Args:
        path: Folder of clip shards.
        out: The PNG's path.
        split: Name of the split; the first one where None.
    Raises:
        ShardError: see `read_shards`.
        OutputError: `out` cannot be written.
    """
    dataset = load_dataset(path)
    split = next(iter(dataset.splits)) if split is None else split
    require_files(dataset, split)
    reader = RecordReader(dataset, split)
    chosen = choose_records(reader.index["label"], SHEET_ROWS)
    _write_sheet(out, reader, {number: describe_record(dataset, reader.index[number]) for number in chosen})


def draw_clips(path, out, titles, split="test"):
    """Draws certain clips of a split, as `write_contact_sheet` does.

    Args:
        path, out: As there.
        titles: {path of the video: title}, in order; videos that are not there are left out.
        split: Name of the split.
    Returns:
        How many were drawn; of none there is no picture.
    """
    dataset = load_dataset(path)
    require_files(dataset, split)
    reader = RecordReader(dataset, split)
    paths = [dataset.sources[number]["path"] for number in reader.index["source"]]
    rows = {paths.index(video): title for video, title in titles.items() if video in paths}
    if rows:
        _write_sheet(out, reader, rows)
    return len(rows)


def write_tiles(out, tiles):
    """Draws pictures below their titles as a PNG, `TILE_COLUMNS` in a row.

    Args:
        out: The PNG's path.
        tiles: [(lines of the title, (H, W, 3) uint8 BGR), ...].
    Raises:
        OutputError: `out` cannot be written.
    """
    drawn = [_draw_tile(*tile) for tile in tiles]
    starts = range(0, len(drawn), TILE_COLUMNS)
    _write_rows(out, [np.concatenate(drawn[first : first + TILE_COLUMNS], 1) for first in starts])


def _draw_tile(lines, picture):
    """A picture below its title; what of a line is wider than the tile is not seen."""
    picture = _scale(picture, TILE_SIZE[0])
    picture = _pad(picture, right=max(0, TILE_SIZE[1] - picture.shape[1]) + MARGIN)
    for line in reversed(lines):
        picture = _add_title(picture, line)
    return picture


def _write_sheet(out, reader, titles):
    """{number of the record: title}, a row each."""
    rows = [
        _add_title(_draw_clip(reader, number, int(reader.index[number]["frames"])), title)
        for number, title in titles.items()
    ]
    _write_rows(out, rows)


def _write_rows(out, rows):
    width = max(row.shape[1] for row in rows)
    sheet = np.concatenate([_pad(row, right=width - row.shape[1]) for row in rows])
    write_file(out, cv2.imencode(".png", _pad(sheet, MARGIN, MARGIN, MARGIN, MARGIN))[1])


def _draw_clip(reader, number, frames):
    """Frames at even distances, side by side."""
    tiles = [
        cv2.cvtColor(frame, cv2.COLOR_RGB2BGR) for frame in reader.clip_frames(number, spread(frames, SHEET_COLUMNS))
    ]
    return np.concatenate([_pad(_scale(tile, TILE_HEIGHT), right=2) for tile in tiles], 1)


def _scale(picture, height):
    """A picture of another height."""
    size = max(1, round(height * picture.shape[1] / picture.shape[0])), height
    how = cv2.INTER_AREA if picture.shape[0] > height else cv2.INTER_NEAREST
    return cv2.resize(picture, size, interpolation=how)


def _pad(picture, top=0, bottom=0, left=0, right=0):
    return cv2.copyMakeBorder(picture, top, bottom, left, right, cv2.BORDER_CONSTANT, value=PAPER)


def _add_title(picture, title):
    picture = _pad(picture, top=TITLE_HEIGHT, bottom=MARGIN)
    text = title.encode("ascii", "replace").decode()
    cv2.putText(picture, text, (0, TITLE_HEIGHT - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.4, INK, 1, cv2.LINE_AA)
    return picture
