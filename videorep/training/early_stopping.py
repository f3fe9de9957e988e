"""Ends training when a validation loss no longer falls, and goes back to the best weights."""

import numpy as np
import tensorflow as tf


class EarlyStopping:
    """The weights with the smallest loss so far, and how many evaluations have passed since.

    All of it lies in variables: whoever keeps them in checkpoints goes on as if nothing had happened.

    Args:
        model: Keras model.
        patience: Evaluations without a smaller loss after which to stop; positive.
    """

    def __init__(self, model, patience):
        self._model, self._patience = model, patience
        self._best = [tf.Variable(variable.value) for variable in model.variables]
        self._loss = tf.Variable(np.finfo(np.float64).max, dtype=tf.float64)  # checkpoints must be finite
        self._waited = tf.Variable(0, dtype=tf.int64)

    @property
    def variables(self):
        """What a checkpoint must hold."""
        return [*self._best, self._loss, self._waited]

    @property
    def is_over(self):
        """Whether to stop."""
        return int(self._waited.numpy()) >= self._patience

    def look(self, loss):
        """Takes the loss of an evaluation."""
        if loss < float(self._loss.numpy()):
            self._loss.assign(np.asarray(loss))
            self._waited.assign(np.asarray(0))
            for best, variable in zip(self._best, self._model.variables, strict=True):
                best.assign(variable.value)
        else:
            self._waited.assign_add(np.asarray(1))

    def restore(self):
        """Gives the model its best weights back."""
        for best, variable in zip(self._best, self._model.variables, strict=True):
            variable.assign(best)
