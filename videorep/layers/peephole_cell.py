"""Peephole LSTM as a Keras cell: its weights and options, and the one step that every way of running shares."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops
from keras.src.layers.rnn.dropout_rnn_cell import DropoutRNNCell  # the only class whose masks `keras.layers.RNN` draws

from videorep.config import require, whole
from videorep.layers.recurrence import Tensor, gate_sums, peephole_step, product

WEIGHTS = ("kernel", "recurrent", "bias", "peephole")
ROLES = {"initializer": keras.initializers, "regularizer": keras.regularizers, "constraint": keras.constraints}
PLAIN = ("units", "use_inputs", "use_bias", "unit_forget_bias", "dropout", "recurrent_dropout", "seed")
Identifier = str | dict | Callable | None  # what `keras.initializers.get` and the like take


def uniform_fan_in(seed=None):
    """U(-1/sqrt(fan_in), +1/sqrt(fan_in)), the paper's initial weights."""
    return keras.initializers.VarianceScaling(scale=1 / 3, mode="fan_in", distribution="uniform", seed=seed)


@keras.saving.register_keras_serializable(package="videorep")
class PeepholeLSTMCell(DropoutRNNCell, keras.layers.Layer):
    """One step of a peephole LSTM, for `keras.layers.RNN` and for step-by-step use.

    Unlike `keras.layers.LSTMCell`, the gates see the cell state through diagonal peepholes (the output gate sees
    the new one), and all biases start at 0, the forget gate's too. For whole sequences use `PeepholeLSTM`, which
    has the same weights and is faster.

    Args:
        units: Positive whole number, size of the hidden and of the cell state.
        use_inputs: False for a cell without input: no `kernel`; `call` then takes None.
        activation, recurrent_activation: Of candidate and cell state, and of the gates. Default tanh and sigmoid.
        use_bias: Whether the gates have biases.
        unit_forget_bias: Whether the forget gate's bias starts at 1, as Keras' does by default.
        kernel_initializer, recurrent_initializer: Default U(+-1/sqrt(fan_in)).
        bias_initializer, peephole_initializer: Default zeros.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, peephole_regularizer: Default none.
        kernel_constraint, recurrent_constraint, bias_constraint, peephole_constraint: Default none.
        dropout, recurrent_dropout: Fractions in [0, 1) of x and of h that training drops, the same at every step of
            a sequence; with `recurrent_dropout` each gate has masks of its own, as in Keras.
        seed: Int or None, of the dropout.
    Call arguments:
        inputs: (B, D), or None.
        states: [h, c], each (B, units).
        training: Whether to drop.
    Returns:
        h (B, units) in the compute dtype and [h, c] in the dtypes in which the states came.
    Raises:
        ConfigError: `units` is no whole number, or < 1; a dropout outside of [0, 1).
    Source: Srivastava et al. 2015, section 2.1.
    """

    def __init__(
        self,
        units: int,
        *,
        use_inputs: bool = True,
        activation: Identifier = "tanh",
        recurrent_activation: Identifier = "sigmoid",
        use_bias: bool = True,
        unit_forget_bias: bool = False,
        kernel_initializer: Identifier = None,
        recurrent_initializer: Identifier = None,
        bias_initializer: Identifier = "zeros",
        peephole_initializer: Identifier = "zeros",
        kernel_regularizer: Identifier = None,
        recurrent_regularizer: Identifier = None,
        bias_regularizer: Identifier = None,
        peephole_regularizer: Identifier = None,
        kernel_constraint: Identifier = None,
        recurrent_constraint: Identifier = None,
        bias_constraint: Identifier = None,
        peephole_constraint: Identifier = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        # No autocasting of inputs or weights: matrix products are cast by hand, all else stays in float32.
        super().__init__(autocast=False, **kwargs)
        self.units, self.use_inputs = whole("units", units), use_inputs
        self.activation = keras.activations.get(activation)
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.use_bias, self.unit_forget_bias = use_bias, unit_forget_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer or uniform_fan_in())
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer or uniform_fan_in())
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.peephole_initializer = keras.initializers.get(peephole_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = keras.regularizers.get(recurrent_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.peephole_regularizer = keras.regularizers.get(peephole_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.recurrent_constraint = keras.constraints.get(recurrent_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.peephole_constraint = keras.constraints.get(peephole_constraint)
        for name, rate in (("dropout", dropout), ("recurrent_dropout", recurrent_dropout)):
            require(0 <= rate < 1, name, "a fraction from 0 to below 1", rate)
        self.dropout, self.recurrent_dropout, self.seed = dropout, recurrent_dropout, seed
        self.seed_generator = keras.random.SeedGenerator(seed) if self.drops else None
        if recurrent_dropout:
            self.dropout_mask_count = 4
        self.state_size, self.output_size = [self.units, self.units], self.units
        self.kernel = self.bias = None

    @property
    def drops(self) -> bool:
        """Whether training drops anything."""
        return self.dropout > 0 or self.recurrent_dropout > 0

    def build(self, input_shape: tuple | None = None) -> None:
        def weight(name, *shape, **options):
            kind = name.removesuffix("_kernel")
            options = {role: getattr(self, f"{kind}_{role}") for role in ROLES} | options
            return self.add_weight(name=name, shape=shape, autocast=False, **options)

        gates = 4 * self.units
        if self.use_inputs:
            self.kernel = weight("kernel", input_shape[-1], gates)
        self.recurrent_kernel = weight("recurrent_kernel", self.units, gates)
        if self.use_bias:
            initializer = self._unit_forget_bias if self.unit_forget_bias else self.bias_initializer
            self.bias = weight("bias", gates, initializer=initializer)
        self.peephole_kernel = weight("peephole_kernel", 3, self.units)

    def _unit_forget_bias(self, shape, dtype=None):
        sizes = self.units, 2 * self.units
        i, candidate_and_o = (self.bias_initializer((size,), dtype=dtype) for size in sizes)
        return ops.concatenate([i, ops.ones((self.units,), dtype=dtype), candidate_and_o])

    def call(self, inputs: Tensor, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        hidden, cell = self.step(inputs, [ops.cast(each, "float32") for each in states], training)
        new_states = [ops.cast(new, old.dtype) for new, old in zip((hidden, cell), states, strict=True)]
        return ops.cast(hidden, self.compute_dtype), new_states

    def step(self, inputs: Tensor, state: list[Tensor], training: bool = False) -> tuple[Tensor, Tensor]:
        """h_t and c_t from x_t (B, D), or None, and [h_{t-1}, c_{t-1}]; states are (B, units) float32."""
        return self.transition(training)(self.project(inputs, training) if self.use_inputs else None, state)

    def project(self, inputs: Tensor, training: bool = False) -> Tensor:
        """W_x x for any leading axes, in the compute dtype."""
        inputs, kernel = ops.cast(inputs, self.compute_dtype), ops.cast(self.kernel, self.compute_dtype)
        return product(inputs, kernel, self.get_dropout_mask(inputs) if training and self.dropout else None)

    def transition(self, training: bool = False) -> Callable:
        """The step as a function of (W_x x_t or None, [h_{t-1}, c_{t-1}]): outside of a loop, weights are cast once."""
        recurrent_kernel, bias, peephole = self.recurrent_weights()

        def advance(projected, state):
            hidden, cell = state
            mask = self.get_recurrent_dropout_mask(hidden) if training and self.recurrent_dropout else None
            sums = gate_sums(hidden, recurrent_kernel, bias, projected, mask)
            return peephole_step(sums, cell, peephole, self.activation, self.recurrent_activation)[:2]

        return advance

    def recurrent_weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """W_h in the compute dtype, b (zeros where there is none) and the peepholes in float32."""
        bias = ops.cast(self.bias, "float32") if self.use_bias else ops.zeros((4 * self.units,), dtype="float32")
        recurrent_kernel = ops.cast(self.recurrent_kernel, self.compute_dtype)
        return recurrent_kernel, bias, ops.cast(self.peephole_kernel, "float32")

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        """[h, c], each (batch_size, units) float32 zeros."""
        return [ops.zeros((batch_size, self.units), dtype="float32") for _ in range(2)]

    def get_config(self) -> dict:
        weights = {
            f"{weight}_{role}": module.serialize(getattr(self, f"{weight}_{role}"))
            for weight in WEIGHTS
            for role, module in ROLES.items()
        }
        activations = {
            name: keras.activations.serialize(getattr(self, name)) for name in ("activation", "recurrent_activation")
        }
        return {**super().get_config(), **{name: getattr(self, name) for name in PLAIN}, **activations, **weights}
