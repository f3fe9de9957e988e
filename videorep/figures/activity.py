"""What units do while a sequence runs: one line per unit, time from left to right."""

import numpy as np

from videorep.config import require
from videorep.data.sampling import make_generator
from videorep.figures.canvas import FUTURE_COLOUR, INK, new_chart, write_figure

PANEL_WIDTH, PANEL_HEIGHT = 460, 300
EXTREME = 0.05  # of values with signs, so many are cut off: some units' cell states grow far beyond those of the others
TITLE_PAD = 20  # points: the word "future" has a line of its own between title and map


def draw_activity(path, activities, input_frames=None, count=200, seed=0):
    """Draws quantities of units over time: a row of maps per quantity, a column per title.

    Gates are dark where they are closed; red and blue where values have signs. A row has one scale, which the largest
    twentieth of the values with signs exceeds.

    Args:
        activities: {title: {quantity: (T, units)}} of one sequence, all of one shape: gates in [0, 1], or values
            around 0; see `videorep.evaluation.record_activity`.
        input_frames: Steps after which the future begins; a line marks it. None: no line.
        count: Units to show, at most, drawn at random, the same in all maps.
        seed: Decides which.
    Raises:
        ConfigError: the arrays are empty or differ in shape, or the titles in their quantities.
    Source: Srivastava et al. 2015, section 3.2 and figure 7.
    """
    kinds = {tuple(arrays) for arrays in activities.values()}
    shapes = [np.shape(array) for arrays in activities.values() for array in arrays.values()]
    fits = len(kinds) == 1 and len(set(shapes)) == 1 and len(shapes[0]) == 2 and min(shapes[0]) > 0
    require(fits, "activities", "the same quantities under each title, all (T, units)", shapes)
    [quantities], (steps, units) = kinds, shapes[0]
    shown = np.sort(make_generator(seed).choice(units, min(count, units), replace=False))
    rows, columns = len(quantities), len(activities)
    chart, axes = new_chart(columns * PANEL_WIDTH, rows * PANEL_HEIGHT, rows, columns)
    for row, quantity in zip(axes, quantities, strict=True):
        maps = {title: np.asarray(arrays[quantity], np.float64)[:, shown].T for title, arrays in activities.items()}
        scale = _scale(np.stack(list(maps.values())))
        for axis, (title, values) in zip(row, maps.items(), strict=True):
            image = axis.imshow(
                values, aspect="auto", interpolation="nearest", extent=(0.5, steps + 0.5, len(shown), 0), **scale
            )
            axis.grid(False)
            axis.set_title(f"{quantity}, {title}", loc="left", fontweight="bold", color=INK, pad=TITLE_PAD)
            axis.set_yticks([])
            if input_frames is not None:
                axis.axvline(input_frames + 0.5, color=FUTURE_COLOUR, linewidth=2)
                words = {"color": FUTURE_COLOUR, "transform": axis.get_xaxis_transform()}
                axis.text(input_frames + 0.5, 1.01, " future", **words)
        beyond = "both" if scale["vmin"] else "neither"
        chart.colorbar(image, ax=list(row), pad=0.02, fraction=0.05, extend=beyond).outline.set_visible(False)
        row[0].set_ylabel(f"{len(shown)} of {units:,} units" if len(shown) < units else f"{units:,} units")
    for axis in axes[-1]:
        axis.set_xlabel("time step")
    write_figure(chart, path)


def _scale(maps):
    """Grey from 0 to 1 at least, or, of values with signs, blue to red around 0."""
    if maps.min() >= 0:
        return {"cmap": "gray", "vmin": 0, "vmax": max(1.0, maps.max())}
    limit = np.quantile(np.abs(maps), 1 - EXTREME) or np.abs(maps).max()
    return {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
