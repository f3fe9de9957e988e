"""The few-label curve."""

import pytest
from pictures import size_of

from videorep.errors import ConfigError
from videorep.figures import few_labels
from videorep.figures.few_labels import draw_few_label_curve


def test_lines_with_and_without_repeats(tmp_path):
    results = {"random": {1: [0.2, 0.3, 0.25], 4: [0.5], 10: []}, "pretrained": {1: [0.35, 0.4], 4: [0.55, 0.5]}}
    draw_few_label_curve(tmp_path / "curve.png", results, largest_class=0.1)
    assert size_of(tmp_path / "curve.png") == (640, 440)


@pytest.fixture
def axis(monkeypatch):
    """Draws results; gives the axes."""
    drawn = []
    monkeypatch.setattr(few_labels, "write_figure", lambda figure, path: drawn.append(figure))

    def draw(results, largest_class=None):
        draw_few_label_curve("x.png", results, largest_class)
        return drawn[-1].axes[0]

    return draw


def numbers(axis):
    """The numbers that are written along the axis of the counts."""
    low, high = axis.get_xlim()
    return [axis.xaxis.get_major_formatter()(tick) for tick in axis.get_xticks() if low <= tick <= high]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([4.5], ["4", "5"]),
        ([1], ["1"]),
        ([0.4], ["1"]),
        ([100.5], ["100"]),
        ([1, 2, 4, 7.166667], ["1", "2", "4", "7"]),
        ([4.2, 4.4], ["4", "5"]),
        ([1, 1200], ["1", "1,200"]),
    ],
)
def test_numbers_are_whole_and_beside_the_counts(axis, counts, expected):
    assert numbers(axis({"a": {count: [0.5] for count in counts}})) == expected


def test_one_count_is_in_the_middle(axis):
    low, high = axis({"a": {4.5: [0.5, 0.6]}}).get_xlim()
    assert low * high == pytest.approx(4.5**2)


def test_the_dashed_line_says_what_it_is(axis):
    [words] = axis({"a": {1: [0.2], 4: [0.3]}}, largest_class=0.25).texts
    assert words.get_text().split() == ["largest", "class"] and words.get_position()[1] == 25


@pytest.mark.parametrize(
    ("results", "message"), [({}, "accuracy"), ({"a": {1: []}}, "accuracy"), ({"a": {1: [55]}}, "in")]
)
def test_accuracies_are_shares(tmp_path, results, message):
    with pytest.raises(ConfigError, match=message):
        draw_few_label_curve(tmp_path / "curve.png", results)
    assert list(tmp_path.iterdir()) == []
