"""Activity maps."""

import numpy as np
import pytest
from pictures import size_of
from PIL import Image

from videorep.data.sampling import make_generator
from videorep.errors import ConfigError
from videorep.figures import activity
from videorep.figures.activity import draw_activity


def test_maps_of_gates_and_states(tmp_path):
    random = np.random.default_rng(0)
    activities = {"input gate": random.uniform(size=(20, 300)), "cell state": random.normal(size=(20, 300))}
    draw_activity(tmp_path / "one.png", {"trained": activities}, input_frames=10)
    draw_activity(tmp_path / "two.png", {"trained": activities, "random": activities})
    draw_activity(tmp_path / "dead.png", {"trained": {"cell state": np.zeros((2, 3))}})
    assert size_of(tmp_path / "one.png") == (460, 600)
    assert size_of(tmp_path / "two.png") == (920, 600)


def test_random_units_are_shown_the_same_in_all_maps(monkeypatch):
    drawn = []
    monkeypatch.setattr(activity, "write_figure", lambda figure, path: drawn.append(figure))
    units = np.tile(np.arange(300) / 300, (4, 1))
    draw_activity("x.png", {"trained": {"gate": units, "state": -units}, "random": {"gate": units, "state": -units}})
    draw_activity("x.png", {"trained": {"gate": units}}, seed=1)
    first, *others, other = [
        axis.images[0].get_array()[:, 0] for figure in drawn for axis in figure.axes if axis.images
    ]
    np.testing.assert_array_equal(np.sort(make_generator(0).choice(300, 200, replace=False)) / 300, first)
    assert all(np.array_equal(first, np.abs(each)) for each in others) and not np.array_equal(first, other)


def test_a_few_extreme_values_do_not_hide_the_others(monkeypatch):
    drawn = []
    monkeypatch.setattr(activity, "write_figure", lambda figure, path: drawn.append(figure))
    values = np.full((10, 10), -1.0)
    values[0, :3] = 1000
    draw_activity("x.png", {"trained": {"cell state": values}, "random": {"cell state": values / 10}})
    assert [axis.images[0].get_clim() for axis in drawn[0].axes if axis.images] == [(-1.0, 1.0)] * 2


def test_an_open_gate_is_white_and_a_closed_one_black(tmp_path):
    halves = np.zeros((2, 1))
    halves[1] = 1.0
    draw_activity(tmp_path / "map.png", {"trained": {"gate": halves}})
    pixels = np.asarray(Image.open(tmp_path / "map.png").convert("L"))
    middle = pixels[pixels.shape[0] // 2]
    assert middle[120] == 0 and middle[300] == 255


@pytest.mark.parametrize(
    "activities",
    [
        {},
        {"a": {}},
        {"a": {"gate": np.zeros((3, 2))}, "b": {"gate": np.zeros((4, 2))}},
        {"a": {"gate": np.zeros((3, 2))}, "b": {"state": np.zeros((3, 2))}},
        {"a": {"gate": np.zeros(3)}},
    ],
)
def test_arrays_must_fit_together(tmp_path, activities):
    with pytest.raises(ConfigError, match="activities"):
        draw_activity(tmp_path / "x.png", activities)
