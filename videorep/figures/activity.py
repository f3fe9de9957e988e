"""What units do while a sequence runs: one line per unit, time from left to right."""

import numpy as np

from videorep.config import require
from videorep.data.sampling import spread
from videorep.figures.canvas import FUTURE_COLOUR, INK, new_chart, write_figure

PANEL_WIDTH, PANEL_HEIGHT = 460, 380
TITLE_PAD = 20  # points: the word "future" has a line of its own between title and map


def draw_activity(path, activities, input_frames=None, count=200):
    """Draws activities over time as a map per group: dark where a gate is closed, red and blue where values have signs.

    Args:
        activities: {title: (T, units)} of one sequence: gates in [0, 1], or values around 0.
        input_frames: Steps after which the future begins; a line marks it. None: no line.
        count: Units to show, evenly spaced, at most.
    Raises:
        ConfigError: the arrays are empty or differ in their steps.
    Source: Srivastava et al. 2015, section 3.2 and figure 7.
    """
    arrays = {title: np.asarray(array, np.float64) for title, array in activities.items()}
    shapes = [array.shape for array in arrays.values()]
    fits = shapes and all(len(shape) == 2 and min(shape) > 0 and shape[0] == shapes[0][0] for shape in shapes)
    require(fits, "activities", "(T, units) arrays with the same T", shapes)
    columns = min(len(arrays), 2)
    rows = -(-len(arrays) // columns)
    chart, axes = new_chart(columns * PANEL_WIDTH, rows * PANEL_HEIGHT, rows, columns)
    for axis in axes.flat[len(arrays) :]:
        axis.set_axis_off()
    for axis, (title, array) in zip(axes.flat, arrays.items(), strict=False):
        _draw_map(chart, axis, title, array, count)
        if input_frames is not None:
            axis.axvline(input_frames + 0.5, color=FUTURE_COLOUR, linewidth=2)
            axis.text(input_frames + 0.5, 1.01, " future", color=FUTURE_COLOUR, transform=axis.get_xaxis_transform())
    write_figure(chart, path)


def _draw_map(chart, axis, title, array, count):
    steps, units = array.shape
    shown = spread(units, count)
    signed = array.min() < 0
    limit = np.abs(array).max() or 1.0
    scale = (
        {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
        if signed
        else {"cmap": "gray", "vmin": 0, "vmax": max(1.0, limit)}
    )
    image = axis.imshow(
        array[:, shown].T, aspect="auto", interpolation="nearest", extent=(0.5, steps + 0.5, len(shown), 0), **scale
    )
    chart.colorbar(image, ax=axis, pad=0.02, fraction=0.05).outline.set_visible(False)
    axis.grid(False)
    axis.set_title(title, loc="left", fontweight="bold", color=INK, pad=TITLE_PAD)
    axis.set_xlabel("time step")
    axis.set_ylabel(f"{len(shown)} of {units:,} units" if len(shown) < units else f"{units:,} units")
    axis.set_yticks([])
