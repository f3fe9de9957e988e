"""Trivial predictors on real moving digits: the figures that every model has to beat."""

import numpy as np
import pytest

from videorep.data import MovingMNIST
from videorep.evaluation import cross_entropy_per_frame, squared_error_per_frame
from videorep.evaluation.baselines import copy_last_frame, mean_frame, predict_mean_frame
from videorep.models.pixels import to_unit_range


def test_the_last_frame_is_repeated():
    frames = np.arange(24.0).reshape(2, 3, 4)
    copied = copy_last_frame(frames, 5)
    assert copied.shape == (2, 5, 4)
    np.testing.assert_array_equal(copied[1, 3], frames[1, 2])


def test_the_mean_is_over_sequences_and_frames_up_to_the_limit():
    batches = [np.zeros((2, 3, 1)), np.ones((2, 3, 1)), np.full((2, 3, 1), 100.0)]
    np.testing.assert_array_equal(mean_frame(batches, limit=4), [0.5])
    assert predict_mean_frame(np.array([1.0, 2.0]), 3, 4).shape == (3, 4, 2)


def test_bytes_become_shares_and_values_stay():
    np.testing.assert_allclose(to_unit_range(np.array([0, 51, 255], np.uint8)), [0, 0.2, 1])
    np.testing.assert_array_equal(to_unit_range(np.array([-3.0, 7.0])), [-3, 7])
    assert to_unit_range(np.zeros(1, np.uint8)).dtype == to_unit_range(np.zeros(1)).dtype == np.float32


def test_figures_on_real_digits_are_the_published_ones(shared_data):
    train, test = (
        to_unit_range(MovingMNIST(shared_data / "mnist", split=split).sequences(0, 500).reshape(500, 20, 4096))
        for split in ("train", "test")
    )
    inputs, future = test[:, :10], test[:, 10:]
    mean = predict_mean_frame(mean_frame([train], 500), 500, 10)
    assert cross_entropy_per_frame(future, mean) == pytest.approx(672.5, rel=0.05)
    assert squared_error_per_frame(future, mean) == pytest.approx(152.7, rel=0.05)
    assert squared_error_per_frame(future, np.zeros_like(future)) == pytest.approx(173, rel=0.05)
    assert squared_error_per_frame(future, copy_last_frame(inputs, 10)) == pytest.approx(285, rel=0.05)
    assert cross_entropy_per_frame(future, future) == pytest.approx(86.2, rel=0.05)
