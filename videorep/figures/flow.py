"""Optical flow to look at: frames, and below each what moves in it, in the colours of a wheel."""

import cv2
import numpy as np

from videorep.data.percepts.flow import colour_flow
from videorep.figures.canvas import Sheet, write_figure

TILE_HEIGHT, WHEEL = 120, 90
GAP, MARGIN, TITLE_HEIGHT = 3, 14, 24
LONGEST = 99  # percentile of the displacements that gets the full colour


def draw_flow(path, clips):
    """Draws clips as pairs of rows, frames and flow, with the wheel that tells direction and length.

    Args:
        clips: {title: (frames, fields)}, as `videorep.figures.samples.sample_flow` gives them.
    """
    lengths = [np.linalg.norm(field, axis=-1).ravel() for _, fields in clips.values() for field in fields]
    full = max(float(np.percentile(np.concatenate(lengths), LONGEST)), 0.1)
    rows = {
        title: [_join(frames), _join([colour_flow(field, full) for field in fields])]
        for title, (frames, fields) in clips.items()
    }
    clip_height = TITLE_HEIGHT + 2 * TILE_HEIGHT + GAP
    head = WHEEL + 2 * MARGIN
    width = max(pair[0].shape[1] for pair in rows.values()) + 2 * MARGIN
    sheet = Sheet(width, head + len(rows) * (clip_height + MARGIN))
    sheet.paste(draw_wheel(WHEEL), MARGIN, MARGIN)
    legend = f"colour: where to; full colour: {full:.1f} pixels per frame or more; white: no motion"
    sheet.write(legend, 2 * MARGIN + WHEEL, head / 2, horizontalalignment="left", fontsize=9)
    for number, (title, pair) in enumerate(rows.items()):
        top = head + number * (clip_height + MARGIN)
        sheet.write(title, MARGIN, top + TITLE_HEIGHT / 2, horizontalalignment="left", fontsize=9)
        for row, picture in enumerate(pair):
            sheet.paste(picture, MARGIN, top + TITLE_HEIGHT + row * (TILE_HEIGHT + GAP))
    write_figure(sheet.figure(), path)


def draw_wheel(side):
    """The colour of every displacement up to the full length: (side, side, 3) uint8, white outside the circle."""
    across, down = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    wheel = colour_flow(np.stack([across, down], axis=-1), 1.0)
    wheel[across**2 + down**2 > 1] = 255
    return wheel


def _join(pictures):
    """Pictures side by side, all of the tiles' height."""
    height, width = pictures[0].shape[:2]
    size = (max(1, round(TILE_HEIGHT * width / height)), TILE_HEIGHT)
    gap = np.full((TILE_HEIGHT, GAP, 3), 255, np.uint8)
    tiles = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in pictures]
    return np.concatenate([part for tile in tiles for part in (tile, gap)][:-1], axis=1)
