"""The LSTM action classifier and its single-frame baseline."""

from typing import Any

import keras
from keras import ops

from videorep.config import ClassifierConfig, require
from videorep.layers import PeepholeLSTM, Standardisation
from videorep.layers.peephole_cell import uniform_fan_in
from videorep.layers.recurrence import Tensor
from videorep.models.averaging import average_steps, last_step
from videorep.models.objective_model import ObjectiveModel
from videorep.models.seeds import DROPOUT_SEEDS, initializers, part_seed
from videorep.models.serialization import describe, restore


@keras.saving.register_keras_serializable(package="videorep")
class Classifier(ObjectiveModel):
    """Class probabilities at every step of a block of frames.

    "lstm": stacked peephole LSTMs and a softmax on the top layer at every step, inverted dropout on what passes
    between layers, fresh per step, never on the recurrent path. "single-frame": the softmax straight on each frame
    (logistic regression). Zero-padded steps at a block's end do not change the steps before them; whoever averages
    over steps leaves them out.

    Args:
        config: ClassifierConfig.
        seed: Int or None, of the initial weights and the dropout.
        dtype: A Keras dtype policy.
    Call arguments:
        inputs: {"frames": (B, T, D)}, any T.
    Returns:
        (B, T, K) float32 probabilities; K is the number of classes.
    To fit:
        x: {"frames": (B, T, D)}.
        y: Numbers of the classes, (B,), or (B, T) where every step has its own.
        sample_weight: (B, T), where steps of weight 0 are padding, or None.
    Source: Srivastava et al. 2015, section 3.3.
    """

    def __init__(self, config: ClassifierConfig, seed: int | None = None, dtype: Any = None, **kwargs: Any) -> None:
        require(config.features >= 1, "features", "the number of values per frame, at least 1", config.features)
        require(len(config.classes) >= 2, "classes", "at least two class names", config.classes)

        # Layers
        units = config.units if config.name == "lstm" else ()
        lstms = [
            PeepholeLSTM(
                size,
                return_sequences=True,
                **initializers(seed, depth),
                trainable=not config.freeze_encoder,
                dtype=dtype,
                name=f"lstm_{depth}",
            )
            for depth, size in enumerate(units)
        ]
        softmax = keras.layers.Dense(
            len(config.classes),
            activation="softmax",
            kernel_initializer=uniform_fan_in(part_seed(seed, 2 * len(units))),
            dtype="float32",
            name="probabilities",
        )
        standardisation = Standardisation(name="standardisation") if config.standardise else None

        # Functional graph
        frames = keras.Input((None, config.features), name="frames")
        sequence = standardisation(frames) if standardisation else frames
        for depth, lstm in enumerate(lstms):
            sequence = lstm(_dropout(config, seed, depth, dtype)(sequence))
        outputs = softmax(_dropout(config, seed, len(lstms), dtype)(sequence))
        super().__init__({"frames": frames}, outputs, **{"name": "classifier", **kwargs})

        # Configuration
        self.config, self.seed, self.lstms, self.softmax = config, seed, lstms, softmax
        self.standardisation = standardisation
        self.policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())

    def block_losses(self, probabilities: Tensor, label: Tensor, mask: Tensor) -> Tensor:
        """Cross entropy of the label at every step that counts, averaged over a block's steps, or at the last of them.

        `config.loss` decides. With "last" nothing is asked of steps that have seen little, as suits a state that is
        carried on without end.

        Args:
            probabilities: (B, T, K), what the model gave.
            label: (B,) whole numbers, or (B, T), one per step.
            mask: (B, T), as for `average_steps`.
        Returns:
            (B,) float32, nats.
        Source: Srivastava et al. 2015, section 3.3; "last": An et al., MiniROAD, ICCV 2023.
        """
        label = label if len(label.shape) == 2 else label[:, None]
        wanted = ops.one_hot(label, len(self.config.classes), dtype="float32")
        likelihood = ops.sum(probabilities * wanted, axis=-1)
        return -average_steps(
            ops.log(ops.maximum(likelihood, 1e-7)), mask if self.config.loss == "all" else last_step(mask)
        )

    def example_losses(self, x, y, y_pred, weight, training):
        require(weight is None or len(weight.shape) == 2, "sample_weight", "(B, T), a number per step", weight)
        return self.block_losses(y_pred, y, ops.ones(ops.shape(y_pred)[:2]) if weight is None else weight)

    def get_config(self) -> dict:
        return describe(self, self.policy)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return restore(cls, ClassifierConfig, config)


def _dropout(config, seed, depth, dtype):
    own = part_seed(seed, DROPOUT_SEEDS + depth)
    return keras.layers.Dropout(config.dropout, seed=own, dtype=dtype, name=f"dropout_{depth}")
