"""PeepholeLSTMCell and PeepholeLSTM against the NumPy oracle, TensorFlow's BlockLSTM and Keras' own layer test."""

import itertools

import autodiff
import keras
import lstm_oracle
import numpy as np
import pytest
from keras import ops
from keras.src import testing

from videorep.layers import PeepholeLSTM, PeepholeLSTMCell

BATCH, STEPS, FEATURES, UNITS = 3, 5, 4, 6
MASKS = {
    "no mask": None,
    "padded end": [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]],
    "leading and inner": [[0, 0, 1, 1, 1], [1, 0, 1, 0, 1], [0, 1, 0, 1, 0]],
    "one row all masked": [[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 1, 1, 1, 0]],
}
WRONG = (
    [{"gates": "".join(order)} for order in itertools.permutations("ifco") if order != tuple("ifco")]
    + [{"peepholes": "".join(order)} for order in itertools.permutations("ifo") if order != tuple("ifo")]
    + [{"output_sees": "old"}]
)
tensorflow_only = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's own operation")


def mask_of(name):
    return None if MASKS[name] is None else np.array(MASKS[name], bool)


class Case:
    """One random layer with its inputs, states and the upstream gradients of its outputs, in float64."""

    def __init__(self, seed=0, steps=STEPS):
        rng = np.random.default_rng(seed)
        self.weights = lstm_oracle.random_weights(rng, FEATURES, UNITS)
        self.inputs = rng.normal(size=(BATCH, steps, FEATURES))
        self.state = [rng.normal(size=(BATCH, UNITS)), rng.normal(size=(BATCH, UNITS))]
        self.upstream = [rng.normal(size=shape) for shape in ((BATCH, steps, UNITS), (BATCH, UNITS), (BATCH, UNITS))]

    @property
    def arguments(self):
        return [*self.weights, self.inputs, *self.state]

    def oracle_loss(self, mask=None, **wrong):
        def loss(*arguments):
            outputs = lstm_oracle.sequence(
                lstm_oracle.Weights(*arguments[:4]), arguments[4], arguments[5:], mask, **wrong
            )
            return sum(np.sum(output * upstream) for output, upstream in zip(outputs, self.upstream, strict=True))

        return loss

    def layer_loss(self, layer, mask=None):
        def loss(*arguments):
            outputs, _ = layer.stateless_call(
                list(arguments[:4]), [], arguments[4], initial_state=list(arguments[5:]), mask=mask
            )
            return sum(
                ops.sum(ops.multiply(output, upstream)) for output, upstream in zip(outputs, upstreams, strict=True)
            )

        upstreams = [each.astype("float32") for each in self.upstream]
        mask = None if mask is None else ops.convert_to_tensor(mask)
        return loss


def sequence_layer(**kwargs):
    return PeepholeLSTM(UNITS, return_sequences=True, return_state=True, **kwargs)


def cell_in_rnn(**kwargs):
    return keras.layers.RNN(PeepholeLSTMCell(UNITS), return_sequences=True, return_state=True, **kwargs)


def with_weights(layer, weights, shape=(None, None, FEATURES)):
    layer.build(shape)
    layer.set_weights(list(weights))
    return layer


def as_numpy(tensors):
    return [ops.convert_to_numpy(each) for each in tensors]


def call(layer, inputs, state=None, mask=None):
    state = None if state is None else [ops.convert_to_tensor(each, "float32") for each in state]
    return as_numpy(layer(ops.convert_to_tensor(inputs, "float32"), initial_state=state, mask=mask))


