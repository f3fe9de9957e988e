"""Standardisation against NumPy: there and back, saved and loaded, under half precision."""

import keras
import numpy as np
import pytest
from keras import ops

from videorep.layers import Standardisation

MEAN, DEVIATION = np.array([0.5, -20.0, 300.0]), np.array([0.25, 3.0, 40.0])


def values(seed=0):
    return np.random.default_rng(seed).normal(MEAN, DEVIATION, (4, 5, 3)).astype("float32")


def standardising(**kwargs):
    layer = Standardisation(**kwargs)
    layer.build((None, None, 3))
    layer.assign(MEAN, DEVIATION)
    return layer


def test_without_constants_it_changes_nothing():
    np.testing.assert_array_equal(ops.convert_to_numpy(Standardisation()(values())), values())


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_there_and_back(dtype):
    layer = standardising(dtype=dtype)
    there = layer(ops.convert_to_tensor(values()))
    assert keras.backend.standardize_dtype(there.dtype) == "float32"
    np.testing.assert_allclose(ops.convert_to_numpy(there), (values() - MEAN) / DEVIATION, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(there, undo=True)), values(), rtol=1e-5, atol=1e-4)


def test_constants_are_saved_and_not_trained(tmp_path):
    layer, frames = standardising(), keras.Input((5, 3))
    model = keras.Model(frames, layer(layer(frames), undo=True))
    assert model.trainable_weights == [] and len(model.weights) == 2
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(ops.convert_to_numpy(loaded(values())), values(), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(loaded.get_weights(), np.stack([MEAN, DEVIATION]))
