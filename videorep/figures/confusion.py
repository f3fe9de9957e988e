"""Which classes are taken for which."""

import numpy as np

from videorep.figures.canvas import new_chart, write_figure

CELL, MARGIN = 34, 170


def draw_confusion(path, counts, classes):
    """Draws a confusion matrix (K, K), each row in per cent: rows are the videos' classes, columns the answers."""
    counts = np.asarray(counts, float)
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1e-9)
    side = MARGIN + CELL * len(classes)
    chart, [[axis]] = new_chart(side, side)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    axis.grid(False)
    places = np.arange(len(classes))
    axis.set_xticks(places, classes, rotation=90)
    axis.set_yticks(places, classes)
    axis.set_xlabel("answered")
    axis.set_ylabel("is")
    for row, column in zip(*np.nonzero(np.round(shares)), strict=True):
        share = shares[row, column]
        axis.text(
            column, row, f"{share:.0f}", ha="center", va="center", color="white" if share > 50 else "black", size=8
        )
    write_figure(chart, path)
