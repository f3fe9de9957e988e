"""PeepholeLSTM as Keras' other machinery meets it: dropout, wrappers, mixed precision, configuration, files."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops
from keras_lstm import (
    BATCH,
    FEATURES,
    MASKS,
    OPTIONS,
    STEPS,
    UNITS,
    WHOLE,
    as_arrays,
    assert_alike,
    pair,
    random,
)

from videorep.errors import ConfigError
from videorep.layers import PeepholeLSTM, PeepholeLSTMCell

# Dropout by its properties


@pytest.mark.parametrize("option", ["dropout", "recurrent_dropout"])
def test_dropout_is_off_at_inference_and_keeps_the_mean(option):
    """A layer so small that it is nearly linear in what is dropped."""
    layer = PeepholeLSTM(UNITS, **{option: 0.5, "seed": 1})
    layer.build((None, STEPS, FEATURES))
    layer.set_weights([weight * 0.1 for weight in layer.get_weights()])
    inputs, plain = random(1, STEPS, FEATURES).repeat(4000, axis=0), PeepholeLSTM(UNITS)
    plain.build((None, STEPS, FEATURES))
    plain.set_weights(layer.get_weights())
    assert_alike(layer(inputs), plain(inputs))
    outputs = [layer(inputs, training=True), layer(inputs, training=True), plain(inputs)]
    dropped, again, whole = as_arrays(outputs)
    assert np.abs(dropped - again).max() > 1e-4
    np.testing.assert_allclose(dropped.mean(0), whole.mean(0), atol=4 * dropped.std(0).max() / 4000**0.5 + 2e-4)


def test_dropout_is_the_same_at_every_step():
    """A layer without memory that shows its inputs: constant ones give constant outputs under a constant mask."""
    layer = PeepholeLSTM(FEATURES, dropout=0.5, seed=1, return_sequences=True)
    layer.build((None, STEPS, FEATURES))
    kernel, bias = np.zeros((FEATURES, 4 * FEATURES)), np.repeat([30.0, -30.0, 0.0, 30.0], FEATURES)
    kernel[:, 2 * FEATURES : 3 * FEATURES] = np.eye(FEATURES)
    layer.set_weights([kernel, np.zeros((FEATURES, 4 * FEATURES)), bias, np.zeros((3, FEATURES))])
    (outputs,) = as_arrays(layer(np.ones((8, STEPS, FEATURES), "float32"), training=True))
    assert_alike(outputs, np.broadcast_to(outputs[:, :1], outputs.shape))
    assert set(np.unique(outputs.round(4) > 0)) == {False, True}


def test_a_layer_that_drops_nothing_has_no_seed():
    for rates, seeds in (({}, 0), ({"dropout": 0.1}, 1), ({"recurrent_dropout": 0.1}, 1)):
        layer = PeepholeLSTM(UNITS, **rates)
        layer.build((None, STEPS, FEATURES))
        assert len(layer.variables) - len(layer.weights) == seeds


# Around other layers


@pytest.mark.parametrize("mask", [None, "leading and inner"])
@pytest.mark.parametrize("returned", [{}, {"return_sequences": True}, WHOLE], ids=len)
def test_bidirectional(returned, mask):
    inputs, weights = random(BATCH, STEPS, FEATURES), None
    mask = None if mask is None else ops.convert_to_tensor(np.array(MASKS[mask], bool))
    outputs = []
    for layer in pair(**returned):
        both = keras.layers.Bidirectional(layer)
        both.build((BATCH, STEPS, FEATURES))
        weights = weights or [random(*weight.shape, seed=n) for n, weight in enumerate(both.weights)]
        peephole = [np.zeros((3, UNITS))] if isinstance(layer, PeepholeLSTM) else []
        both.set_weights([*weights[:3], *peephole, *weights[3:], *peephole])
        outputs.append(both(inputs, mask=mask))
    assert_alike(outputs[1], outputs[0])


@pytest.mark.parametrize("option", ["defaults", "activation", "use_bias", "both dropouts", "go_backwards"])
def test_cell_in_keras_rnn(option):
    theirs, _ = pair(**OPTIONS[option], **WHOLE)
    of_layer = {name: value for name, value in OPTIONS[option].items() if name in ("go_backwards", "unroll")}
    of_cell = {name: value for name, value in OPTIONS[option].items() if name not in of_layer}
    ours = keras.layers.RNN(PeepholeLSTMCell(UNITS, **of_cell), **of_layer, **WHOLE)
    ours.build((BATCH, STEPS, FEATURES))
    ours.set_weights([*theirs.get_weights(), np.zeros((3, UNITS))])
    inputs = random(BATCH, STEPS, FEATURES)
    assert_alike(ours(inputs), theirs(inputs))
    assert_alike(ours(inputs, training=True), theirs(inputs, training=True))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("option", ["defaults", "activation", "use_bias", "both dropouts", "go_backwards"])
def test_mixed_precision(option, policy):
    """Outputs in half precision, states in float32 and close to those of float32."""
    _, full = pair(**OPTIONS[option], **WHOLE)
    mixed = PeepholeLSTM(UNITS, **OPTIONS[option], **WHOLE, dtype=policy)
    mixed.build((BATCH, STEPS, FEATURES))
    mixed.set_weights(full.get_weights())
    inputs = random(BATCH, STEPS, FEATURES)
    outputs = mixed(inputs)
    compute = policy.removeprefix("mixed_")
    assert [keras.backend.standardize_dtype(each.dtype) for each in outputs] == [compute, "float32", "float32"]
    assert_alike(outputs, full(inputs), 0.04)
    assert all(np.isfinite(each).all() for each in as_arrays(mixed(inputs, training=True)))


# Configuration

EVERYTHING = {
    "activation": "relu",
    "recurrent_activation": "hard_sigmoid",
    "use_bias": False,
    "unit_forget_bias": True,
    **{
        f"{name}_{role}": value
        for name in ("kernel", "recurrent", "bias", "peephole")
        for role, value in (("initializer", "ones"), ("regularizer", "l2"), ("constraint", "max_norm"))
    },
    "activity_regularizer": "l1",
    "dropout": 0.1,
    "recurrent_dropout": 0.2,
    "seed": 3,
    "return_sequences": True,
    "return_state": True,
    "go_backwards": True,
    "stateful": True,
    "unroll": True,
    "zero_output_for_mask": True,
}


def test_every_option_of_keras_is_one_of_ours():
    names = set(inspect.signature(keras.layers.LSTM).parameters) - {"units", "use_cudnn", "kwargs"}
    assert names <= set(EVERYTHING)


def test_every_option_comes_back_from_the_configuration():
    layer, usual = PeepholeLSTM(UNITS, **EVERYTHING), PeepholeLSTM(UNITS).get_config()
    assert PeepholeLSTM.from_config(layer.get_config()).get_config() == layer.get_config()
    assert {name for name, value in layer.get_config().items() if value != usual[name]} == {*EVERYTHING, "name"}


def test_a_model_with_every_option_loads_as_it_was_saved(tmp_path):
    frames = keras.Input(batch_shape=(BATCH, STEPS, FEATURES))
    model = keras.Model(frames, PeepholeLSTM(UNITS, **EVERYTHING)(frames))
    inputs = random(BATCH, STEPS, FEATURES)
    expected = as_arrays(model(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_alike(loaded(inputs), expected)


@pytest.mark.parametrize("options", [{"dropout": 1.0}, {"recurrent_dropout": -0.1}, {"units": 0}, {"units": "a"}])
def test_bad_options_are_refused_in_one_sentence(options):
    with pytest.raises(ConfigError, match=f"expected {next(iter(options))} to be .*, received .*; correct it"):
        PeepholeLSTM(**{"units": UNITS, **options})


def test_unroll_of_an_unknown_length_is_refused():
    with pytest.raises(ConfigError, match="expected unroll to be False where the number of steps is unknown"):
        PeepholeLSTM(UNITS, unroll=True)(keras.Input((None, FEATURES)))
