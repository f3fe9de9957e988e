"""Sheets of frames as one picture: clips, each a row, the rows many classes; or videos, a frame of each."""

import cv2
import numpy as np

from videorep.data.sampling import spread
from videorep.figures.canvas import Sheet, write_figure
from videorep.figures.samples import choose_records, describe_record, open_records

CLIPS, CLIP_FRAMES, CLIP_HEIGHT = 8, 8, 96
TILE_COLUMNS, TILE_HEIGHT, TILE_WIDTH, TILE_LETTERS = 4, 180, 240, 40
MARGIN, TITLE_HEIGHT = 6, 18


def write_contact_sheet(path, out, split=None):
    """Draws clips of a split, the first one where None, as a PNG: rows of frames at even distances, of many classes.

    Raises:
        ShardError: see `read_shards`.
        OutputError: `out` cannot be written.
    """
    dataset, reader = open_records(path, split)
    chosen = choose_records(reader.index["label"], CLIPS)
    _draw_clips(out, reader, {number: describe_record(dataset, reader.index[number]) for number in chosen})


def draw_clips(path, out, titles, split="test"):
    """Draws the videos {path: title} that are in a split of clip shards, in order, as `write_contact_sheet` does.

    Returns:
        How many were drawn; of none there is no picture.
    """
    dataset, reader = open_records(path, split)
    paths = [dataset.sources[number]["path"] for number in reader.index["source"]]
    rows = {paths.index(video): title for video, title in titles.items() if video in paths}
    if rows:
        _draw_clips(out, reader, rows)
    return len(rows)


def write_tiles(out, tiles):
    """Draws [(lines of a title, (H, W, 3) uint8 RGB), ...] as a PNG, `TILE_COLUMNS` in a row; long lines are cut.

    Raises:
        OutputError: `out` cannot be written.
    """
    tiles = [([line[:TILE_LETTERS] for line in lines], picture) for lines, picture in tiles]
    rows = [tiles[first : first + TILE_COLUMNS] for first in range(0, len(tiles), TILE_COLUMNS)]
    _draw_rows(out, rows, TILE_HEIGHT, TILE_WIDTH)


def _draw_clips(out, reader, titles):
    """Draws frames of clips at even distances: {number of the record: title}, a row each."""
    rows = []
    for number, title in titles.items():
        frames = reader.clip_frames(number, spread(int(reader.index[number]["frames"]), CLIP_FRAMES))
        rows.append([([] if place else [title], frame) for place, frame in enumerate(frames)])
    _draw_rows(out, rows, CLIP_HEIGHT)


def _draw_rows(out, rows, height, width=0):
    """Draws rows of (lines of a title, picture), the pictures scaled to a height, each in at least a width."""
    rows = [[(lines, _scale(picture, height)) for lines, picture in row] for row in rows]
    steps = [[max(width, picture.shape[1]) + MARGIN for _, picture in row] for row in rows]
    head = TITLE_HEIGHT * len(rows[0][0][0])
    sheet = Sheet(MARGIN + max(map(sum, steps)), MARGIN + len(rows) * (head + height + MARGIN))
    for number, row in enumerate(rows):
        top = MARGIN + number * (head + height + MARGIN)
        lefts = MARGIN + np.cumsum([0, *steps[number][:-1]])
        for (lines, picture), left in zip(row, lefts, strict=True):
            sheet.paste(picture, left, top + head)
            for place, line in enumerate(lines):
                text, middle = line.encode("ascii", "replace").decode(), top + (place + 0.5) * TITLE_HEIGHT
                sheet.write(text, left, middle, horizontalalignment="left")
    write_figure(sheet.figure(), out)


def _scale(picture, height):
    size = max(1, round(height * picture.shape[1] / picture.shape[0])), height
    how = cv2.INTER_AREA if picture.shape[0] > height else cv2.INTER_NEAREST
    return cv2.resize(picture, size, interpolation=how)
