"""The sequence operation under PeepholeLSTM and the decoders: its gradient, any length, any precision."""

import autodiff
import keras
import lstm_oracle
import numpy as np
import pytest
from keras import ops

from videorep.layers import PeepholeLSTM, PeepholeLSTMCell

BATCH, STEPS, FEATURES, UNITS = 3, 5, 4, (6, 6)
LONG = 70  # More than any loop that is unrolled.
PADDED_END = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]], bool)
LEADING_AND_INNER = np.array([[0, 0, 1, 1, 1], [1, 0, 1, 0, 1], [0, 1, 0, 1, 0]], bool)
tensorflow_only = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow's graphs leave the length open"
)


def random_stack(seed=0, steps=STEPS):
    """Two layers' weights, inputs (B, T, D) and both layers' states, all float32."""
    rng = np.random.default_rng(seed)
    weights = [
        each.astype("float32")
        for below, units in zip((FEATURES, *UNITS), UNITS, strict=False)
        for each in lstm_oracle.random_weights(rng, below, units)
    ]
    states = [rng.normal(size=(BATCH, units)).astype("float32") for units in UNITS for _ in range(2)]
    return weights, rng.normal(size=(BATCH, steps, FEATURES)).astype("float32"), states


def build_layers(make):
    layers = [make(units) for units in UNITS]
    for below, layer in zip((FEATURES, *UNITS), layers, strict=False):
        layer.build((None, below) if isinstance(layer, PeepholeLSTMCell) else (None, None, below))
    return layers


def sequence_layers(**kwargs):
    return build_layers(lambda units: PeepholeLSTM(units, return_sequences=True, return_state=True, **kwargs))


def run_layers(layers, weights, inputs, states, mask):
    """Every layer's h of all steps (B, T, U), h_T and c_T, by the layers under test."""
    outputs, sequence = [], inputs
    mask = None if mask is None else ops.convert_to_tensor(mask)
    for depth, layer in enumerate(layers):
        state = None if states is None else list(states[2 * depth : 2 * depth + 2])
        weights_here = list(weights[4 * depth : 4 * depth + 4])
        (sequence, *state), _ = layer.stateless_call(weights_here, [], sequence, initial_state=state, mask=mask)
        outputs.append((sequence, *state))
    return outputs


def run_plain_cells(cells, weights, inputs, states, mask):
    """The same by the plain cell, one step at a time, for the backend to differentiate."""
    outputs, sequence = [], inputs
    for depth, cell in enumerate(cells):
        zero = ops.zeros((BATCH, UNITS[depth]))
        state = [zero, zero] if states is None else list(states[2 * depth : 2 * depth + 2])
        hiddens = []
        for t in range(inputs.shape[1]):
            weights_here = list(weights[4 * depth : 4 * depth + 4])
            (_, new_state), _ = cell.stateless_call(weights_here, [], sequence[:, t], state)
            if mask is not None:
                kept = mask[:, t, None]
                new_state = [ops.where(kept, new, old) for new, old in zip(new_state, state, strict=True)]
            state = new_state
            hiddens.append(state[0])
        sequence = ops.stack(hiddens, axis=1)
        outputs.append((sequence, *state))
    return outputs


def stack_loss(run, layers, upstreams, mask=None, with_state=True):
    """A loss of (8 weights, inputs, 4 states) that sees the outputs that have an upstream gradient."""

    def loss(*arguments):
        outputs = run(layers, arguments[:8], arguments[8], arguments[9:] if with_state else None, mask)
        flat = [each for layer_outputs in outputs for each in layer_outputs]
        return sum(ops.sum(ops.multiply(y, u)) for y, u in zip(flat, upstreams, strict=True) if u is not None)

    return loss


def random_upstreams(seen, steps=STEPS):
    rng = np.random.default_rng(7)
    shapes = [(BATCH, steps, UNITS[0]), *[(BATCH, UNITS[0])] * 2, (BATCH, steps, UNITS[1]), *[(BATCH, UNITS[1])] * 2]
    return [rng.normal(size=shape).astype("float32") if n in seen else None for n, shape in enumerate(shapes)]


def assert_relatively_close(received, expected, tolerance=1e-4):
    for ours, theirs in zip(received, expected, strict=True):
        assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max() + 1e-12


