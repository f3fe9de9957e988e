"""What training minimises, as Keras' own loop and this project's loop ask for it. Keras operations only."""

import keras
from keras import ops

from videorep.config import require


class ObjectiveModel(keras.Model):
    """A model that brings its own loss: `compile(optimizer)`, then `fit` minimises what `pretrain` or `finetune` do.

    Subclasses give `example_losses(x, y, y_pred, weight, training)`, (B,).
    """

    def compile(self, optimizer="rmsprop", loss=None, **options):
        """Keras' `compile`, without a loss: a ConfigError where one was given."""
        require(loss is None, "loss", "left out: the model has its own", loss)
        super().compile(optimizer, **options)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The mean of the examples' losses and the layers' own, a float32 number; Keras calls it."""
        return sum(self.losses, ops.mean(self.example_losses(x, y, y_pred, sample_weight, training)))
