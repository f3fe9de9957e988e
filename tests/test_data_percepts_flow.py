"""Optical flow against motions that are known exactly."""

import numpy as np
import pytest

from videorep.data.percepts import flow

HEIGHT, WIDTH = 240, 320
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH].astype(float)
CENTRE = np.array([WIDTH / 2, HEIGHT / 2])

# Each motion as the matrix and the shift of x -> M x + s about the centre of the frame.
_TURN = np.deg2rad(2.0)
MOTIONS = {
    "shift": (np.eye(2), np.array([1.3, -0.7])),
    "small shift": (np.eye(2), np.array([0.25, 0.4])),
    "large shift": (np.eye(2), np.array([6.4, -3.6])),
    "rotation": (np.array([[np.cos(_TURN), -np.sin(_TURN)], [np.sin(_TURN), np.cos(_TURN)]]), np.zeros(2)),
    "zoom in": (np.eye(2) * 1.03, np.zeros(2)),
    "zoom out": (np.eye(2) * 0.98, np.zeros(2)),
}


def texture(points):
    """Grey values of a sum of 150 waves at any real (x, y): moved images need no interpolation."""
    generator = np.random.default_rng(0)
    frequency = np.exp(generator.uniform(np.log(2 * np.pi / 120), np.log(2 * np.pi / 5), 150))
    direction, phase = generator.uniform(0, 2 * np.pi, (2, 150))
    values = np.zeros(points.shape[:-1])
    for f, d, p in zip(frequency, direction, phase, strict=True):
        values += np.cos(f * (np.cos(d) * points[..., 0] + np.sin(d) * points[..., 1]) + p) / np.sqrt(f)
    return np.clip(128 + 2 * values, 0, 255).round().astype(np.uint8)


@pytest.fixture(scope="module")
def pairs():
    """Per motion: the first frame, the moved frame, the true displacement."""
    points = np.stack([COLUMNS, ROWS], axis=-1) - CENTRE
    first = texture(points)
    moved = {
        name: (texture((points - shift) @ np.linalg.inv(matrix).T), points @ matrix.T + shift - points)
        for name, (matrix, shift) in MOTIONS.items()
    }
    return {name: (first, second, truth) for name, (second, truth) in moved.items()}


def end_point_error(estimate, truth):
    return np.linalg.norm(estimate - truth, axis=-1).mean()


def test_the_texture_has_contrast(pairs):
    first = pairs["shift"][0]
    assert first.std() > 30
    assert np.mean((first == 0) | (first == 255)) < 0.02


@pytest.mark.parametrize("name", MOTIONS)
def test_known_motion_is_recovered_and_refinement_lowers_the_error(pairs, name):
    first, second, truth = pairs[name]
    start = flow.start_flow(first, second)
    before = start.copy()
    refined = flow.refine_flow(first, second, start)
    np.testing.assert_array_equal(start, before)
    np.testing.assert_array_equal(refined, flow.estimate_flow(first, second))
    assert end_point_error(refined, truth) < 0.1
    assert end_point_error(refined, truth) < end_point_error(start, truth)


def test_a_still_video_gives_zeros(pairs):
    first = pairs["shift"][0]
    assert not flow.estimate_flow(first, first).any()
    frame = np.repeat(first[..., None], 3, axis=-1)
    assert not flow.flow_field(frame, frame).any()


def test_bytes_are_linear_symmetric_and_clipped():
    displacements = np.array([-1000, -20, -1, -0.07, 0, 0.07, 1, 19.9, 20, 1000], np.float32)
    encoded = flow.flow_to_bytes(displacements)
    assert encoded.dtype == np.uint8
    assert encoded.tolist() == [1, 1, 122, 128, 128, 128, 134, 254, 255, 255]
    grid = np.linspace(-20, 20, 4001, dtype=np.float32)
    assert np.abs((flow.flow_to_bytes(grid).astype(float) - flow.ZERO) / flow.STEPS - grid).max() <= 20 / 127 / 2 + 1e-5


def test_flow_field_takes_off_the_mean_of_each_direction(pairs):
    first, second = (np.repeat(image[..., None], 3, axis=-1) for image in pairs["shift"][:2])
    panning = flow.flow_field(first, second)
    assert panning.shape == (HEIGHT, WIDTH, 2)
    assert panning.dtype == np.float32
    np.testing.assert_allclose(panning.mean(axis=(0, 1)), 0, atol=1e-3)
    assert np.abs(panning).mean() < 1.0  # a camera's own motion is gone: it would be 8.3 and -4.4 bytes

    zooming = flow.flow_field(first, np.repeat(pairs["zoom in"][1][..., None], 3, axis=-1))
    assert (
        np.abs(zooming / (127 / 20) - pairs["zoom in"][2]).mean() < 0.15
    )  # horizontal first, and to the right is positive


def test_a_stack_begins_at_the_first_frame_and_repeats_its_last_field():
    points = np.stack([COLUMNS, ROWS], axis=-1)[:64, :80]
    frames = np.stack([texture(points * (1 - 0.01 * number)) for number in (0, 1, 3)])[..., None].repeat(3, axis=-1)
    first, second = flow.flow_field(*frames[:2]), flow.flow_field(*frames[1:])
    assert np.abs(first - second).max() > 1
    np.testing.assert_array_equal(flow.stack_fields(frames, 1), first)
    np.testing.assert_array_equal(
        flow.stack_fields(frames, 4), np.concatenate([first, second, second, second], axis=-1)
    )
    np.testing.assert_array_equal(flow.stack_fields(frames[:1], 2), np.zeros((64, 80, 4)))


def test_grey_comes_from_rgb_not_bgr():
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 200
    assert flow._grey(red)[0, 0] == 60  # 0.299 * 200, and 23 for blue
    assert flow._grey(red[..., :1])[0, 0] == 200


def test_colours_of_the_wheel():
    right, down, still, left = [1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [-1.0, 0.0]
    picture = flow.colour_flow(np.array([[right, down, still, left]]), full=1.0)
    assert picture[0].tolist() == [[255, 0, 0], [127, 255, 0], [255, 255, 255], [0, 255, 255]]
