"""Autoencoder, future predictor and composite: one encoder, one or two decoders."""

import dataclasses
from typing import Any

import keras
from keras import ops

from videorep.config import BRANCHES, ModelConfig, require
from videorep.layers import Decoder, PeepholeLSTM, Standardisation
from videorep.layers.recurrence import Tensor
from videorep.models.losses import FRAME_LOSS_NAMES, FRAME_LOSSES
from videorep.models.objective_model import ObjectiveModel
from videorep.models.pixels import to_unit_range
from videorep.models.seeds import DECODER_SEEDS, initializers, part_seed
from videorep.models.serialization import describe, restore


@keras.saving.register_keras_serializable(package="videorep")
class EncoderDecoder(ObjectiveModel):
    """Stacked peephole LSTMs that read frames, and decoders that start from copies of all their final states.

    Use `videorep.models.build_model`. As a functional graph the model runs free; `logits` is what training calls.

    Args:
        config: ModelConfig.
        seed: Int or None, of the initial weights.
        dtype: A Keras dtype policy.
    Call arguments:
        inputs: {"frames": (B, T, D)}, in [0, 1] for "bernoulli".
    Returns:
        {"reconstruction": (B, T, D), "future": (B, F, D)}, float32, those that the model has.
    To fit:
        x: {"frames": (B, T, D)}, which are what is reconstructed too.
        y: The frames that follow, (B, F, D); None for an autoencoder. Conditional decoders are fed with them.
        sample_weight: (B,) or None.
    Source: Srivastava et al. 2015, sections 2.2 to 2.5.
    """

    def __init__(self, config: ModelConfig, seed: int | None = None, dtype: Any = None, **kwargs: Any) -> None:
        require(config.features >= 1, "features", "the number of values per frame, at least 1", config.features)
        require(config.output != "auto", "output", "bernoulli or gaussian", config.output)

        # Layers
        encoder = [
            PeepholeLSTM(
                size,
                return_sequences=depth < len(config.units) - 1,
                return_state=True,
                **initializers(seed, depth),
                dtype=dtype,
                name=f"encoder_{depth}",
            )
            for depth, size in enumerate(config.units)
        ]
        decoders = {
            branch: Decoder(
                config.units,
                config.features,
                config.input_frames if branch == "reconstruction" else config.future_frames,
                conditional=branch in config.conditional,
                output=config.output,
                backwards=branch == "reconstruction",
                seed=part_seed(seed, DECODER_SEEDS * (1 + BRANCHES.index(branch))),
                dtype=dtype,
                name=f"{branch}_decoder",
            )
            for branch in config.branches
        }
        standardisation = Standardisation(name="standardisation") if config.standardise else None

        # Functional graph
        frames = keras.Input((config.input_frames, config.features), name="frames")
        states = _encode(encoder, standardisation(frames) if standardisation else frames)
        activation = "sigmoid" if config.output == "bernoulli" else "linear"
        outputs = {
            branch: keras.layers.Activation(activation, dtype="float32", name=branch)(decoder(states))
            for branch, decoder in decoders.items()
        }
        if standardisation:
            outputs = {branch: standardisation(output, undo=True) for branch, output in outputs.items()}
        super().__init__({"frames": frames}, outputs, **{"name": config.name, **kwargs})

        # Configuration
        self.config, self.seed = config, seed
        self.encoder, self.decoders, self.standardisation = encoder, decoders, standardisation

    def standardise(self, frames: Tensor) -> Tensor:
        """Frames (B, T, D) as encoder, decoders and loss see them: as they are, unless `config.standardise`."""
        return self.standardisation(frames) if self.standardisation else frames

    def encode(self, frames: Tensor) -> list[list[Tensor]]:
        """Every encoder layer's final [h, c], each (B, units) float32, from frames (B, T, D)."""
        return _encode(self.encoder, self.standardise(frames))

    def hiddens(
        self,
        frames: Tensor,
        teacher: dict[str, Tensor] | None = None,
        shown: dict[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """What each decoder reads its frames off: the top layer's h.

        Args:
            frames: (B, T, D).
            teacher: {"reconstruction": (B, T, D), "future": (B, F, D)}, the true frames that conditional decoders
                are fed with, in natural time order; None: they are fed with their own output.
            shown: {branch: (B, T or F) bool}, which of these they are fed with; all where None.
        Returns:
            {branch: (T or F, B, units) float32}, in the order in which the decoder emits.
        """
        states = self.encode(frames)
        teacher = {branch: self.standardise(true_frames) for branch, true_frames in (teacher or {}).items()}
        shown = shown or {}
        return {
            branch: decoder.hiddens(states, teacher.get(branch), shown.get(branch))
            for branch, decoder in self.decoders.items()
        }

    def logits(self, frames: Tensor, teacher: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Decoder outputs before the logistic, or before standardisation is undone. Arguments as for `hiddens`.

        Returns:
            {branch: (B, T or F, D) float32}: logits ("bernoulli") or values ("gaussian"), the latter as `standardise`
            gives them.
        """
        hiddens = self.hiddens(frames, teacher)
        return {
            branch: decoder.read_out(decoder.natural_order(hiddens[branch]))
            for branch, decoder in self.decoders.items()
        }

    def emitted(self, logits: dict[str, Tensor]) -> dict[str, Tensor]:
        """The frames that `logits` stand for: {branch: (B, T or F, D)}, probabilities or values in the data's units."""
        frames = {branch: self.decoders[branch].emitted(each) for branch, each in logits.items()}
        if self.standardisation:
            frames = {branch: self.standardisation(each, undo=True) for branch, each in frames.items()}
        return frames

    def frame_losses(
        self, inputs: Tensor, future: Tensor = None, teacher_forced: bool | Tensor = True
    ) -> dict[str, Tensor]:
        """What training minimises is the sum of these, of equal weight (paper section 2.5).

        Args:
            inputs: Frames (B, T, D), in [0, 1] for "bernoulli", or uint8 pixels.
            future: The frames that follow, (B, F, D); not needed by an autoencoder.
            teacher_forced: Whether conditional decoders are fed with the true frame before, not with their own output;
                or which of the frames they are fed with, (B, T + F) bool.
        Returns:
            {"BRANCH_NAME_OF_THE_LOSS": (B,) float32}, per frame, averaged over a sequence's frames.
        """
        config = self.config
        targets = {"reconstruction": inputs, "future": future}
        shown, length = {}, config.input_frames
        if not isinstance(teacher_forced, bool):
            shown = {"reconstruction": teacher_forced[:, :length], "future": teacher_forced[:, length:]}
        teacher = {branch: to_unit_range(targets[branch]) for branch in config.conditional if shown or teacher_forced}
        frame_loss, name = FRAME_LOSSES[config.output], FRAME_LOSS_NAMES[config.output]
        name = f"standardised_{name}" if config.standardise else name
        losses = {}
        for branch, hiddens in self.hiddens(to_unit_range(inputs), teacher, shown).items():
            decoder, target = self.decoders[branch], targets[branch]
            target = self.standardise(to_unit_range(target)) if config.standardise else target
            kernel = ops.cast(decoder.output_kernel, decoder.compute_dtype)
            # The frames are put into the order of the hidden states: they wait for nothing, bytes if they are pixels.
            of_frames = frame_loss(hiddens, kernel, decoder.output_bias, decoder.emission_order(target))
            losses[f"{branch}_{name}"] = ops.mean(of_frames, axis=0)
        return losses

    def example_losses(self, x, y, y_pred, weight, training):
        inputs, config = x["frames"], self.config
        wanted = {"x": (inputs, config.input_frames)}
        wanted |= {"y": (y, config.future_frames)} if "future" in config.branches else {}
        for name, (frames, count) in wanted.items():
            shape = None if frames is None else tuple(frames.shape[1:])
            require(shape == (count, config.features), name, f"frames (B, {count}, {config.features})", shape)
        require(weight is None or len(weight.shape) == 1, "sample_weight", "a number per sequence", weight)
        losses = sum(self.frame_losses(inputs, y, teacher_forced=bool(training)).values())
        return losses if weight is None else losses * ops.cast(weight, "float32")

    def with_horizon(self, future_frames: int) -> "EncoderDecoder":
        """The same model, same weights, that emits another number of future frames."""
        longer = EncoderDecoder(
            dataclasses.replace(self.config, future_frames=future_frames),
            seed=self.seed,
            dtype=self.encoder[0].dtype_policy,
        )
        longer.set_weights(self.get_weights())
        return longer

    def get_config(self) -> dict:
        return describe(self, self.encoder[0].dtype_policy)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return restore(cls, ModelConfig, config)


def _encode(encoder, frames):
    states, sequence = [], frames
    for lstm in encoder:
        sequence, *state = lstm(sequence)
        states.append(state)
    return states
