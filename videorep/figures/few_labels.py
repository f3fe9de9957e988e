"""Accuracy over the number of labelled videos per class: what pretraining is worth when labels are few."""

import math

import numpy as np
from matplotlib.ticker import FixedLocator, NullLocator

from videorep.config import require
from videorep.figures.canvas import COLOURS, FAINT, new_chart, write_figure

WIDTH, HEIGHT = 640, 440
WITHIN, LEGEND_ROW = 4, 24  # lines that are named within the axis; others below it, in rows of so many pixels
MARKERS = "osD^vPX"  # as many as colours; who comes after has another line, and hollow markers
LINES = ("-", "--", ":", "-.")
LEAST_GAP = 0.07  # share of the axis between two of its numbers
ALONE = 1.5  # how far the axis reaches to both sides of a single count, times


def draw_few_label_curve(path, results, largest_class=None):
    """Draws one line per way of starting: the mean over repeats, error bars of one standard deviation of the repeats.

    Args:
        results: {name of the line: {videos per class: [accuracy of each repeat, 0 to 1]}}.
        largest_class: Accuracy of always answering the largest class, 0 to 1, drawn as a dashed line; None: no line.
    Raises:
        ConfigError: there is nothing to draw, or an accuracy lies outside [0, 1].
    Source: Srivastava et al. 2015, figure 12.
    """
    accuracies = [value for line in results.values() for repeats in line.values() for value in repeats]
    require(len(accuracies) > 0, "results", "at least one accuracy", "none")
    require(
        min(accuracies) >= 0 and max(accuracies) <= 1, "accuracies", "in [0, 1]", (min(accuracies), max(accuracies))
    )
    below = math.ceil(len(results) / 2) if len(results) > WITHIN else 0
    chart, [[axis]] = new_chart(WIDTH, HEIGHT + LEGEND_ROW * below)
    for number, (name, line) in enumerate(results.items()):
        counts = sorted(count for count, repeats in line.items() if len(repeats))
        means = [100 * np.mean(line[count]) for count in counts]
        deviations = [100 * np.std(line[count], ddof=1) if len(line[count]) > 1 else 0.0 for count in counts]
        # a little apart, so that error bars do not hide each other
        places = np.array(counts) * 1.02 ** (number - (len(results) - 1) / 2)
        turn, place = divmod(number, len(COLOURS))
        style = {"color": COLOURS[place], "marker": MARKERS[place], "linestyle": LINES[turn % len(LINES)], "capsize": 3}
        style |= {"markerfacecolor": "white"} if turn % 2 else {}
        axis.errorbar(places, means, deviations, label=name, linewidth=1.8, elinewidth=1.0, markersize=6, **style)
    if largest_class is not None:
        height = 100 * largest_class
        axis.axhline(height, color=FAINT, linestyle="--", linewidth=1.2)
        axis.text(1.01, height, "largest\nclass", ha="left", va="center", transform=axis.get_yaxis_transform())
    _scale(axis, {count for line in results.values() for count, repeats in line.items() if len(repeats)})
    axis.set_ylim(bottom=0)
    axis.set_xlabel("labelled videos per class")
    axis.set_ylabel("videos classified correctly (%)")
    if below:
        chart.legend(loc="outside lower center", ncols=2, fontsize="small")
    else:
        axis.legend(loc="best")
    write_figure(chart, path)


def _scale(axis, counts):
    """A logarithmic axis with whole numbers at the counts, which may be means; one count alone is in the middle."""
    axis.set_xscale("log")
    ticks = {max(1, near(count)) for count in counts for near in (math.floor, math.ceil)}
    low, high = axis.get_xlim()
    if len(counts) == 1:
        low, high = min(counts) / ALONE, max(counts) * ALONE
    low, high = axis.set_xlim(min(low, *ticks), max(high, *ticks))
    axis.xaxis.set_major_locator(FixedLocator(_apart(ticks, low, high)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _apart(ticks, low, high):
    """The numbers that have room on a logarithmic axis from `low` to `high`, the smallest first."""
    kept = []
    for tick in sorted(ticks):
        if not kept or np.log(tick / kept[-1]) >= LEAST_GAP * np.log(high / low):
            kept.append(tick)
    return kept
