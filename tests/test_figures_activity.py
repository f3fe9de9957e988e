"""Activity maps."""

import numpy as np
import pytest
from pictures import size_of
from PIL import Image

from videorep.errors import ConfigError
from videorep.figures.activity import draw_activity


def test_maps_of_gates_and_states(tmp_path):
    random = np.random.default_rng(0)
    activities = {"input gate": random.uniform(size=(20, 300)), "cell state": random.normal(size=(20, 300))}
    draw_activity(tmp_path / "two.png", activities, input_frames=10)
    draw_activity(tmp_path / "three.png", {**activities, "one unit": np.zeros((20, 1))})
    assert size_of(tmp_path / "two.png") == (920, 380)
    assert size_of(tmp_path / "three.png") == (920, 760)


def test_an_open_gate_is_white_and_a_closed_one_black(tmp_path):
    halves = np.zeros((2, 1))
    halves[1] = 1.0
    draw_activity(tmp_path / "map.png", {"gate": halves})
    pixels = np.asarray(Image.open(tmp_path / "map.png").convert("L"))
    middle = pixels[pixels.shape[0] // 2]
    assert middle[120] == 0 and middle[300] == 255


@pytest.mark.parametrize("activities", [{}, {"a": np.zeros((3, 2)), "b": np.zeros((4, 2))}, {"a": np.zeros(3)}])
def test_arrays_must_fit_together(tmp_path, activities):
    with pytest.raises(ConfigError, match="activities"):
        draw_activity(tmp_path / "x.png", activities)
