"""Percepts to look at: some clips over time, and where the clips lie among each other."""

import math

import matplotlib
import numpy as np

from videorep.data.sampling import spread
from videorep.figures.canvas import COLOURS, FAINT, LOOK, new_chart, write_figure

COLUMNS = 2
WIDTH, ARRAY_HEIGHT, MAP_HEIGHT = 1100, 150, 560
MARKERS = "os^DvPX"
MOST_NAMES, NAMES_PER_ROW = 28, 7  # classes that a legend can hold
LEGEND_WIDTH, MARKER_WIDTH, LETTER_WIDTH = 1000, 45, 7  # pixels
MOST_FEATURES = 100  # drawn of an array, a pixel row each
DEVIATIONS = 2.0  # standard deviations that are drawn in the strongest colour
PRECISION = np.finfo(np.float32).eps  # of percepts


def draw_percepts(path, arrays, means, labels, names):
    """Draws (T, D) arrays as pictures, time to the right, and below them every clip's mean as a point.

    A picture shows each feature standardised over its clip: otherwise the few that are always large would hide what
    changes. The points are the clips' first two principal components: clips that the convnet sees alike lie together.

    Args:
        arrays, means, labels, names: As `videorep.figures.samples.sample_percepts` gives them.
    """
    rows = math.ceil(len(arrays) / COLUMNS)
    heights = [ARRAY_HEIGHT] * rows + [MAP_HEIGHT]
    figure, axes = new_chart(WIDTH, sum(heights), rows + 1, COLUMNS, height_ratios=heights)
    grid = axes[0][0].get_gridspec()
    for axis in axes[:rows].flat[len(arrays) :]:
        axis.remove()
    with matplotlib.rc_context(LOOK):
        shown = list(axes.flat[: len(arrays)])
        images = [_draw_array(axis, *each) for axis, each in zip(shown, arrays.items(), strict=True)]
        bar = figure.colorbar(images[0], ax=shown, pad=0.01, aspect=12 * rows, ticks=range(-2, 3), extend="both")
        bar.set_label("each feature less its mean\nin standard deviations", fontsize=7)
        bar.ax.tick_params(labelsize=7)
        for axis in axes[rows]:
            axis.remove()
        _draw_map(figure.add_subplot(grid[rows, :]), means, labels, names)
    write_figure(figure, path)


def principal_components(points, count=2):
    """Coordinates (N, count) along the directions in which points (N, D) vary most, and their shares of the variance.

    Components that the points do not have, up to the rounding of their float32, are 0.
    """
    centred = np.asarray(points, np.float64) - np.mean(points, axis=0, dtype=np.float64)
    left, lengths, _ = np.linalg.svd(centred, full_matrices=False)
    scores, shares = np.zeros((len(centred), count)), np.zeros(count)
    kept = min(count, np.count_nonzero(lengths > PRECISION * np.linalg.norm(points)))
    scores[:, :kept] = left[:, :kept] * lengths[:kept]
    shares[:kept] = np.square(lengths[:kept]) / max(np.square(lengths).sum(), np.finfo(float).tiny)
    return scores, shares


def standardise_features(array):
    """Every feature of an array (T, D) less its mean over T, in standard deviations; 0 where it does not change."""
    deviation = array - array.mean(axis=0, dtype=np.float64)
    spread = deviation.std(axis=0)
    changes = spread > PRECISION * np.abs(array).max(axis=0)
    return np.divide(deviation, spread, out=np.zeros_like(deviation), where=changes)


def _draw_array(axis, title, array):
    features = array.shape[1]
    drawn = spread(features, MOST_FEATURES)
    values = standardise_features(array[:, drawn])
    image = axis.imshow(values.T, aspect="auto", cmap="RdBu_r", vmin=-DEVIATIONS, vmax=DEVIATIONS)
    axis.set_title(title, fontsize=8, loc="left")
    axis.set_ylabel(f"{len(drawn):,} of {features:,} features" if len(drawn) < features else "feature", fontsize=7)
    axis.set_xlabel("frame", fontsize=8)
    axis.set_yticks([])
    axis.tick_params(labelsize=7)
    axis.grid(False)
    return image


def _draw_map(axis, means, labels, names):
    scores, shares = principal_components(means)
    for label in np.unique(labels):
        colour = COLOURS[label % len(COLOURS)] if label >= 0 else FAINT
        marker = MARKERS[label // len(COLOURS) % len(MARKERS)] if label >= 0 else "."
        name = names[label] if label >= 0 else "no label"
        axis.scatter(*scores[labels == label].T, s=28, c=colour, marker=marker, label=name, linewidths=0)
    axis.set_title(f"means of {len(means):,} clips", loc="left")
    axis.set_xlabel(f"first principal component ({shares[0]:.0%} of the variance)")
    axis.set_ylabel(f"second ({shares[1]:.0%})")
    if 1 < len(np.unique(labels)) <= MOST_NAMES:
        longest = max(len(names[label]) for label in np.unique(labels) if label >= 0)
        columns = max(1, min(NAMES_PER_ROW, int(LEGEND_WIDTH // (MARKER_WIDTH + LETTER_WIDTH * longest))))
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=columns, fontsize=8)
