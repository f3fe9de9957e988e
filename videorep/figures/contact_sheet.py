"""A sheet of clips as one picture: each row shows frames of one, the rows many classes."""

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


def _write_sheet(out, reader, titles):
    """{number of the record: title}, a row each."""
    rows = [
        _add_title(_draw_clip(reader, number, int(reader.index[number]["frames"])), title)
        for number, title in titles.items()
    ]
    width = max(row.shape[1] for row in rows)
    sheet = np.concatenate([_pad(row, right=width - row.shape[1]) for row in rows])
    write_file(out, cv2.imencode(".png", _pad(sheet, MARGIN, MARGIN, MARGIN, MARGIN))[1])


def _draw_clip(reader, number, frames):
    """Frames at even distances, side by side."""
    tiles = [
        cv2.cvtColor(frame, cv2.COLOR_RGB2BGR) for frame in reader.clip_frames(number, spread(frames, SHEET_COLUMNS))
    ]
    width = max(1, round(TILE_HEIGHT * tiles[0].shape[1] / tiles[0].shape[0]))
    shrinks = tiles[0].shape[0] > TILE_HEIGHT
    how = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST
    return np.concatenate(
        [_pad(cv2.resize(tile, (width, TILE_HEIGHT), interpolation=how), right=2) for tile in tiles], 1
    )


def _pad(picture, top=0, bottom=0, left=0, right=0):
    return cv2.copyMakeBorder(picture, top, bottom, left, right, cv2.BORDER_CONSTANT, value=PAPER)


def _add_title(picture, title):
    picture = _pad(picture, top=TITLE_HEIGHT, bottom=MARGIN)
    text = title.encode("ascii", "replace").decode()
    cv2.putText(picture, text, (0, TITLE_HEIGHT - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.4, INK, 1, cv2.LINE_AA)
    return picture
