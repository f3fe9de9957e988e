"""Peephole LSTM: a cell with Keras' contract, and the fast layer over whole sequences."""

import keras
from keras import ops

from videorep.config import require, whole
from videorep.layers.recurrence import gate_sums, peephole_sequence, peephole_step


def uniform_fan_in(seed=None):
    """U(-1/sqrt(fan_in), +1/sqrt(fan_in)), the paper's initial weights."""
    return keras.initializers.VarianceScaling(scale=1 / 3, mode="fan_in", distribution="uniform", seed=seed)


class _PeepholeWeights(keras.layers.Layer):
    """The weights that cell and sequence layer share, and their configuration."""

    def __init__(
        self,
        units,
        *,
        use_inputs=True,
        kernel_initializer=None,
        recurrent_initializer=None,
        bias_initializer="zeros",
        peephole_initializer="zeros",
        **kwargs,
    ):
        # No autocasting of inputs or weights: matrix products are cast by hand, all else stays in float32.
        super().__init__(autocast=False, **kwargs)
        self.units = whole("units", units)
        self.use_inputs = use_inputs
        self.kernel_initializer = keras.initializers.get(kernel_initializer or uniform_fan_in())
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer or uniform_fan_in())
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.peephole_initializer = keras.initializers.get(peephole_initializer)
        self.state_size = [self.units, self.units]
        self.output_size = self.units
        self.kernel = None

    def build(self, input_shape=None):
        def weight(name, shape, initializer):
            return self.add_weight(name=name, shape=shape, initializer=initializer, autocast=False)

        gates = 4 * self.units
        if self.use_inputs:
            self.kernel = weight("kernel", (input_shape[-1], gates), self.kernel_initializer)
        self.recurrent_kernel = weight("recurrent_kernel", (self.units, gates), self.recurrent_initializer)
        self.bias = weight("bias", (gates,), self.bias_initializer)
        self.peephole_kernel = weight("peephole_kernel", (3, self.units), self.peephole_initializer)

    def project(self, inputs):
        """W_x x for any leading axes, in the compute dtype."""
        return ops.matmul(ops.cast(inputs, self.compute_dtype), ops.cast(self.kernel, self.compute_dtype))

    def zero_state(self, batch_size):
        """[h, c], each (batch_size, units) float32 zeros."""
        return [ops.zeros((batch_size, self.units), dtype="float32") for _ in range(2)]

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "use_inputs": self.use_inputs,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "peephole_initializer": keras.initializers.serialize(self.peephole_initializer),
        }


@keras.saving.register_keras_serializable(package="videorep")
class PeepholeLSTMCell(_PeepholeWeights):
    """One step of a peephole LSTM, for `keras.layers.RNN` and for step-by-step use.

    Unlike `keras.layers.LSTMCell`, the gates see the cell state through diagonal peepholes (the output gate sees
    the new one), and all biases start at 0, the forget gate's too. For whole sequences use `PeepholeLSTM`, which
    has the same weights and is faster.

    Args:
        units: Positive whole number, size of the hidden and of the cell state.
        use_inputs: False for a cell without input: no `kernel`; `call` then takes None.
        kernel_initializer, recurrent_initializer: Default U(+-1/sqrt(fan_in)).
        bias_initializer, peephole_initializer: Default zeros.
    Call arguments:
        inputs: (B, D), or None.
        states: [h, c], each (B, units).
    Returns:
        h (B, units) in the compute dtype and [h, c] in the dtypes in which the states came.
    Raises:
        ConfigError: `units` is no whole number, or < 1.
    Source: Srivastava et al. 2015, section 2.1.
    """

    def call(self, inputs, states, training=False):
        hidden, cell = states
        projected = self.project(inputs) if self.use_inputs else None
        recurrent_kernel = ops.cast(self.recurrent_kernel, self.compute_dtype)
        sums = gate_sums(hidden, recurrent_kernel, self.bias, projected)
        new_hidden, new_cell, _ = peephole_step(
            sums, ops.cast(cell, "float32"), ops.cast(self.peephole_kernel, "float32")
        )
        states = [ops.cast(new_hidden, hidden.dtype), ops.cast(new_cell, cell.dtype)]
        return ops.cast(new_hidden, self.compute_dtype), states

    def get_initial_state(self, batch_size=None):
        return self.zero_state(batch_size)


