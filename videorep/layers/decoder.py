"""The decoder LSTM: from copied states to a sequence of frames."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from videorep.config import OUTPUTS, require, whole
from videorep.layers.peephole_cell import uniform_fan_in
from videorep.layers.peephole_lstm import PeepholeLSTM
from videorep.layers.recurrence import UNROLL_LIMIT, Tensor

KINDS_OF_OUTPUT = tuple(kind for kind in OUTPUTS if kind != "auto")


@keras.saving.register_keras_serializable(package="videorep")
class Decoder(keras.layers.Layer):
    """Unrolls a stack of peephole LSTMs from the encoder's final states into frames.

    The first frame is read straight off the copied state and `frames - 1` transitions follow. An unconditioned
    decoder has no input at all; a conditional one receives the frame before: the true one where `teacher` is
    given (teacher forcing), else its own output after the logistic.

    Args:
        units: Units of every layer, bottom first.
        features: D, values per frame.
        frames: F, frames to emit.
        conditional: Whether the first layer receives the frame before.
        output: "bernoulli" (logits of probabilities) or "gaussian" (values).
        backwards: Whether the first emitted frame is the last in time (the autoencoder's reversed target).
        seed: Int or None, of the initial weights.
    Call arguments:
        states: [[h, c], ...], one pair per layer, each (B, units).
        teacher: (B, F, D), the true frames in natural time order, or None. Ignored unless `conditional`.
    Returns:
        (B, F, D) float32 in natural time order: logits ("bernoulli") or values ("gaussian").
    Raises:
        ConfigError: a size that is no whole number of at least 1, or another output.
    Source: Srivastava et al. 2015, sections 2.2 to 2.4.
    """

    def __init__(
        self,
        units: Sequence[int],
        features: int,
        frames: int,
        *,
        conditional: bool = False,
        output: str = "bernoulli",
        backwards: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        require(output in KINDS_OF_OUTPUT, "output", f"one of {', '.join(KINDS_OF_OUTPUT)}", output)
        self.units = tuple(whole("units", size) for size in units)
        require(self.units, "units", "a whole number per layer", units)
        self.features, self.frames = whole("features", features), whole("frames", frames)
        self.conditional, self.output_kind, self.backwards, self.seed = conditional, output, backwards, seed
        seeds = [None if seed is None else seed + k for k in range(2 * len(self.units) + 1)]
        self.lstms = [
            PeepholeLSTM(
                size,
                use_inputs=conditional or depth > 0,
                kernel_initializer=uniform_fan_in(seeds[2 * depth]),
                recurrent_initializer=uniform_fan_in(seeds[2 * depth + 1]),
                dtype=self.dtype_policy,
                name=f"lstm_{depth}",
            )
            for depth, size in enumerate(self.units)
        ]
        self.output_initializer = uniform_fan_in(seeds[-1])

    def build(self, states_shape=None, teacher_shape=None):
        for below, lstm in zip((self.features, *self.units), self.lstms, strict=False):
            lstm.build((None, None, below))
        shape, initializer = (self.units[-1], self.features), self.output_initializer
        self.output_kernel = self.add_weight(name="output_kernel", shape=shape, initializer=initializer, autocast=False)
        self.output_bias = self.add_weight(name="output_bias", shape=shape[1:], initializer="zeros", autocast=False)

    def call(self, states: list[list[Tensor]], teacher: Tensor = None) -> Tensor:
        return self.read_out(self.natural_order(self.hiddens(states, teacher)))

    def hiddens(self, states: list[list[Tensor]], teacher: Tensor = None, shown: Tensor = None) -> Tensor:
        """h of the top layer for every frame, (F, B, units) float32 in emission order; called as the layer is.

        Where `shown` (B, F) bool, like `teacher` in natural time order, is False, a conditional decoder is fed with its
        own output in place of that true frame.
        """
        step_by_step = self.conditional and (teacher is None or shown is not None)
        return self._frame_by_frame(states, teacher, shown) if step_by_step else self._unrolled(states, teacher)

    def emission_order(self, frames: Tensor) -> Tensor:
        """Frames (B, F, ...) in natural time order as (F, B, ...), the frame that is emitted first at the front."""
        frames = ops.swapaxes(frames, 0, 1)
        return ops.flip(frames, axis=0) if self.backwards else frames

    def natural_order(self, emitted: Tensor) -> Tensor:
        """What `emission_order` undoes: (F, B, ...) as (B, F, ...)."""
        emitted = ops.flip(emitted, axis=0) if self.backwards else emitted
        return ops.swapaxes(emitted, 0, 1)

    def read_out(self, hidden: Tensor) -> Tensor:
        """(..., D) float32 from the top layer's h (..., U)."""
        kernel = ops.cast(self.output_kernel, self.compute_dtype)
        return ops.cast(ops.matmul(ops.cast(hidden, self.compute_dtype), kernel), "float32") + self.output_bias

    def emitted(self, read_out: Tensor) -> Tensor:
        """What a frame's read-out stands for: probabilities or values."""
        return ops.sigmoid(read_out) if self.output_kind == "bernoulli" else read_out

    def _unrolled(self, states, teacher):
        """All transitions of a layer at once, layer by layer; (F, B, units)."""
        sequence, hiddens = None, ops.expand_dims(ops.cast(states[-1][0], "float32"), 0)
        if self.frames == 1:
            return hiddens
        if self.conditional:
            sequence = self.emission_order(ops.cast(teacher, self.compute_dtype))[: self.frames - 1]
        for lstm, state in zip(self.lstms, states, strict=True):
            sequence, _ = lstm.run(state, sequence, steps=self.frames - 1)
        return ops.concatenate([hiddens, sequence])

    def _frame_by_frame(self, states, teacher, shown):
        """One transition of all layers at a time, each fed with the frame just emitted or shown; (F, B, units)."""

        def transition(states, given):
            inputs, new_states = self.emitted(self.read_out(states[-1][0])), []
            if given is not None:
                inputs = ops.where(given[1], given[0], inputs)
            for lstm, state in zip(self.lstms, states, strict=True):
                new_states.append(lstm.cell.step(inputs, state))
                inputs = new_states[-1][0]
            return new_states, new_states

        states, transitions = [tuple(ops.cast(each, "float32") for each in state) for state in states], self.frames - 1
        given = None if shown is None else (ops.cast(teacher, "float32"), shown[..., None])
        given = given and tuple(self.emission_order(each)[:transitions] for each in given)
        if self.frames > UNROLL_LIMIT:
            _, following = ops.scan(transition, states, given, length=transitions)
            return ops.concatenate([ops.expand_dims(states[-1][0], 0), following[-1][0]])
        hiddens = [states[-1][0]]
        for step in range(transitions):
            states, _ = transition(states, given and tuple(each[step] for each in given))
            hiddens.append(states[-1][0])
        return ops.stack(hiddens)

    def with_frames(self, frames: int) -> "Decoder":
        """The same decoder, same weights, that emits another number of frames."""
        longer = Decoder.from_config({**self.get_config(), "frames": frames})
        longer.build()
        longer.set_weights(self.get_weights())
        return longer

    def compute_output_spec(self, states, teacher=None):
        return keras.KerasTensor((states[0][0].shape[0], self.frames, self.features), dtype="float32")

    def get_config(self) -> dict:
        names = ("units", "features", "frames", "conditional", "backwards", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}, "output": self.output_kind}
