"""Peephole LSTM over whole sequences: a recurrent layer as Keras' are, with a fast path of its own."""

from typing import Any

import keras
from keras import ops

from videorep.config import require
from videorep.layers.peephole_cell import Identifier, PeepholeLSTMCell
from videorep.layers.recurrence import UNROLL_LIMIT, Tensor, peephole_sequence, step_by_step


@keras.saving.register_keras_serializable(package="videorep")
class PeepholeLSTM(keras.layers.RNN):
    """A peephole LSTM over whole sequences.

    Takes every option of `keras.layers.LSTM`, and computes the same where the peepholes are zero. It differs in its
    defaults, which are the paper's (all biases start at 0, weights are U(+-1/sqrt(fan_in))), and in that its states
    are float32 under mixed precision too.

    Up to 32 steps, or with `unroll` any number, the fast path runs: unrolled, with a gradient of its own that makes
    each weight's gradient one product over all steps. Other activations than tanh and sigmoid, `recurrent_dropout` in
    training, and more (or unknown) steps rule it out: then the step of `PeepholeLSTMCell` runs in a plain loop, after
    one product for the inputs of all steps.

    Args:
        units: Positive whole number, size of the hidden and of the cell state.
        return_sequences: Whether to return h of every step or of the last.
        return_state: Whether to return the final h and c too.
        go_backwards: Whether to read the sequence from its end; outputs stand in the order in which they are made.
        stateful: Whether a batch starts from the states at which the one before ended, until `reset_state`.
        unroll: Whether to unroll the loop for any number of steps.
        zero_output_for_mask: Whether the outputs of steps whose mask is False are 0; `keras.layers.Bidirectional`
            sets it.
        activity_regularizer: Of what is returned.
        options: All else that `PeepholeLSTMCell` takes: activations, bias, initializers, regularizers, constraints,
            dropout, seed.
    Call arguments:
        sequences: (B, T, D).
        initial_state: [h, c], each (B, units); zeros by default.
        mask: (B, T) bool; a step whose mask is False leaves state and output as they were. Before the first step that
            counts the output is the initial h (Keras' own loop emits zeros there on TensorFlow, h on JAX).
        training: Whether to drop.
    Returns:
        (B, T, units) or (B, units) in the compute dtype; with `return_state` also h and c, (B, units) float32.
    Raises:
        ConfigError: as `PeepholeLSTMCell`; `unroll` of an unknown number of steps; another batch size than that of
            the states.
    Source: Srivastava et al. 2015, section 2.1.
    """

    def __init__(
        self,
        units: int,
        *,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        activity_regularizer: Identifier = None,
        name: str | None = None,
        dtype: str | dict | keras.DTypePolicy | None = None,
        trainable: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(
            PeepholeLSTMCell(units, name="cell", dtype=dtype, trainable=trainable, **options),
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
            activity_regularizer=activity_regularizer,
            name=name,
            dtype=dtype,
            trainable=trainable,
            autocast=False,
        )
        self.input_spec = keras.layers.InputSpec(ndim=3)

    @property
    def units(self) -> int:
        return self.cell.units

    @property
    def use_inputs(self) -> bool:
        return self.cell.use_inputs

    def call(
        self, sequences: Tensor, initial_state: list[Tensor] | None = None, mask: Tensor = None, training: bool = False
    ) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        # `Decoder` makes layers without inputs and calls `run`, which is told how many steps they make.
        require(self.use_inputs, "use_inputs", "True in a layer that is called; use PeepholeLSTMCell", False)
        self._require_length(sequences.shape[1])
        state = self._first_state(sequences) if initial_state is None else initial_state
        mask = None if mask is None else ops.swapaxes(ops.cast(mask, "bool"), 0, 1)
        sequences = ops.swapaxes(ops.cast(sequences, self.compute_dtype), 0, 1)
        if self.go_backwards:
            sequences, mask = ops.flip(sequences, axis=0), None if mask is None else ops.flip(mask, axis=0)
        hiddens, cell = self.run(state, sequences, mask, training=training)
        hidden = last = hiddens[-1]
        if self.stateful:
            for variable, final in zip(self.states, (hidden, cell), strict=True):
                variable.assign(final)
        if self.zero_output_for_mask and mask is not None:
            hiddens = ops.where(mask[..., None], hiddens, 0.0)
            last = hiddens[-1]
        output = ops.cast(ops.swapaxes(hiddens, 0, 1) if self.return_sequences else last, self.compute_dtype)
        return (output, hidden, cell) if self.return_state else output

    def _first_state(self, sequences):
        if not self.stateful:
            return self.get_initial_state(ops.shape(sequences)[0])
        expected, received = self.states[0].shape[0], sequences.shape[0]
        require(received in (None, expected), "the batch of a stateful layer", f"of {expected} sequences", received)
        return self.states

    def run(
        self, state: list, inputs: Tensor = None, mask: Tensor = None, steps: int | None = None, training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """All steps, time-major: h_1..h_T (T, B, units) and c_T (B, units), float32.

        Args:
            state: [h, c], each (B, units).
            inputs: (T, B, D), or None for a layer without inputs, which runs `steps` steps.
            mask: (T, B) bool or None.
        """
        state = [ops.cast(each, "float32") for each in state]
        drops = training and self.cell.drops
        if drops:
            self.cell.get_dropout_mask(inputs[0])  # Drawn here: one for all steps, and a loop has no side effects.
            self.cell.get_recurrent_dropout_mask(state[0])
        projected = self.cell.project(inputs, training) if self.use_inputs else None
        steps = projected.shape[0] if self.use_inputs else steps
        if self._takes_fast_path(steps, training):
            result = peephole_sequence(state, self.cell.recurrent_weights(), projected, mask, steps)
        else:
            result = step_by_step(self.cell.transition(training), state, projected, mask, steps, self.unroll)
        if drops:
            self.cell.reset_dropout_mask()
            self.cell.reset_recurrent_dropout_mask()
        return result

    def _takes_fast_path(self, steps, training):
        usual = (keras.activations.tanh, keras.activations.sigmoid)
        return (
            (self.cell.activation, self.cell.recurrent_activation) == usual
            and not (training and self.cell.recurrent_dropout)
            and (self.unroll or (steps is not None and steps <= UNROLL_LIMIT))
        )

    def _require_length(self, steps):
        require(steps or not self.unroll, "unroll", "False where the number of steps is unknown", self.unroll)

    def compute_output_spec(self, sequences, initial_state=None, mask=None, training=False):
        self._require_length(sequences.shape[1])
        shapes = self.compute_output_shape(sequences.shape)
        output, *states = shapes if self.return_state else (shapes,)
        output = keras.KerasTensor(output, dtype=self.compute_dtype)
        return (output, *(keras.KerasTensor(s, dtype="float32") for s in states)) if self.return_state else output

    def get_config(self) -> dict:
        own = super().get_config()
        del own["cell"]
        regularizer = keras.regularizers.serialize(self.activity_regularizer)
        return {**self.cell.get_config(), **own, "activity_regularizer": regularizer}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)