@keras.saving.register_keras_serializable(package="videorep")
class PeepholeLSTM(_PeepholeWeights):
    """A peephole LSTM over whole sequences.

    Computes what `keras.layers.RNN(PeepholeLSTMCell(units))` does, faster: the input product of all steps is one
    matrix product, and so is each weight's gradient. Unlike `keras.layers.LSTM` it has peepholes and its initial
    and final states are float32 under mixed precision too.

    Args:
        units: Positive whole number, size of the hidden and of the cell state.
        return_sequences: Whether to return h of every step or of the last.
        return_state: Whether to return the final h and c too.
        kernel_initializer, recurrent_initializer, bias_initializer, peephole_initializer: As for `PeepholeLSTMCell`.
    Call arguments:
        inputs: (B, T, D).
        initial_state: [h, c], each (B, units); zeros by default.
        mask: (B, T) bool; a step whose mask is False leaves state and output as they were.
    Returns:
        (B, T, units) or (B, units) in the compute dtype; with `return_state` also h and c, (B, units) float32.
    Raises:
        ConfigError: `units` is no whole number, or < 1.
    Source: Srivastava et al. 2015, section 2.1.
    """

    def __init__(self, units, return_sequences=False, return_state=False, **kwargs):
        super().__init__(units, **kwargs)
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.supports_masking = True

    def call(self, inputs, initial_state=None, mask=None):
        # `Decoder` makes layers without inputs and calls `run`, which is told how many steps they make.
        require(self.use_inputs, "use_inputs", "True in a layer that is called; use PeepholeLSTMCell", False)
        state = self.zero_state(ops.shape(inputs)[0]) if initial_state is None else initial_state
        mask = None if mask is None else ops.swapaxes(ops.cast(mask, "bool"), 0, 1)
        hiddens, cell = self.run(state, ops.swapaxes(ops.cast(inputs, self.compute_dtype), 0, 1), mask)
        hidden = hiddens[-1]
        output = ops.swapaxes(hiddens, 0, 1) if self.return_sequences else hidden
        output = ops.cast(output, self.compute_dtype)
        return (output, hidden, cell) if self.return_state else output

    def run(self, state, inputs=None, mask=None, steps=None):
        """All steps, time-major: h_1..h_T (T, B, units) and c_T (B, units), float32.

        Args:
            state: [h, c], each (B, units).
            inputs: (T, B, D), or None for a layer without inputs, which runs `steps` steps.
            mask: (T, B) bool or None.
        """
        hidden, cell = (ops.cast(each, "float32") for each in state)
        return peephole_sequence(
            hidden,
            cell,
            ops.cast(self.recurrent_kernel, self.compute_dtype),
            ops.cast(self.bias, "float32"),
            ops.cast(self.peephole_kernel, "float32"),
            self.project(inputs) if self.use_inputs else None,
            mask,
            steps,
        )

    def compute_mask(self, inputs, mask=None):
        output_mask = mask if self.return_sequences else None
        return (output_mask, None, None) if self.return_state else output_mask

    def compute_output_spec(self, inputs, initial_state=None, mask=None):
        batch, steps, _ = inputs.shape
        shape = (batch, steps, self.units) if self.return_sequences else (batch, self.units)
        output = keras.KerasTensor(shape, dtype=self.compute_dtype)
        if not self.return_state:
            return output
        return output, *(keras.KerasTensor((batch, self.units), dtype="float32") for _ in range(2))

    def get_config(self):
        return {
            **super().get_config(),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
        }
