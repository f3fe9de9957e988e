"""PeepholeLSTMCell and PeepholeLSTM in Keras' own layer test; what they return, save and refuse."""

import keras
import lstm_oracle
import numpy as np
import pytest
from keras import ops
from keras.src import testing
from peephole_cases import (
    BATCH,
    FEATURES,
    MASKS,
    STEPS,
    UNITS,
    Case,
    as_numpy,
    assert_all_close,
    call,
    mask_of,
    with_weights,
)

from videorep.layers import PeepholeLSTM, PeepholeLSTMCell

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
