"""What units look for: their weights to and from the pixels, as pictures."""

import math

import numpy as np

from videorep.config import require
from videorep.figures.canvas import Sheet, write_figure
from videorep.figures.pictures import enlarge_to, require_pictures

GATES = ("input gate", "forget gate", "cell input", "output gate")  # in the order of the kernels' columns
SIDE, GAP, GROUP_GAP, MARGIN, TITLE_HEIGHT = 64, 2, 20, 12, 26


def split_gates(kernel):
    """{gate: (D, units)} of an LSTM's input kernel (D, 4 * units)."""
    return dict(zip(GATES, np.split(np.asarray(kernel), 4, axis=1), strict=True))


def input_features(model):
    """{gate: (D, units)} of the first layer of a pretrained model, to be ranked together."""
    return split_gates(model.encoder[0].cell.kernel)


def output_features(model):
    """{branch: (D, units)}, from which each decoder's frames are read."""
    return {branch: np.asarray(decoder.output_kernel).T for branch, decoder in model.decoders.items()}


def draw_features(path, groups, frame_shape, count=36, together=False):
    """Draws weights as pictures, in a square per group: grey is 0, white positive, black negative.

    Every picture is scaled by its own largest weight. The units shown, `count` at most, are those whose weights have
    the largest norms, the largest first.

    Args:
        groups: {title: (D, N) weights}, one column per unit; see `input_features`, `output_features`.
        frame_shape: (H, W, C), C 1 or 3.
        together: Whether the groups are of the same N units, such as their gates, and the norm is that over all groups:
            each then has the same units at the same places. Otherwise each has its own.
    Raises:
        ConfigError: the weights are not those of pictures.
    Source: Srivastava et al. 2015, section 3.2, figures 9 and 10.
    """
    require(len(groups) > 0 and count > 0, "units to draw", "at least 1", 0)
    groups = {title: np.asarray(weights, np.float64) for title, weights in groups.items()}
    sizes = [weights.shape[1] for weights in groups.values()]
    require(not together or len(set(sizes)) == 1, "groups to rank together", "of the same units", sizes)
    strengths = {title: np.square(weights).sum(axis=0) for title, weights in groups.items()}
    squares = {}
    for title, weights in groups.items():
        require_pictures(len(weights), frame_shape)
        strength = sum(strengths.values()) if together else strengths[title]
        strongest = np.argsort(-strength, kind="stable")[:count]
        squares[title] = _square(to_grey(weights[:, strongest].T, frame_shape))
    height = max(len(square) for square in squares.values())
    columns = min(len(squares), 2)
    rows = math.ceil(len(squares) / columns)
    width = max(square.shape[1] for square in squares.values())
    sheet = Sheet(
        2 * MARGIN + columns * width + (columns - 1) * GROUP_GAP,
        MARGIN + rows * (TITLE_HEIGHT + height) + (rows - 1) * GROUP_GAP // 2,
    )
    for number, (title, square) in enumerate(squares.items()):
        row, column = divmod(number, columns)
        left = MARGIN + column * (width + GROUP_GAP)
        top = row * (TITLE_HEIGHT + height + GROUP_GAP // 2) + TITLE_HEIGHT
        sheet.write(title, left + square.shape[1] / 2, top - TITLE_HEIGHT / 2, fontsize=10, fontweight="bold")
        sheet.paste(square, left, top)
    write_figure(sheet.figure(), path)


def to_grey(weights, frame_shape):
    """Weights (N, D) as (N, H, W, 3) uint8: 128 for 0, each picture scaled by its largest weight."""
    largest = np.maximum(np.abs(weights).max(axis=1, keepdims=True), 1e-12)
    pixels = np.round(128 + 127 * weights / largest).astype(np.uint8).reshape(-1, *frame_shape)
    return np.broadcast_to(pixels, (*pixels.shape[:-1], 3))


def _square(pictures):
    """Pictures side by side in a square, white between them."""
    pictures = enlarge_to(pictures, SIDE)
    height, width = pictures.shape[1:3]
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    square = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, np.uint8)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        top, left = row * (height + GAP), column * (width + GAP)
        square[top : top + height, left : left + width] = picture
    return square