# What the loss sees of (lower h, its h_T, its c_T, upper h, its h_T, its c_T); mask; initial state
OPTIONS = {
    "all outputs": ((0, 1, 2, 3, 4, 5), None, True),
    "top sequence from the zero state": ((3,), None, False),
    "top final h only": ((4,), None, False),
    "final cell states only": ((2, 5), None, True),
    "all outputs, padded end": ((0, 1, 2, 3, 4, 5), PADDED_END, True),
    "top final h, padded end, zero state": ((4,), PADDED_END, False),
    "all outputs, leading and inner mask": ((0, 1, 2, 3, 4, 5), LEADING_AND_INNER, True),
    "top sequence, leading and inner mask": ((3,), LEADING_AND_INNER, True),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_gradients_equal_those_of_the_plain_cell(option):
    """Weights, inputs and initial states of two layers, to 1e-4 relative in float32."""
    seen, mask, with_state = OPTIONS[option]
    weights, inputs, states = random_stack()
    arguments, upstreams = [*weights, inputs, *(states if with_state else [])], random_upstreams(seen)
    ours = stack_loss(run_layers, sequence_layers(), upstreams, mask, with_state)
    plain = stack_loss(run_plain_cells, build_layers(PeepholeLSTMCell), upstreams, mask, with_state)
    value, received = autodiff.gradients(ours, arguments)
    expected_value, expected = autodiff.gradients(plain, arguments)
    assert value == pytest.approx(expected_value, rel=1e-5, abs=1e-5)
    assert_relatively_close(received, expected)


@pytest.mark.parametrize("mode", ["graph", "xla"] if keras.backend.backend() == "tensorflow" else ["xla"])
def test_gradients_of_the_compiled_layer_equal_those_of_the_plain_cell(mode):
    weights, inputs, states = random_stack(steps=3)
    arguments, upstreams, mask = [*weights, inputs, *states], random_upstreams(range(6), 3), LEADING_AND_INNER[:, :3]
    ours = stack_loss(run_layers, sequence_layers(), upstreams, mask)
    plain = stack_loss(run_plain_cells, build_layers(PeepholeLSTMCell), upstreams, mask)
    _, received = autodiff.gradients(ours, arguments, mode)
    assert_relatively_close(received, autodiff.gradients(plain, arguments)[1])


# Lengths


@pytest.mark.parametrize("masked", [False, True], ids=["unmasked", "masked"])
def test_gradients_of_a_long_sequence_equal_those_of_the_cell_in_keras_rnn(masked):
    weights, inputs, states = random_stack(steps=LONG)
    mask = np.random.default_rng(3).random((BATCH, LONG)) < 0.7 if masked else None
    if masked:
        mask[:, 0] = True  # Before the first step that counts Keras' RNN emits zeros, PeepholeLSTM the given h.
    arguments, upstreams = [*weights, inputs, *states], random_upstreams(range(6), LONG)
    in_rnn = build_layers(
        lambda units: keras.layers.RNN(PeepholeLSTMCell(units), return_sequences=True, return_state=True)
    )
    value, received = autodiff.gradients(stack_loss(run_layers, sequence_layers(), upstreams, mask), arguments)
    expected_value, expected = autodiff.gradients(stack_loss(run_layers, in_rnn, upstreams, mask), arguments)
    assert value == pytest.approx(expected_value, rel=1e-4)
    assert_relatively_close(received, expected)


@pytest.mark.parametrize("steps", [1, STEPS, LONG])
def test_any_length_agrees_with_the_oracle(steps):
    weights, inputs, states = random_stack(steps=steps)
    mask = np.random.default_rng(3).random((BATCH, steps)) < 0.7
    layer = sequence_layers()[0]
    layer.set_weights(weights[:4])
    received = layer(inputs, initial_state=[ops.convert_to_tensor(each) for each in states[:2]], mask=mask)
    as_float64 = [each.astype("float64") for each in (*weights[:4], inputs, *states[:2])]
    expected = lstm_oracle.sequence(lstm_oracle.Weights(*as_float64[:4]), as_float64[4], as_float64[5:], mask)
    for ours, theirs in zip(received, expected, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(ours), theirs, rtol=1e-5, atol=1e-5)


def test_a_model_of_open_length_takes_every_length():
    """The graph is built for T = None; short and long sequences, masked by Keras' own Masking layer."""
    frames = keras.Input((None, FEATURES))
    layer = PeepholeLSTM(UNITS[0], return_sequences=True)
    model = keras.Model(frames, layer(keras.layers.Masking()(frames)))
    weights, long_inputs, _ = random_stack(steps=LONG)
    layer.set_weights(weights[:4])
    long_inputs[:, -4:] = 0.0
    for steps in (STEPS, LONG):
        inputs = long_inputs[:, :steps]
        received = model.predict(inputs, verbose=0)
        float64_weights = lstm_oracle.Weights(*(each.astype("float64") for each in weights[:4]))
        expected, _, _ = lstm_oracle.sequence(float64_weights, inputs.astype("float64"), mask=inputs.any(axis=-1))
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-5)


