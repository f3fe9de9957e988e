"""How far frames lie from what a pretrained model had predicted of them: no label is needed to see what is unusual."""

import collections

import numpy as np
import tensorflow as tf
from keras import ops

from videorep.live.stream import advance
from videorep.models.losses import FRAME_LOSSES


class PredictionErrors:
    """The error of the prediction of each frame that was made `ahead` frames before it, of B sequences at once.

    The encoder's state is carried on from the first frame; at every frame the future decoder starts from a copy of it.
    An error is what training minimises: half the squared error per (standardised) frame, or the cross entropy. The
    `EncoderDecoder` must predict the future; `ahead` is 1 for the frame that follows.
    """

    def __init__(self, model, ahead):
        self._model = model if ahead == model.config.future_frames else model.with_horizon(ahead)
        self._ahead = ahead
        self._step = tf.function(self._advance, reduce_retracing=True)
        self.reset()

    def reset(self, sequences=1):
        """Forgets what went before; the next frames are the first ones of other sequences."""
        unknown = tf.fill((sequences, self._model.config.units[-1]), np.float32(np.nan))
        self._states = [lstm.cell.get_initial_state(sequences) for lstm in self._model.encoder]
        self._made = collections.deque([unknown] * self._ahead, self._ahead)

    def step(self, features):
        """Takes the next frames (B, D); their errors (B,) float32, NaN for the first `ahead` frames."""
        features = tf.constant(features, tf.float32)
        errors, made, self._states = self._step(features, self._made[0], self._states)
        self._made.append(made)
        return errors.numpy()

    def _advance(self, features, due, states):
        model, decoder = self._model, self._model.decoders["future"]
        values, kernel = model.standardise(features), ops.cast(decoder.output_kernel, decoder.compute_dtype)
        errors = FRAME_LOSSES[model.config.output](due, kernel, decoder.output_bias, values)
        _, states = advance(model.encoder, values, states)
        return errors, decoder.hiddens(states)[-1], states


class Surprise:
    """What each frame of a sequence is a surprise by: 0 is the usual error, 3 one that is three usual deviations above.

    Of `PredictionErrors`, by what `videorep.live.usual` found usual.
    """

    def __init__(self, errors, median, deviation):
        self._errors, self._median, self._deviation = errors, median, deviation

    def reset(self):
        """Forgets what went before."""
        self._errors.reset()

    def step(self, features):
        """Takes the features (D,) of the next frame; a float, or None where the frame was not predicted yet."""
        surprise = (float(self._errors.step(features[None])[0]) - self._median) / self._deviation
        return None if np.isnan(surprise) else surprise

    def measure(self, features):
        """The surprises (T,) of a whole sequence (T, D), NaN for the first frames."""
        self.reset()
        return np.array([self.step(each) for each in features], float)
