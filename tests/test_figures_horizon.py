"""Errors over the horizon."""

import numpy as np
import pytest
from pictures import size_of
from PIL import Image

from videorep.errors import ConfigError, OutputError
from videorep.figures import draw_horizon
from videorep.figures.canvas import COLOURS


def rows_of(path, colour):
    """Height above the lower edge of the pixels of exactly this colour, per column that has any."""
    pixels = np.asarray(Image.open(path).convert("RGB"))
    wanted = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    rows, columns = np.nonzero((pixels == wanted).all(-1))
    return {int(column): pixels.shape[0] - rows[columns == column].mean() for column in np.unique(columns)}


@pytest.mark.parametrize("scale", [2.0, 50.0])
def test_a_growing_error_rises_and_a_larger_one_lies_above(tmp_path, scale):
    path = tmp_path / "horizon.png"
    curves = {"model": np.linspace(10, 20, 100), "copy": scale * np.linspace(10, 20, 100)}
    draw_horizon(path, curves, "squared_error_per_frame", trained_frames=10)
    assert size_of(path) == (640, 400)
    model, copy = (rows_of(path, colour) for colour in COLOURS[:2])
    assert model[600] > model[300] > model[120]
    assert all(copy[column] > model[column] for column in (120, 300, 600))


def test_what_cannot_be_drawn(tmp_path):
    for curves in ({}, {"model": []}):
        with pytest.raises(ConfigError, match="curves"):
            draw_horizon(tmp_path / "x.png", curves, "unit")
    with pytest.raises(OutputError):
        draw_horizon(tmp_path / "no" / "x.png", {"model": [1.0]}, "unit")
    assert list(tmp_path.iterdir()) == []
