"""Weights as pictures: the right pixels at the right place."""

import numpy as np
import pytest
from pictures import size_of
from PIL import Image

from videorep.errors import ConfigError, OutputError
from videorep.figures.features import draw_features, split_gates, to_grey


def test_gates_are_the_kernel_s_columns_in_order():
    kernel = np.arange(24.0).reshape(2, 12)
    gates = split_gates(kernel)
    assert list(gates) == ["input gate", "forget gate", "cell input", "output gate"]
    np.testing.assert_array_equal(gates["cell input"], kernel[:, 6:9])


def test_grey_is_zero_and_the_largest_weight_is_full_scale():
    pictures = to_grey(np.array([[0.0, 0.5, -1.0, 1.0], [0.0, 0.0, 0.0, 0.0]]), (2, 2, 1))
    assert pictures.shape == (2, 2, 2, 3)
    assert pictures[0, ..., 0].tolist() == [[128, 192], [1, 255]]
    assert (pictures[1] == 128).all()


def test_the_strongest_units_are_drawn(tmp_path):
    weights = np.zeros((64, 5))
    weights[:, 3] = np.linspace(-9, 9, 64)  # the strongest: black above, white below
    draw_features(tmp_path / "features.png", {"gate": weights}, (8, 8, 1), count=1)
    pixels = np.asarray(Image.open(tmp_path / "features.png").convert("L"))
    picture = pixels[26 : 26 + 64, 12 : 12 + 64]
    assert picture[0, 0] == 1 and picture[-1, -1] == 255 and abs(int(picture[31, 31]) - 128) < 20


def test_each_group_has_its_own_strongest_units_unless_they_are_ranked_together(tmp_path):
    """Of one pixel that is white and one that is black, unit 0 has the white one first, unit 1 the black one."""
    units = np.array([[1.0, -1.0], [-1.0, 1.0]]).repeat(32, axis=0)
    groups = {"a": units * [3, 1], "b": units * [1, 2]}
    tops = {}
    for together in (False, True):
        draw_features(tmp_path / "features.png", groups, (8, 8, 1), count=1, together=together)
        pixels = np.asarray(Image.open(tmp_path / "features.png").convert("L"))
        tops[together] = [pixels[26, 12 + number * (64 + 20)] for number in range(2)]
        (tmp_path / "features.png").unlink()
    assert tops == {False: [255, 1], True: [255, 255]}
    with pytest.raises(ConfigError, match="same units"):
        draw_features(tmp_path / "x.png", {"a": units, "b": units[:, :1]}, (8, 8, 1), together=True)


def test_sizes_grow_with_groups_and_units(tmp_path):
    random = np.random.default_rng(0)
    for groups, count in ((1, 4), (2, 4), (4, 9)):
        path = tmp_path / f"{groups}.png"
        draw_features(path, {f"gate {k}": random.normal(size=(192, 20)) for k in range(groups)}, (8, 8, 3), count)
        side = round(count**0.5)
        assert size_of(path)[0] == 24 + min(groups, 2) * (side * 66 - 2) + (min(groups, 2) - 1) * 20


def test_weights_must_be_pictures(tmp_path):
    for shape in ((8, 8, 3), None):
        with pytest.raises(ConfigError):
            draw_features(tmp_path / "x.png", {"gate": np.ones((64, 5))}, shape)
    with pytest.raises(OutputError):
        draw_features(tmp_path / "no" / "x.png", {"gate": np.ones((64, 5))}, (8, 8, 1))
    assert list(tmp_path.iterdir()) == []
