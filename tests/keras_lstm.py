"""keras.layers.LSTM and PeepholeLSTM side by side: the same options, the same weights, zero peepholes."""

import keras
import numpy as np
from keras import ops

from videorep.layers import PeepholeLSTM

BATCH, STEPS, FEATURES, UNITS = 3, 6, 4, 5
LONG = 33  # More than the fast path unrolls.
MASKS = {
    "padded end": [[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]],
    "leading and inner": [[0, 0, 1, 1, 1, 1], [1, 0, 1, 0, 1, 0], [0, 1, 0, 1, 0, 0]],
}
INNER = [[1, 1, 1, 1, 1, 1], [1, 0, 1, 0, 1, 1], [1, 0, 0, 0, 0, 1]]
WHOLE = {"return_sequences": True, "return_state": True}
# What each option is set to: outputs, states and gradients must be those of Keras.
OPTIONS = {
    "defaults": {},
    "activation": {"activation": "softsign"},
    "no activation": {"activation": None},
    "recurrent_activation": {"recurrent_activation": "hard_sigmoid"},
    "gates that see each other": {"recurrent_activation": "softmax"},
    "use_bias": {"use_bias": False},
    "use_bias in a loop": {"use_bias": False, "activation": "relu"},
    "dropout": {"dropout": 0.4, "seed": 3},
    "dropout in a loop": {"dropout": 0.4, "seed": 3, "activation": "relu"},
    "recurrent_dropout": {"recurrent_dropout": 0.4, "seed": 3},
    "both dropouts": {"dropout": 0.3, "recurrent_dropout": 0.4, "seed": 3},
    "both dropouts, unrolled": {"dropout": 0.3, "recurrent_dropout": 0.4, "seed": 3, "unroll": True},
    "go_backwards": {"go_backwards": True},
    "go_backwards in a loop": {"go_backwards": True, "activation": "relu"},
    "unroll": {"unroll": True},
    "unroll in a loop": {"unroll": True, "activation": "relu"},
    "zero_output_for_mask": {"zero_output_for_mask": True},
}


def pair(steps=STEPS, batch=BATCH, **options):
    """keras.layers.LSTM and PeepholeLSTM of the same options and weights."""
    theirs, ours = keras.layers.LSTM(UNITS, **options), PeepholeLSTM(UNITS, **options)
    for layer in (theirs, ours):
        layer.build((batch, steps, FEATURES))
    rng = np.random.default_rng(0)
    weights = [rng.normal(0, 0.6, weight.shape) for weight in theirs.weights]
    theirs.set_weights(weights)
    ours.set_weights([*weights, np.zeros((3, UNITS))])
    return theirs, ours


def random(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def as_arrays(outputs):
    return [ops.convert_to_numpy(ops.cast(each, "float32")) for each in keras.tree.flatten(outputs)]


def assert_alike(received, expected, tolerance=1e-5):
    for ours, theirs in zip(as_arrays(received), as_arrays(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
