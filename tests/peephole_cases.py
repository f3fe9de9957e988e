"""Peephole LSTMs with random weights, inputs, masks and upstream gradients."""

import keras
import lstm_oracle
import numpy as np
from keras import ops

from videorep.layers import PeepholeLSTM, PeepholeLSTMCell

BATCH, STEPS, FEATURES, UNITS = 3, 5, 4, 6
MASKS = {
    "no mask": None,
    "padded end": [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]],
    "leading and inner": [[0, 0, 1, 1, 1], [1, 0, 1, 0, 1], [0, 1, 0, 1, 0]],
    "one row all masked": [[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 1, 1, 1, 0]],
}


def mask_of(name):
    return None if MASKS[name] is None else np.array(MASKS[name], bool)


class Case:
    """One random layer with its inputs, states and the upstream gradients of its outputs, in float64."""

    def __init__(self, seed=0, steps=STEPS):
        rng = np.random.default_rng(seed)
        self.weights = lstm_oracle.random_weights(rng, FEATURES, UNITS)
        self.inputs = rng.normal(size=(BATCH, steps, FEATURES))
        self.state = [rng.normal(size=(BATCH, UNITS)), rng.normal(size=(BATCH, UNITS))]
        self.upstream = [rng.normal(size=shape) for shape in ((BATCH, steps, UNITS), (BATCH, UNITS), (BATCH, UNITS))]

    @property
    def arguments(self):
        return [*self.weights, self.inputs, *self.state]

    def oracle_loss(self, mask=None, **wrong):
        def loss(*arguments):
            outputs = lstm_oracle.sequence(
                lstm_oracle.Weights(*arguments[:4]), arguments[4], arguments[5:], mask, **wrong
            )
            return sum(np.sum(output * upstream) for output, upstream in zip(outputs, self.upstream, strict=True))

        return loss

    def layer_loss(self, layer, mask=None):
        def loss(*arguments):
            outputs, _ = layer.stateless_call(
                list(arguments[:4]), [], arguments[4], initial_state=list(arguments[5:]), mask=mask
            )
            return sum(
                ops.sum(ops.multiply(output, upstream)) for output, upstream in zip(outputs, upstreams, strict=True)
            )

        upstreams = [each.astype("float32") for each in self.upstream]
        mask = None if mask is None else ops.convert_to_tensor(mask)
        return loss


def sequence_layer(**kwargs):
    return PeepholeLSTM(UNITS, return_sequences=True, return_state=True, **kwargs)


def cell_in_rnn(**kwargs):
    return keras.layers.RNN(PeepholeLSTMCell(UNITS), return_sequences=True, return_state=True, **kwargs)


def with_weights(layer, weights, shape=(None, None, FEATURES)):
    layer.build(shape)
    layer.set_weights(list(weights))
    return layer


def as_numpy(tensors):
    return [ops.convert_to_numpy(each) for each in tensors]


def call(layer, inputs, state=None, mask=None):
    state = None if state is None else [ops.convert_to_tensor(each, "float32") for each in state]
    return as_numpy(layer(ops.convert_to_tensor(inputs, "float32"), initial_state=state, mask=mask))


def assert_all_close(received, expected, tolerance=1e-5):
    for ours, theirs in zip(received, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