@tensorflow_only
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_where_tensorflow_does_not_know_the_length(masked):
    import tensorflow as tf

    weights, inputs, states = random_stack()
    layers, upstreams = sequence_layers(), random_upstreams(range(6))
    arguments = [tf.constant(each) for each in (*weights, inputs, *states)]
    mask = tf.constant(LEADING_AND_INNER) if masked else None
    specs = [tf.TensorSpec(each.shape) for each in arguments]
    specs[8] = tf.TensorSpec((None, None, FEATURES))

    @tf.function(input_signature=specs)
    def open_length(*arguments):
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            value = stack_loss(run_layers, layers, upstreams, mask)(*arguments)
        return tape.gradient(value, arguments)

    received = [each.numpy() for each in open_length(*arguments)]
    plain = stack_loss(run_plain_cells, build_layers(PeepholeLSTMCell), upstreams, mask)
    assert_relatively_close(received, autodiff.gradients(plain, [each.numpy() for each in arguments])[1])


# Precision


@pytest.mark.parametrize("policy, tolerance", [("mixed_bfloat16", 0.03), ("mixed_float16", 0.004)])
def test_mixed_precision_follows_float32(policy, tolerance):
    """Outputs and gradients; sums, gates, cell state and gradients stay in float32."""
    weights, inputs, states = random_stack()
    arguments, upstreams = [*weights, inputs, *states], random_upstreams(range(6))
    mixed, full = sequence_layers(dtype=policy), sequence_layers()
    for layer in mixed:
        assert {keras.backend.standardize_dtype(weight.dtype) for weight in layer.weights} == {"float32"}
    for layer_outputs in run_layers(mixed, weights, inputs, states, None):
        found = [keras.backend.standardize_dtype(each.dtype) for each in layer_outputs]
        assert found == [policy.removeprefix("mixed_"), "float32", "float32"]

    def cast_loss(*arguments):
        outputs = run_layers(mixed, arguments[:8], arguments[8], arguments[9:], None)
        flat = [ops.cast(each, "float32") for layer_outputs in outputs for each in layer_outputs]
        return sum(ops.sum(ops.multiply(y, u)) for y, u in zip(flat, upstreams, strict=True))

    _, received = autodiff.gradients(cast_loss, arguments)
    _, expected = autodiff.gradients(stack_loss(run_layers, full, upstreams), arguments)
    assert {each.dtype.name for each in received} == {"float32"}
    assert_relatively_close(received, expected, tolerance)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("steps", [STEPS, LONG])
def test_small_increments_are_not_lost_in_mixed_precision(policy, steps):
    """A cell state of 1.0001 that grows by 1e-4 a step: bfloat16 and float16 would both stand still."""
    layer = PeepholeLSTM(2, return_state=True, use_inputs=True, dtype=policy)
    layer.build((None, None, 1))
    gate_sums = {"i": np.log(1e-4 / (1 - 1e-4)), "f": 30.0, "c": 30.0, "o": 0.0}
    bias = np.repeat([gate_sums[gate] for gate in "ifco"], 2)
    layer.set_weights([np.zeros((1, 8)), np.zeros((2, 8)), bias, np.zeros((3, 2))])
    state = ops.full((1, 2), 1.0001)
    _, _, cell = layer(np.zeros((1, steps, 1), "float32"), initial_state=[state, state])
    np.testing.assert_allclose(ops.convert_to_numpy(cell), 1.0001 + 1e-4 * steps, rtol=0, atol=1e-6 * steps)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_gate_sums_are_float32_in_mixed_precision(policy):
    """Bias 4096.5 and input product -4096 give a gate sum of 0.5, which neither half precision can see."""
    layer = PeepholeLSTM(1, return_state=True, dtype=policy)
    layer.build((None, None, 1))
    layer.set_weights([np.full((1, 4), -4096.0), np.zeros((1, 4)), np.full(4, 4096.5), np.zeros((3, 1))])
    _, _, cell = layer(np.ones((1, 1, 1), "float32"))
    expected = lstm_oracle.sigmoid(0.5) * np.tanh(0.5)
    np.testing.assert_allclose(ops.convert_to_numpy(cell), expected, rtol=1e-5)