def assert_all_close(received, expected, tolerance=1e-5):
    for ours, theirs in zip(received, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


# The oracle


@pytest.mark.parametrize("with_state", [True, False])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("make", [sequence_layer, cell_in_rnn])
def test_forward_agrees_with_the_oracle(make, mask, with_state):
    case, mask = Case(), mask_of(mask)
    state = case.state if with_state else None
    if make is cell_in_rnn and with_state and mask is not None:
        mask[:, 0] = True  # Before the first step that counts Keras' RNN emits zeros, PeepholeLSTM the given h.
    outputs = call(with_weights(make(), case.weights), case.inputs, state, mask)
    assert_all_close(outputs, lstm_oracle.sequence(case.weights, case.inputs, state, mask))


def test_cell_step_agrees_with_the_oracle():
    case = Case()
    cell = with_weights(PeepholeLSTMCell(UNITS), case.weights, (None, FEATURES))
    output, (hidden, new_cell) = cell(case.inputs[:, 0].astype("float32"), [s.astype("float32") for s in case.state])
    expected = lstm_oracle.step(case.weights, case.inputs[:, 0], *case.state)
    assert_all_close(as_numpy([output, hidden, new_cell]), [expected[0], *expected])


def test_cell_without_inputs_agrees_with_the_oracle():
    weights = lstm_oracle.random_weights(np.random.default_rng(1), None, UNITS)
    cell = PeepholeLSTMCell(UNITS, use_inputs=False)
    cell.build()
    cell.set_weights(list(weights[1:]))
    state = Case().state
    _, received = cell(None, [each.astype("float32") for each in state])
    assert_all_close(as_numpy(received), lstm_oracle.step(weights, None, *state))


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: "-".join(map(str, *wrong.items())))
def test_a_wrong_oracle_is_noticed(wrong):
    """Swapped gates, swapped peepholes and a peephole on the old cell state each fail the test above."""
    case = Case()
    outputs = call(with_weights(sequence_layer(), case.weights), case.inputs, case.state)
    mutated = lstm_oracle.sequence(case.weights, case.inputs, case.state, **wrong)
    for ours, theirs in zip(outputs, mutated, strict=True):
        assert np.abs(ours - theirs).max() > 1e-2
    single_step = lstm_oracle.step(case.weights, case.inputs[:, 0], *case.state, **wrong)[0]
    assert np.abs(outputs[0][:, 0] - single_step).max() > 1e-2


@pytest.mark.parametrize("mask", ["no mask", "leading and inner"])
@pytest.mark.parametrize("make", [sequence_layer, cell_in_rnn])
def test_gradients_agree_with_finite_differences(make, mask):
    case, mask = Case(), mask_of(mask)
    if make is cell_in_rnn and mask is not None:
        mask[:, 0] = True  # As above.
    layer = with_weights(make(), case.weights)
    value, received = autodiff.gradients(case.layer_loss(layer, mask), case.arguments)
    expected = lstm_oracle.finite_differences(case.oracle_loss(mask), case.arguments)
    assert value == pytest.approx(case.oracle_loss(mask)(*case.arguments), abs=1e-5, rel=1e-5)
    assert_all_close(received, expected)


def test_gradients_of_a_wrong_oracle_are_noticed():
    case = Case()
    _, received = autodiff.gradients(case.layer_loss(with_weights(sequence_layer(), case.weights)), case.arguments)
    for wrong in ({"gates": "fico"}, {"gates": "ifoc"}, {"peepholes": "fio"}, {"output_sees": "old"}):
        mutated = lstm_oracle.finite_differences(case.oracle_loss(**wrong), case.arguments)
        for ours, theirs in zip(received, mutated, strict=True):
            assert np.abs(ours - theirs).max() > 1e-2, wrong


# TensorFlow's own peephole LSTM


def block_lstm(inputs, hidden, cell, kernel, recurrent_kernel, bias, peephole_kernel):
    """The same layer by BlockLSTM, whose gates stand in the order i, c, f, o: h_1..h_T (B, T, U), h_T, c_T."""
    import tensorflow as tf

    def reordered(weight):
        i, f, c, o = tf.split(weight, 4, axis=-1)
        return tf.concat([i, c, f, o], axis=-1)

    outputs = tf.raw_ops.BlockLSTM(
        seq_len_max=tf.constant(inputs.shape[1], tf.int64),
        x=tf.transpose(inputs, (1, 0, 2)),
        cs_prev=cell,
        h_prev=hidden,
        w=reordered(tf.concat([kernel, recurrent_kernel], axis=0)),
        wci=peephole_kernel[0],
        wcf=peephole_kernel[1],
        wco=peephole_kernel[2],
        b=reordered(bias),
        forget_bias=0.0,
        cell_clip=0.0,
        use_peephole=True,
    )
    return tf.transpose(outputs.h, (1, 0, 2)), outputs.h[-1], outputs.cs[-1]


