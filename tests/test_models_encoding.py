"""What an encoder knows after every frame, against the Keras layers."""

import keras
import numpy as np
import pytest

from videorep.config import ClassifierConfig
from videorep.models import build_classifier, build_model
from videorep.models.encoding import top_states


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("steps", [5, 40])
def test_states_are_those_of_the_layers(dtype, steps):
    frames = np.random.default_rng(0).normal(3, 2, (2, steps, 4)).astype(np.float32)
    encoder = build_model("composite", 4, (6, 5), steps, 3, output="gaussian", seed=1, dtype=dtype, standardise=True)
    encoder.standardisation.assign(np.full(4, 3.0), np.full(4, 2.0))
    config = ClassifierConfig("lstm", 4, (6, 5), ("a", "b"), steps, standardise=True)
    classifier = build_classifier(config, encoder, seed=2, dtype=dtype)
    states = keras.ops.convert_to_numpy(top_states(encoder, frames))
    assert states.shape == (2, steps, 5) and states.dtype == np.float32
    np.testing.assert_array_equal(states[:, -1], encoder.encode(frames)[-1][0])
    values = classifier.standardisation(frames)
    for layer in classifier.lstms:
        values = layer(values)
    tolerance = 1e-6 if dtype == "float32" else 0.01
    for model in (encoder, classifier):
        np.testing.assert_allclose(top_states(model, frames), np.asarray(values, np.float32), atol=tolerance)
