"""How the error of predicted frames grows with their distance from the last frame that was seen."""

import textwrap

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from videorep.config import require
from videorep.figures.canvas import COLOURS, FAINT, new_chart, write_figure

WIDTH, HEIGHT = 640, 400
MOST_DOTS = 30
LABEL_WIDTH = 34  # letters
MOST_WITHIN = 4  # lines whose names find room between them
LOGARITHMIC_FROM = 5  # largest over smallest figure: a trivial predictor must not press the others together


def draw_horizon(path, curves, unit, trained_frames=None, standard_errors=None):
    """Draws one line per predictor: the error of each future frame, in a band of its standard error.

    Args:
        curves: {predictor: (F,) figures}, such as one metric of `evaluate_future_prediction`'s "future_by_frame".
        unit: What the figures are, such as "cross_entropy_per_frame".
        trained_frames: Frames that the model was trained to predict; a line marks where they end. None: no line.
        standard_errors: Like `curves`, those that are known; a None among them has no band.
    Raises:
        ConfigError: there is nothing to draw.
    """
    frames = max((len(curve) for curve in curves.values()), default=0)
    require(frames > 0, "curves", "at least one figure of one predictor", "none")
    chart, [[axis]] = new_chart(WIDTH, HEIGHT)
    for number, (name, curve) in enumerate(curves.items()):
        steps = np.arange(1, len(curve) + 1)
        style = {"color": COLOURS[number % len(COLOURS)], "marker": "o" if frames <= MOST_DOTS else "", "markersize": 4}
        axis.plot(steps, curve, label=name, linewidth=1.8, **style)
        if name in (standard_errors or {}):
            error = np.array(standard_errors[name], np.float64)
            axis.fill_between(steps, curve - error, curve + error, color=style["color"], alpha=0.25, linewidth=0)
    if trained_frames is not None and trained_frames < frames:
        axis.axvline(trained_frames + 0.5, color=FAINT, linestyle="--", linewidth=1.2)
        axis.text(trained_frames + 0.5, 1.01, " beyond training", transform=axis.get_xaxis_transform())
    axis.xaxis.set_major_locator(MaxNLocator(steps=(1, 2, 5, 10), integer=True))
    _scale(axis, np.concatenate([np.asarray(curve, np.float64) for curve in curves.values()]))
    axis.set_xlabel("future frame")
    axis.set_ylabel(textwrap.fill(unit.replace("_", " "), LABEL_WIDTH))
    if len(curves) > MOST_WITHIN:
        chart.legend(loc="outside lower center", ncols=3, fontsize="small")
    else:
        axis.legend(loc="best", frameon=False)
    write_figure(chart, path)


def _scale(axis, figures):
    """A logarithmic axis for figures of very different sizes, else one that begins at 0."""
    if figures.min() > 0 and figures.max() > LOGARITHMIC_FROM * figures.min():
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    else:
        axis.set_ylim(bottom=min(0.0, figures.min()))
