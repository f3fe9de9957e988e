"""Words in pictures: none lies over another, none leaves the picture, and no legend hides a curve."""

import itertools

import numpy as np
import pytest
from matplotlib.legend import Legend
from matplotlib.text import Text

from videorep.figures import activity, curves, few_labels, flow, horizon, percepts
from videorep.figures.canvas import new_figure

NOISE = np.random.default_rng(0)
LONG = "a name that is rather long"
TITLES = ("trained", "decoder of random weights")


def lines(count=20):
    keys = ("reconstruction_half_squared_error_per_frame", "future_half_squared_error_per_frame")
    keys = (*keys, "validation_future_half_squared_error_per_frame")
    return [{"sequences": 64_000 * k, "seconds": 9.0 * k} | dict.fromkeys(keys, 2000 / k) for k in range(1, count)]


DRAWN = {
    "activity": lambda: activity.draw_activity(
        "x.png",
        {title: {"input gate": np.ones((110, 64)), "cell state": NOISE.normal(size=(110, 64))} for title in TITLES},
        10,
    ),
    "activity, wide future": lambda: activity.draw_activity("x.png", {"trained": {"h": np.zeros((20, 64)) - 1}}, 2),
    "curves": lambda: curves.draw_curves("x.png", {"a run": lines(), LONG: lines()}),
    "horizon": lambda: horizon.draw_horizon("x.png", {"model": [2.0] * 30, LONG: [3.0] * 30}, "figure", 10),
    "few labels": lambda: few_labels.draw_few_label_curve(
        "x.png", {LONG: {1: [0.2, 0.3], 2: [0.4], 7.166667: [0.5]}, "single frame": {7.166667: [0.1], 8: [0.2]}}, 0.25
    ),
    "few labels, many lines": lambda: few_labels.draw_few_label_curve(
        "x.png", {f"pretrained future_predictor {number}, finetuned": {1: [0.2], 8: [0.4]} for number in range(12)}, 0.1
    ),
    "few labels, one point": lambda: few_labels.draw_few_label_curve("x.png", {LONG: {7.166667: [0.1]}}, 0.1),
    "percepts": lambda: percepts.draw_percepts(
        "x.png",
        {f"class {k}: a/folder/v_ApplyEyeMakeup_g0{k}_c01.mp4, 145 frames": NOISE.normal(size=(20, 9)) for k in "12"},
        NOISE.normal(size=(40, 9)),
        np.arange(40) % 12,
        [f"RatherLongClassName{k}" for k in range(12)],
    ),
}


@pytest.fixture(params=DRAWN)
def figure(request, monkeypatch):
    drawn = []
    for module in (activity, curves, few_labels, horizon, percepts, flow):
        monkeypatch.setattr(module, "write_figure", lambda each, path: drawn.append(each))
    DRAWN[request.param]()
    [figure] = drawn
    figure.canvas.draw()
    return figure


def texts(figure):
    """(words, box in pixels) of all that is shown; of the numbers at axes, those in view."""
    renderer = figure.canvas.get_renderer()
    hidden = set()
    for axis in (each for axes in figure.axes for each in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        for tick in (*axis.majorTicks, *axis.minorTicks):
            if not low <= tick.get_loc() <= high:
                hidden |= {tick.label1, tick.label2}
    shown = [each for each in figure.findobj(Text) if each.get_visible() and each.get_text().strip()]
    return [(each.get_text(), each.get_window_extent(renderer)) for each in shown if each not in hidden]


def test_words_lie_apart_and_within_the_picture(figure):
    page = figure.bbox.padded(1)
    boxes = texts(figure)
    for words, box in boxes:
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1, words
    for (one, first), (other, second) in itertools.combinations(boxes, 2):
        assert not first.padded(-1).overlaps(second.padded(-1)), f"{one!r} lies over {other!r}"


def test_no_legend_hides_a_curve(figure):
    renderer = figure.canvas.get_renderer()
    for legend in figure.findobj(Legend):
        box = legend.get_window_extent(renderer)
        for axis in figure.axes:
            for line in axis.get_lines():
                points = (
                    axis.transData.transform(np.column_stack(line.get_data())) if line.get_label()[:1] != "_" else []
                )
                assert not any(box.contains(*point) for point in points), line.get_label()


def test_it_finds_words_that_lie_over_each_other():
    chart = new_figure(200, 100)
    for words in ("one", "two"):
        chart.text(0.5, 0.5, words)
    chart.canvas.draw()
    (_, first), (_, second) = texts(chart)
    assert first.overlaps(second)
