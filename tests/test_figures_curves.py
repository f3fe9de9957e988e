"""Training curves: which figures are drawn, on which scale, in which file."""

import pytest
from pictures import size_of

from videorep.errors import ConfigError, OutputError
from videorep.figures import curves
from videorep.figures.curves import draw_curves, list_figures


def history(count=20, validation=False):
    lines = []
    for k in range(1, count + 1):
        line = {"step": 10 * k, "sequences": 640 * k, "seconds": 3.0 * k, "learning_rate": 1e-3, "loss": 2000 / k}
        line |= {"reconstruction_cross_entropy_per_frame": 900 / k, "future_cross_entropy_per_frame": 1100 / k}
        if validation and k % 5 == 0:
            line["validation_future_cross_entropy_per_frame"] = 1200 / k
        lines.append(line)
    return lines


def test_parts_are_drawn_rather_than_their_sum():
    names = ["reconstruction_cross_entropy_per_frame", "future_cross_entropy_per_frame"]
    assert list_figures({"run": history(validation=True)}) == names
    assert list_figures({"run": [{"step": 1, "sequences": 1, "seconds": 1.0, "loss": 2.0}]}) == ["loss"]
    assert list_figures({"run": []}) == []


def test_the_first_reports_do_not_decide_the_scale():
    low, high = curves._limits({"run": history()}, "future_cross_entropy_per_frame")
    assert low < 1100 / 20 and 1100 / 2 < high < 1100


def test_wall_time_has_a_unit_that_fits():
    for seconds, expected in ((100, (1, "seconds")), (3000, (60, "minutes")), (10_000, (3600, "hours"))):
        assert curves._time_unit({"a": [{"seconds": 5.0}], "b": [{"seconds": seconds}]}) == expected


@pytest.mark.parametrize("name", ["curves.png", "curves.svg", "curves.pdf"])
def test_files(tmp_path, name):
    draw_curves(tmp_path / name, {"a": history(validation=True), "b": history(5)})
    content = (tmp_path / name).read_bytes()
    assert content[:4] in (b"\x89PNG", b"<?xm", b"%PDF")
    if name.endswith("png"):
        assert size_of(tmp_path / name) == (960, 600)


def test_one_report_is_enough(tmp_path):
    draw_curves(tmp_path / "one.png", {"run": history(1)})
    assert size_of(tmp_path / "one.png")[1] == 600


def test_a_single_report_is_a_point_that_is_seen(monkeypatch):
    drawn = []
    monkeypatch.setattr(curves, "write_figure", lambda figure, path: drawn.append(figure))
    draw_curves("x.png", {"one": history(1), "also one": history(1)})
    draw_curves("x.png", {"one": history(1), "many": history(20)})
    markers = [[line.get_marker() for line in figure.axes[0].get_lines()] for figure in drawn]
    assert markers == [["o", "o"], ["o", "None"]]


@pytest.mark.parametrize("value", [0.25, 1800.0, -3.0])
def test_one_value_has_room_in_proportion(value):
    low, high = curves._limits({"a": [{"loss": value}], "b": [{"loss": value}]}, "loss")
    assert low == pytest.approx(value - 0.1 * abs(value)) and high == pytest.approx(value + 0.1 * abs(value))
    assert curves._limits({"a": [{"loss": 0.0}]}, "loss") == (-1.0, 1.0)


def test_reports_without_a_place_are_passed_over(tmp_path):
    stray = [{"step": 3}, {"step": 4, "loss": 1.0, "sequences": 256}, {"step": 5, "loss": 1.0, "seconds": 2.0}]
    draw_curves(tmp_path / "sound.png", {"run": history()})
    draw_curves(tmp_path / "stray.png", {"run": stray + history()})
    assert (tmp_path / "stray.png").read_bytes() == (tmp_path / "sound.png").read_bytes()
    with pytest.raises(ConfigError, match="report"):
        draw_curves(tmp_path / "x.png", {"run": stray})


def test_nothing_to_draw_and_nowhere_to_write(tmp_path):
    with pytest.raises(ConfigError, match="report"):
        draw_curves(tmp_path / "x.png", {"run": []})
    with pytest.raises(OutputError):
        draw_curves(tmp_path / "x.txt", {"run": history()})
    assert list(tmp_path.iterdir()) == []
