"""The decoder LSTM: from copied states to a sequence of frames."""

import keras
from keras import ops

from videorep.layers.peephole_lstm import PeepholeLSTM, uniform_fan_in
from videorep.layers.recurrence import UNROLL_LIMIT, gate_sums, peephole_step


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
    Source: Srivastava et al. 2015, sections 2.2 to 2.4.
    """

    def __init__(
        self, units, features, frames, *, conditional=False, output="bernoulli", backwards=False, seed=None, **kwargs
    ):
        super().__init__(autocast=False, **kwargs)
        self.units, self.features, self.frames = tuple(units), features, frames
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

    def call(self, states, teacher=None):
        if not self.conditional:
            return self._unrolled(states, None)
        return self._own_output(states) if teacher is None else self._unrolled(states, teacher)

    def read_out(self, hidden):
        """(..., D) float32 from the top layer's h (..., U)."""
        kernel = ops.cast(self.output_kernel, self.compute_dtype)
        return ops.cast(ops.matmul(ops.cast(hidden, self.compute_dtype), kernel), "float32") + self.output_bias

    def emitted(self, read_out):
        """What a frame's read-out stands for: probabilities or values."""
        return ops.sigmoid(read_out) if self.output_kind == "bernoulli" else read_out

    def _unrolled(self, states, teacher):
        """All transitions of a layer at once, layer by layer."""
        sequence, last_hidden = None, ops.cast(states[-1][0], "float32")
        if teacher is not None:
            ordered = ops.flip(teacher, axis=1) if self.backwards else teacher
            sequence = ops.swapaxes(ops.cast(ordered[:, : self.frames - 1], self.compute_dtype), 0, 1)
        hiddens = ops.expand_dims(last_hidden, 0)
        if self.frames > 1:
            for lstm, state in zip(self.lstms, states, strict=True):
                sequence, _ = lstm.run(state, sequence, steps=self.frames - 1)
            hiddens = ops.concatenate([hiddens, sequence])
        hiddens = ops.swapaxes(hiddens, 0, 1)
        return self.read_out(ops.flip(hiddens, axis=1) if self.backwards else hiddens)

    def _own_output(self, states):
        """One transition of all layers at a time, each fed with the frame just emitted."""
        states = [tuple(ops.cast(each, "float32") for each in state) for state in states]
        first = self.read_out(states[-1][0])

        def transition(carry, _):
            previous, states = carry
            inputs, new_states = self.emitted(previous), []
            for lstm, (hidden, cell) in zip(self.lstms, states, strict=True):
                kernel = ops.cast(lstm.recurrent_kernel, self.compute_dtype)
                sums = gate_sums(hidden, kernel, lstm.bias, lstm.project(inputs))
                hidden, cell, _ = peephole_step(sums, cell, ops.cast(lstm.peephole_kernel, "float32"))
                new_states.append((hidden, cell))
                inputs = hidden
            frame = self.read_out(inputs)
            return (frame, new_states), (frame, new_states)

        if self.frames <= UNROLL_LIMIT:
            carry, frames = (first, states), [first]
            for _ in range(self.frames - 1):
                carry, (frame, _) = transition(carry, None)
                frames.append(frame)
            frames = ops.stack(frames, axis=1)
        else:
            _, (rest, _) = ops.scan(transition, (first, states), length=self.frames - 1)
            frames = ops.swapaxes(ops.concatenate([ops.expand_dims(first, 0), rest]), 0, 1)
        return ops.flip(frames, axis=1) if self.backwards else frames

    def compute_output_spec(self, states, teacher=None):
        return keras.KerasTensor((states[0][0].shape[0], self.frames, self.features), dtype="float32")

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "features": self.features,
            "frames": self.frames,
            "conditional": self.conditional,
            "output": self.output_kind,
            "backwards": self.backwards,
            "seed": self.seed,
        }
