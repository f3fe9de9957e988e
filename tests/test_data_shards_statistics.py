"""The constants that standardise percepts."""

import numpy as np
import pytest

from videorep.data.shards.statistics import FeatureStatistics, standardising_constants
from videorep.errors import ConfigError


def test_they_give_mean_0_and_deviation_1():
    frames = np.random.default_rng(0).normal([1.0, -5.0, 0.0], [0.1, 2.0, 30.0], (400, 3)).astype("float32")
    statistics = FeatureStatistics()
    statistics.add(frames[:150])
    statistics.add(frames[150:])
    mean, deviation = standardising_constants(statistics.summary("train"))
    assert mean.dtype == deviation.dtype == np.float32
    standardised = (frames - mean) / deviation
    np.testing.assert_allclose(standardised.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(standardised.std(axis=0), 1, atol=1e-4)


def test_a_feature_that_does_not_vary_becomes_zero():
    frames = np.tile(np.array([0.0, 0.1, 1234.5], "float16"), (1000, 1))
    statistics = FeatureStatistics()
    statistics.add(frames)
    mean, deviation = standardising_constants(statistics.summary("train"))
    np.testing.assert_array_equal(deviation, np.ones(3))
    np.testing.assert_allclose((frames - mean) / deviation, 0, atol=1e-3)


def test_pixels_have_none():
    with pytest.raises(ConfigError, match="leave it out"):
        standardising_constants(None)
