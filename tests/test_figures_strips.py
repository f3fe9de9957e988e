"""Strips: every frame at its place, still and moving."""

import numpy as np
import pytest
from pictures import size_of
from PIL import Image

from videorep.errors import ConfigError, OutputError
from videorep.figures import strips
from videorep.figures.strips import animate_strips, draw_strips

B, T, F, SIDE = 3, 4, 5, 8


@pytest.fixture
def frames():
    """Frames of one grey each: the truth's rise with the step, the model's are as much darker."""
    steps = 0.5 + np.arange(1, T + F + 1) / 40
    truth = np.broadcast_to(steps[None, :, None], (B, T + F, SIDE * SIDE))
    outputs = {"reconstruction": truth[:, :T] - 0.5, "future": truth[:, T:] - 0.5}
    return {"inputs": truth[:, :T], "future": truth[:, T:], "models": {"a": outputs}, "frame_shape": (SIDE, SIDE, 1)}


def first(frames, count):
    """The first sequences of frames."""
    models = {name: {branch: each[:count] for branch, each in of.items()} for name, of in frames["models"].items()}
    return {**frames, "inputs": frames["inputs"][:count], "future": frames["future"][:count], "models": models}


def greys(picture):
    """The greys that large areas have, in order of their first column."""
    pixels = np.asarray(picture.convert("L"))
    found = {}
    for grey in np.unique(pixels):
        columns = np.flatnonzero((pixels == grey).sum(axis=0) >= 60)
        if len(columns) >= 60:
            found[int(grey)] = columns[0]
    return found


def test_every_frame_is_there_in_order(tmp_path, frames):
    draw_strips(tmp_path / "strips.png", **first(frames, 1))
    found = greys(Image.open(tmp_path / "strips.png"))
    truth = [round(255 * (0.5 + step / 40)) for step in range(1, T + F + 1)]
    assert [found[grey] for grey in truth] == sorted(found[grey] for grey in truth)
    for step in range(T + F):
        assert found[round(255 * (step + 1) / 40)] == found[truth[step]], "the model's frame is below the true one"
    gaps = np.diff([found[grey] for grey in truth])
    assert gaps.argmax() == T - 1 and len(set(gaps)) == 2, "a gap shows where the future begins"


def test_sequences_grow_downwards(tmp_path, frames):
    heights = []
    for count in (1, 2, 3):
        draw_strips(tmp_path / "strips.png", **first(frames, count))
        heights.append(size_of(tmp_path / "strips.png")[1])
    assert heights[1] - heights[0] == heights[2] - heights[1] > 2 * 70


def test_each_model_has_a_row_below_the_truth(tmp_path, frames):
    """Three models and a past: 4 rows, of which the past has 2; a frame of the past lies left of the input."""
    frames, outputs = first(frames, 1), first(frames, 1)["models"]["a"]
    frames["models"] = {"a": outputs, "b": {"future": outputs["future"]}, "c": outputs | {"past": np.ones((1, 1, 64))}}
    draw_strips(tmp_path / "strips.png", **frames)
    pixels = np.asarray(Image.open(tmp_path / "strips.png").convert("L"))
    assert size_of(tmp_path / "strips.png")[1] == 44 + 4 * (72 + 2) - 2 + 12
    found, predicted = greys(Image.open(tmp_path / "strips.png")), round(255 * (T + 1) / 40)
    column = found[predicted]
    assert [pixels[44 + row * 74 + 36, column + 36] for row in range(4)] == [round(255 * (0.5 + (T + 1) / 40))] + [
        predicted
    ] * 3
    reconstructed = found[round(255 / 40)]
    assert [pixels[44 + row * 74 + 36, reconstructed + 36] == round(255 / 40) for row in range(4)] == [0, 1, 0, 1]
    assert reconstructed - column < 0 and reconstructed > 64 + 72, "the past has its place to the left"


def shown(film):
    return {part: list(places) for part, places in strips._place_steps(film, 0).items()}


@pytest.mark.parametrize("ahead", [1, 19, 20, 21, 40, 57, 100, 101])
def test_long_rows_show_the_frames_at_the_boundaries(ahead):
    frames = {"past": np.zeros((1, ahead, 64)), "reconstruction": np.zeros((1, T, 64))}
    frames |= {"future": np.zeros((1, ahead, 64))}
    [film] = strips._make_films(np.zeros((1, T, 64)), None, {"a": frames}, (SIDE, SIDE, 1), SIDE)
    steps = shown(film)
    assert steps["past"][-1] == -1 and steps["input"] == list(range(T)) and steps["future"][0] == T
    assert all(10 <= len(each) <= 20 or len(each) == ahead for each in (steps["past"], steps["future"]))
    assert set(np.diff(steps["past"])) == set(np.diff(steps["future"])) and len(set(np.diff(steps["past"]))) <= 1


def test_models_with_one_branch_and_long_horizons(tmp_path, frames):
    for branch in ("reconstruction", "future"):
        draw_strips(tmp_path / f"{branch}.png", **{**frames, "models": {"a": {branch: frames["models"]["a"][branch]}}})
    draw_strips(tmp_path / "alone.png", **{**frames, "future": None, "models": {}})
    longer = {"future": np.zeros((B, 100, SIDE * SIDE))}
    draw_strips(tmp_path / "long.png", **{**frames, "models": {"a": longer}})
    assert size_of(tmp_path / "long.png")[0] < 2200


def test_the_animation_has_a_picture_per_step_and_rests(tmp_path, frames):
    outputs = frames.pop("models")["a"] | {"past": np.ones((B, 3, SIDE * SIDE))}
    animate_strips(tmp_path / "strips.gif", **frames, outputs=outputs)
    with Image.open(tmp_path / "strips.gif") as animation:
        assert animation.n_frames == T + F and animation.info["loop"] == 0
        durations = []
        for step in range(T + F):
            animation.seek(step)
            durations.append(animation.info["duration"])
            tones = greys(animation.convert("RGB"))
            assert any(abs(grey - 255 * (0.5 + (step + 1) / 40)) <= 2 for grey in tones)
            assert any(abs(grey - 255 * (step + 1) / 40) <= 2 for grey in tones)
    assert durations[-1] > durations[0]


def test_colour_is_kept(tmp_path):
    red = np.zeros((1, 2, SIDE, SIDE, 3))
    red[..., 0] = 1
    draw_strips(tmp_path / "red.png", red.reshape(1, 2, -1), None, {}, frame_shape=(SIDE, SIDE, 3))
    assert (np.asarray(Image.open(tmp_path / "red.png").convert("RGB")) == (255, 0, 0)).all(-1).sum() == 2 * 72 * 72


def test_what_cannot_be_drawn(tmp_path, frames):
    with pytest.raises(ConfigError, match="pictures"):
        draw_strips(tmp_path / "x.png", **{**frames, "frame_shape": None})
    with pytest.raises(ConfigError, match="reconstruction"):
        draw_strips(tmp_path / "x.png", **{**frames, "models": {"a": {"reconstruction": np.zeros((B, 1, 64))}}})
    with pytest.raises(ConfigError, match="name of a model"):
        draw_strips(tmp_path / "x.png", **{**frames, "models": {"truth": frames["models"]["a"]}})
    with pytest.raises(OutputError):
        draw_strips(tmp_path / "missing" / "x.png", **frames)
    with pytest.raises(OutputError, match="png"):
        draw_strips(tmp_path / "x.jpeg", **frames)
    assert list(tmp_path.iterdir()) == []
