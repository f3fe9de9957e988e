"""Training curves: what metrics.jsonl says, over sequences and over wall time."""

import itertools

import numpy as np
from matplotlib.ticker import MaxNLocator

from videorep.config import require
from videorep.figures.canvas import COLOURS, new_chart, write_figure

VALIDATION = "validation_"
NOT_FIGURES = ("step", "sequences", "seconds", "learning_rate", "loss")
PANEL_WIDTH, PANEL_HEIGHT = 480, 300
SETTLED = 0.05  # share of the reports at the start that may rise above the picture


def draw_curves(path, histories):
    """Draws every figure of one or several runs twice, over sequences and over wall time, on one vertical scale.

    Training is a thin line, validation a thick one with dots. The first reports may lie above the picture: an untrained
    model's loss would hide all that follows. Reports without sequences or seconds have no place in it.

    Args:
        histories: {name of the run: its metrics as `Run.metrics()` gives them}.
    Raises:
        ConfigError: there is nothing to draw.
    """
    histories = {
        run: [line for line in lines if {"sequences", "seconds"} <= line.keys()] for run, lines in histories.items()
    }
    figures = list_figures(histories)
    require(len(figures) > 0, "metrics", "at least one report of a run", "none", "train further")
    chart, axes = new_chart(2 * PANEL_WIDTH, len(figures) * PANEL_HEIGHT, len(figures), 2, sharex="col", sharey="row")
    chart.get_layout_engine().set(w_pad=0.12)  # the last number of one axis and the first of the other keep apart
    seconds, unit = _time_unit(histories)
    for (left, right), name in zip(axes, figures, strict=True):
        for colour, (run, lines) in zip(itertools.cycle(COLOURS), histories.items(), strict=False):
            _draw_lines((left, right), lines, name, seconds, colour, run if len(histories) > 1 else "")
        left.set_ylabel(name.replace("_per_", "\nper_").replace("_", " "))  # in one line longer than a panel is high
        left.set_ylim(*_limits(histories, name))
        left.margins(x=0.01)
    if len(histories) > 1 or _has_validation(histories):
        # above all axes: it would hide curves, of several runs more than half of them
        chart.legend(*axes[0][1].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    axes[-1][0].set_xlabel("sequences")
    axes[-1][1].set_xlabel(f"wall time ({unit})")
    for axis in axes[-1]:
        axis.set_xlim(left=0)
    axes[-1][0].xaxis.set_major_locator(MaxNLocator(5))  # room for numbers in the millions
    axes[-1][0].xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    write_figure(chart, path)


def list_figures(histories):
    """Names of the figures that the histories hold, without the prefix of validation, in order of appearance."""
    names = [key.removeprefix(VALIDATION) for lines in histories.values() for line in lines for key in line]
    names = list(dict.fromkeys(name for name in names if name not in NOT_FIGURES))
    return names or (["loss"] if any("loss" in line for lines in histories.values() for line in lines) else [])


def _draw_lines(axes, lines, name, seconds, colour, run):
    for key, style, word in (
        (name, {"linewidth": 1.0, "alpha": 0.75}, "training"),
        (VALIDATION + name, {"linewidth": 2.0, "marker": "o", "markersize": 4}, "validation"),
    ):
        points = np.array([(line["sequences"], line["seconds"], line[key]) for line in lines if key in line])
        if len(points):
            label = ", ".join(filter(None, [run, word]))
            style = {"marker": "o", "markersize": 4} | style if len(points) == 1 else style  # no line goes through it
            axes[0].plot(points[:, 0], points[:, 2], color=colour, label=label, **style)
            axes[1].plot(points[:, 1] / seconds, points[:, 2], color=colour, label=label, **style)


def _limits(histories, name):
    """From the lowest to the highest value once training has settled, with some room."""
    values = []
    for lines in histories.values():
        for key in (name, VALIDATION + name):
            series = [line[key] for line in lines if key in line]
            skip = min(int(np.ceil(SETTLED * len(series))), len(series) - 1) if len(series) > 2 else 0
            values += series[skip:]
    room = 0.05 * (max(values) - min(values)) or 0.1 * abs(max(values)) or 1.0
    return min(values) - room, max(values) + room


def _time_unit(histories):
    longest = max(line["seconds"] for lines in histories.values() for line in lines)
    if longest < 120:
        return 1, "seconds"
    return (60, "minutes") if longest < 7200 else (3600, "hours")


def _has_validation(histories):
    return any(key.startswith(VALIDATION) for lines in histories.values() for line in lines for key in line)
