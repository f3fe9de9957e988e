"""Moving MNIST against a slow scalar loop written from the generator's description."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

from videorep.data import MovingMNIST
from videorep.data.digits.mnist import load_digits
from videorep.errors import ConfigError

SPLITS = ["train", "validation", "test"]


def random_numbers(seed, split, purpose, epoch, count, skip=0):
    """`count` doubles of the documented stream, made from the raw bits of a fresh generator."""
    key = np.random.SeedSequence([seed, SPLITS.index(split), purpose, epoch]).generate_state(2, np.uint64)
    bits = np.random.Philox(key=key)
    bits.advance(skip)
    return [int(raw >> np.uint64(11)) / 2**53 for raw in bits.random_raw(count)]


def digit_oracle(number, seed, split, digit_count):
    """The digit drawn at place `number`, without replacement, reshuffled when all have been used."""
    epoch, place = number // digit_count, number % digit_count
    keys = random_numbers(seed, split, 2, epoch, digit_count)
    return sorted(range(digit_count), key=lambda index: keys[index])[place]


def sequence_oracle(n, digits, num_digits, frames, size, seed, split, speed):
    """One sequence, pixel by pixel."""
    canvas = [[[0] * size for _ in range(size)] for _ in range(frames)]
    travel = size - 28
    for k in range(num_digits):
        x, y, turn, share = random_numbers(seed, split, 1, 0, 4, skip=n * num_digits + k)
        digit = digits[digit_oracle(n * num_digits + k, seed, split, len(digits))].tolist()
        step = speed[0] + (speed[1] - speed[0]) * share
        velocity_x, velocity_y = step * math.cos(2 * math.pi * turn), step * math.sin(2 * math.pi * turn)
        for t in range(frames):
            x, y = x + velocity_x, y + velocity_y  # the step comes before the first frame
            if x < 0 or x > 1:
                x, velocity_x = min(max(x, 0.0), 1.0), -velocity_x
            if y < 0 or y > 1:
                y, velocity_y = min(max(y, 0.0), 1.0), -velocity_y
            left, top = int(travel * x), int(travel * y)
            for row in range(28):
                for column in range(28):
                    here = canvas[t][top + row]
                    here[left + column] = max(here[left + column], digit[row][column])
    return np.array(canvas, np.uint8)


@pytest.fixture(scope="module")
def few_digits(tmp_path_factory):
    """A file of seven training and five test digits, so that several reshuffles are passed."""
    path = tmp_path_factory.mktemp("digits") / "few.npz"
    random = np.random.default_rng(0)
    np.savez(path, x_train=random.integers(0, 256, (7, 28, 28), np.uint8), x_test=load_digits("rendered", "test")[:5])
    return path


@pytest.mark.parametrize(
    ("num_digits", "size", "speed", "split"),
    [(2, 64, 0.1, "train"), (1, 64, 0.1, "test"), (3, 41, (0.05, 0.4), "train"), (2, 28, 0.2, "validation")],
)
def test_matches_the_scalar_loop(few_digits, num_digits, size, speed, split):
    source = MovingMNIST(few_digits, num_digits, frames=25, size=size, seed=9, split=split, speed=speed)
    digits = load_digits(few_digits, "test" if split == "test" else "train")
    low_high = (speed, speed) if np.isscalar(speed) else speed
    made = source.sequences(1, 9)
    for n in range(9):
        expected = sequence_oracle(n + 1, digits, num_digits, 25, size, 9, split, low_high)
        np.testing.assert_array_equal(made[n], expected)


def test_a_sequence_does_not_depend_on_batching_or_length(few_digits):
    source = MovingMNIST(few_digits, seed=4)
    whole = source.sequences(0, 150)
    assert whole.shape == (150, 20, 64, 64) and whole.dtype == np.uint8
    for n in (0, 63, 64, 149):
        np.testing.assert_array_equal(source.sequences(n, 1)[0], whole[n])
    np.testing.assert_array_equal(source.batch(3, 30), whole[90:120])
    longer = MovingMNIST(few_digits, seed=4, frames=110)
    np.testing.assert_array_equal(longer.sequences(5, 3)[:, :20], whole[5:8])


def test_far_away_sequences_can_be_reached(few_digits):
    source = MovingMNIST(few_digits)
    far = source.sequences(10**12, 2)
    np.testing.assert_array_equal(far[1], source.sequences(10**12 + 1, 1)[0])
    assert far.max() > 0


def test_seeds_and_splits_differ(few_digits):
    made = [MovingMNIST(few_digits, seed=seed, split=split).sequences(0, 4) for seed in (0, 1) for split in SPLITS]
    assert len({frames.tobytes() for frames in made}) == 6
    np.testing.assert_array_equal(MovingMNIST(few_digits, seed=1, split="test").sequences(0, 4), made[-1])


def test_digits_are_drawn_without_replacement_and_reshuffled():
    source = MovingMNIST(num_digits=2)
    indices = source.digit_indices(0, 9000).reshape(3, 6000)
    for epoch in indices:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(6000))
    assert (indices[0] == indices[1]).mean() < 0.01


def test_motion_is_uniform_and_of_constant_speed():
    source = MovingMNIST(frames=2, size=1028)
    positions = source.positions(0, 20000).reshape(-1, 2, 2)
    first, second = positions[:, 0] / 1000, positions[:, 1] / 1000
    inside = ((first > 0.2) & (first < 0.8)).all(axis=1)
    steps = (second - first)[inside]
    np.testing.assert_allclose(np.hypot(*steps.T), 0.1, atol=2e-3)  # 3.6 of 36 pixels
    angles = np.histogram(np.arctan2(steps[:, 1], steps[:, 0]), 8, (-np.pi, np.pi))[0]
    np.testing.assert_allclose(angles / len(steps), 1 / 8, atol=0.01)
    density = np.histogram(first[inside], 6, (0.2, 0.8))[0]
    np.testing.assert_allclose(density / density.sum(), 1 / 6, atol=0.01)


def test_dataset_yields_the_batches_from_the_asked_step_on(few_digits):
    source = MovingMNIST(few_digits, frames=3)
    dataset = source.dataset(5, start_step=7)
    assert dataset.element_spec.shape.as_list() == [5, 3, 64, 64]
    for k, batch in enumerate(dataset.take(4).as_numpy_iterator()):
        np.testing.assert_array_equal(batch, source.batch(7 + k, 5))


def test_the_interpreter_ends_while_batches_are_being_drawn():
    code = (
        "from videorep.data import MovingMNIST\n"
        "stream = iter(MovingMNIST(num_digits=4).dataset(512).map(lambda frames: frames).prefetch(2))\n"
        "next(stream)\n"
    )
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, timeout=100, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_provenance_says_what_the_digits_are(few_digits):
    facts = MovingMNIST(seed=3, split="test", speed=(0.1, 0.2)).provenance
    assert "not MNIST" in facts["digits_origin"] and facts["digits_count"] == 1000
    assert (facts["seed"], facts["split"], facts["speed"]) == (3, "test", [0.1, 0.2])
    assert MovingMNIST(few_digits).provenance["digits_origin"] == str(few_digits)


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_digits": 0},
        {"frames": 0},
        {"size": 27},
        {"split": "dev"},
        {"speed": -0.1},
        {"speed": (0.2, 0.1)},
        {"seed": -1},
    ],
)
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        MovingMNIST(**arguments)
