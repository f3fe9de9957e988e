"""Models that are fed one frame at a time and carry their state: every frame costs the same, without end."""

import functools

import tensorflow as tf
from keras import ops


class Stream:
    """A `Classifier` that takes one frame's features at a time, and equals the model on the whole sequence."""

    def __init__(self, model):
        self.model, self._step = model, tf.function(functools.partial(classify_next, model))
        self.reset()

    def reset(self):
        """Forgets what went before."""
        self._states = [lstm.cell.get_initial_state(1) for lstm in self.model.lstms]

    def step(self, features):
        """Takes the features (D,) of the next frame; the class probabilities (K,) after it, float32."""
        probabilities, self._states = self._step(tf.constant(features[None], tf.float32), self._states)
        return probabilities.numpy()[0]


def classify_next(model, features, states):
    """One step of a `Classifier`: probabilities (B, K) float32 after features (B, D), and the new states."""
    values = model.standardisation(features) if model.standardisation else features
    values, carried = advance(model.lstms, values, states)
    return model.get_layer("probabilities")(values), carried


def advance(lstms, values, states):
    """One step of stacked `PeepholeLSTM`s on the bottom one's input (B, D), from a state [h, c] (B, units) per layer.

    Returns the top layer's h in the compute dtype, and every layer's new [h, c].
    """
    carried = []
    for lstm, state in zip(lstms, states, strict=True):
        carried.append(list(lstm.cell.step(values, state)))
        values = ops.cast(carried[-1][0], lstm.compute_dtype)
    return values, carried