@tensorflow_only
def test_forward_agrees_with_block_lstm():
    case = Case()
    arguments = [each.astype("float32") for each in (case.inputs, *case.state, *case.weights)]
    outputs = call(with_weights(sequence_layer(), case.weights), case.inputs, case.state)
    assert_all_close(outputs, as_numpy(block_lstm(*arguments)))


@tensorflow_only
def test_gradients_agree_with_block_lstm():
    case = Case()

    def block_loss(*arguments):
        outputs = block_lstm(arguments[4], *arguments[5:], *arguments[:4])
        return sum(
            ops.sum(ops.multiply(y, upstream.astype("float32")))
            for y, upstream in zip(outputs, case.upstream, strict=True)
        )

    layer = with_weights(sequence_layer(), case.weights)
    value, received = autodiff.gradients(case.layer_loss(layer), case.arguments)
    expected_value, expected = autodiff.gradients(block_loss, case.arguments)
    assert value == pytest.approx(expected_value, abs=1e-5, rel=1e-5)
    assert_all_close(received, expected)


# Keras' layer test: config round trip, symbolic and eager call, one compiled training step, mixed precision


class KerasLayerTest(testing.TestCase):
    def test_sequence_layer(self):
        for return_sequences, shape in ((False, (3, 6)), (True, (3, 5, 6))):
            self.run_layer_test(
                PeepholeLSTM,
                init_kwargs={"units": 6, "return_sequences": return_sequences},
                input_shape=(3, 5, 4),
                expected_output_shape=shape,
                expected_output_dtype="float32",
                expected_num_trainable_weights=4,
                expected_num_non_trainable_weights=0,
                supports_masking=True,
            )

    def test_sequence_layer_with_mask_and_state(self):
        self.run_layer_test(
            PeepholeLSTM,
            init_kwargs={"units": 6, "return_sequences": True, "return_state": True, "bias_initializer": "ones"},
            input_shape=(3, 5, 4),
            call_kwargs={"mask": np.array(MASKS["leading and inner"], bool)},
            expected_output_shape=((3, 5, 6), (3, 6), (3, 6)),
            expected_num_trainable_weights=4,
            supports_masking=True,
            run_training_check=False,
        )

    def test_cell_in_rnn(self):
        """As Keras tests its own cells: inside `keras.layers.RNN`."""
        self.run_layer_test(
            keras.layers.RNN,
            init_kwargs={"cell": PeepholeLSTMCell(6, peephole_initializer="ones")},
            input_shape=(3, 5, 4),
            expected_output_shape=(3, 6),
            expected_num_trainable_weights=4,
            supports_masking=True,
        )

    def test_cell_round_trip(self):
        self.run_class_serialization_test(PeepholeLSTMCell(6, peephole_initializer="ones", dtype="mixed_bfloat16"))
        self.run_class_serialization_test(PeepholeLSTMCell(6, use_inputs=False))


# What is returned, saved and refused


