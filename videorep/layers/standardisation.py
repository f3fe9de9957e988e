"""Values of every feature less their mean, divided by their deviation, and back."""

from typing import Any

import keras
from keras import ops

from videorep.layers.recurrence import Tensor


@keras.saving.register_keras_serializable(package="videorep")
class Standardisation(keras.layers.Layer):
    """Gives every feature mean 0 and deviation 1, with constants that are saved with the model.

        z_d = (x_d - mean_d) / deviation_d

    Unlike `keras.layers.Normalization`, one layer goes both ways, and its constants come from `assign`. Until then it
    changes nothing. Computed in float32 under every dtype policy.

    Call arguments:
        inputs: (..., D).
        undo: Whether to go back from z to x.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32", "autocast": False})

    def build(self, input_shape):
        shape = (input_shape[-1],)
        self.mean = self.add_weight(name="mean", shape=shape, initializer="zeros", trainable=False)
        self.deviation = self.add_weight(name="deviation", shape=shape, initializer="ones", trainable=False)

    def assign(self, mean: Tensor, deviation: Tensor) -> None:
        """Takes the constants, (D,) each; every deviation must be greater than 0."""
        self.mean.assign(mean)
        self.deviation.assign(deviation)

    def call(self, inputs: Tensor, undo: bool = False) -> Tensor:
        inputs = ops.cast(inputs, "float32")
        return inputs * self.deviation + self.mean if undo else (inputs - self.mean) / self.deviation

    def compute_output_spec(self, inputs, undo=False):
        return keras.KerasTensor(inputs.shape, dtype="float32")
