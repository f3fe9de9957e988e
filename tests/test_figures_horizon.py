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


def test_a_band_of_the_standard_error_lies_around_its_line(tmp_path):
    curves, unknown = {"model": [10.0] * 20, "other": [30.0] * 20}, [None] * 20
    pictures = []
    for errors in (None, {"model": unknown}, {"model": [2.0] * 20, "other": unknown}, {"model": [6.0] * 20}):
        draw_horizon(tmp_path / "horizon.png", curves, "unit", standard_errors=errors)
        pixels = np.asarray(Image.open(tmp_path / "horizon.png").convert("RGB")).astype(int)
        pictures.append(int((pixels[:, 300, 2] - pixels[:, 300, 0] > 15).sum()))  # blue, in one column
    assert pictures[0] == pictures[1] < pictures[2] < pictures[3]