@pytest.mark.parametrize("return_state", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_return_options(return_sequences, return_state):
    case, mask = Case(), mask_of("leading and inner")
    layer = PeepholeLSTM(UNITS, return_sequences=return_sequences, return_state=return_state)
    with_weights(layer, case.weights)
    hiddens, hidden, cell = lstm_oracle.sequence(case.weights, case.inputs, case.state, mask)
    outputs = call(layer, case.inputs, case.state, mask) if return_state else [call_alone(layer, case, mask)]
    expected = hiddens if return_sequences else hidden
    assert_all_close(outputs, [expected, hidden, cell] if return_state else [expected])
    symbolic = layer(keras.KerasTensor((None, None, FEATURES)))
    expected_shape = (None, None, UNITS) if return_sequences else (None, UNITS)
    shapes = [each.shape for each in (symbolic if return_state else [symbolic])]
    assert shapes == [expected_shape, (None, UNITS), (None, UNITS)][: len(shapes)]


def call_alone(layer, case, mask):
    state = [ops.convert_to_tensor(each, "float32") for each in case.state]
    return ops.convert_to_numpy(layer(case.inputs.astype("float32"), initial_state=state, mask=mask))


def test_saved_model_of_both_layers_loads_as_it_was(tmp_path):
    """Masking, a state handed from layer to layer, and the cell in Keras' RNN, through a .keras file."""
    frames = keras.Input((STEPS, FEATURES))
    masked = keras.layers.Masking()(frames)
    _, *state = PeepholeLSTM(UNITS, return_state=True, peephole_initializer="ones")(masked)
    sequence = PeepholeLSTM(UNITS, return_sequences=True)(masked, initial_state=state)
    last = keras.layers.RNN(PeepholeLSTMCell(UNITS, bias_initializer="ones"))(sequence)
    model = keras.Model(frames, [sequence, last])
    inputs = Case().inputs.astype("float32") * np.array(MASKS["padded end"], "float32")[..., None]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_all_close(as_numpy(loaded(inputs)), as_numpy(model(inputs)), 1e-6)


@pytest.mark.parametrize("return_state", [False, True])
def test_mask_reaches_the_layer_above(return_state):
    """Padded frames, masked by Keras' Masking, change nothing two layers up."""
    inputs = Case().inputs.astype("float32")
    lower = PeepholeLSTM(UNITS, return_sequences=True, return_state=return_state)
    upper = keras.layers.RNN(PeepholeLSTMCell(UNITS))

    def top(frames):
        outputs = lower(keras.layers.Masking()(frames))
        return ops.convert_to_numpy(upper(outputs[0] if return_state else outputs))

    padded = np.concatenate([inputs[:, :3], np.zeros_like(inputs[:, 3:])], axis=1)
    np.testing.assert_allclose(top(padded), top(inputs[:, :3]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_cell_in_mixed_precision(policy):
    """Products in half precision; weights and the states that it is given in float32."""
    case, compute = Case(), policy.removeprefix("mixed_")
    cell = with_weights(PeepholeLSTMCell(UNITS, dtype=policy), case.weights, (None, FEATURES))
    states = cell.get_initial_state(BATCH)
    output, new_states = cell(ops.convert_to_tensor(case.inputs[:, 0], compute), states)
    dtypes = [[keras.backend.standardize_dtype(each.dtype) for each in group] for group in (states, new_states)]
    assert dtypes == [["float32", "float32"]] * 2
    assert keras.backend.standardize_dtype(output.dtype) == compute
    assert {keras.backend.standardize_dtype(weight.dtype) for weight in cell.weights} == {"float32"}
    expected = lstm_oracle.step(case.weights, case.inputs[:, 0], *lstm_oracle.zero_state(case.weights, BATCH))
    assert_all_close(as_numpy(new_states), expected, 0.03)


@pytest.mark.parametrize("layer", [PeepholeLSTM, PeepholeLSTMCell])
def test_initial_weights_are_the_papers(layer):
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for the kernels; 0 for the biases, the forget gate's too, and peepholes."""
    layer = layer(50)
    layer.build((None, None, 20))
    kernel, recurrent_kernel, bias, peephole_kernel = layer.get_weights()
    assert [w.shape for w in (kernel, recurrent_kernel, bias, peephole_kernel)] == [
        (20, 200),
        (50, 200),
        (200,),
        (3, 50),
    ]
    for weight, bound in ((kernel, 20**-0.5), (recurrent_kernel, 50**-0.5)):
        assert np.abs(weight).max() <= bound
        assert weight.std() == pytest.approx(bound / 3**0.5, rel=0.03)
    assert not bias.any() and not peephole_kernel.any()


@pytest.mark.parametrize("units", [0, -1, 2.5, "6", None])
@pytest.mark.parametrize("layer", [PeepholeLSTM, PeepholeLSTMCell])
def test_bad_units_are_refused(layer, units):
    with pytest.raises(ValueError, match=r"expected units to be a whole number .*, received"):
        layer(units)
