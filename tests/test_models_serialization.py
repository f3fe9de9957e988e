"""Every layer and model of the project comes back from its configuration as it was; sizes are whole numbers."""

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import ops

from videorep.config import ClassifierConfig
from videorep.errors import ConfigError
from videorep.layers import Decoder, PeepholeLSTM, PeepholeLSTMCell, Standardisation
from videorep.models import build_classifier, build_model
from videorep.models.temporal_stream import LocalResponseNormalization, build_temporal_stream

BATCH, STEPS, FEATURES = 2, 3, 4
QUICK = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

flags, names = st.booleans(), st.sampled_from(["a", "some_name"])
policies = st.sampled_from(["float32", "mixed_bfloat16", "mixed_float16"])
common = {"name": names, "dtype": policies, "trainable": flags}
initializers = st.sampled_from(["zeros", "ones", "glorot_uniform", None])
cell_options = {
    "units": st.integers(1, 4),
    "kernel_initializer": initializers,
    "recurrent_initializer": initializers,
    "bias_initializer": st.sampled_from(["zeros", "ones"]),
    "peephole_initializer": st.sampled_from(["zeros", "ones"]),
    **common,
}
decoder_options = {
    "units": st.lists(st.integers(1, 4), min_size=1, max_size=2),
    "features": st.integers(1, 4),
    "frames": st.integers(1, 4),
    "conditional": flags,
    "output": st.sampled_from(["bernoulli", "gaussian"]),
    "backwards": flags,
    "seed": st.sampled_from([None, 0, 3]),
    **common,
}


def random(*shape, seed=0):
    return np.random.default_rng(seed).random(shape).astype("float32")


def states(units):
    return [[random(BATCH, size, seed=k), random(BATCH, size, seed=k + 1)] for k, size in enumerate(units)]


def as_arrays(outputs):
    return [np.asarray(ops.cast(each, "float32")) for each in keras.tree.flatten(outputs)]


def assert_comes_back(original, *inputs):
    """Configuration, weights and, given the same weights, outputs of a copy equal the original's."""
    before = as_arrays(original(*inputs))
    copy = type(original).from_config(original.get_config())
    assert copy.get_config() == original.get_config()
    serialized = keras.saving.serialize_keras_object(original)
    assert keras.saving.deserialize_keras_object(serialized).get_config() == original.get_config()
    copy(*inputs)
    copy.set_weights(original.get_weights())
    assert len(copy.trainable_weights) == len(original.trainable_weights)
    for expected, received in zip(before, as_arrays(copy(*inputs)), strict=True):
        np.testing.assert_array_equal(received, expected)


@QUICK
@given(st.fixed_dictionaries(cell_options), st.booleans())
def test_a_cell_comes_back_from_its_configuration(options, use_inputs):
    cell = PeepholeLSTMCell(use_inputs=use_inputs, **options)
    assert_comes_back(cell, random(BATCH, FEATURES) if use_inputs else None, states([cell.units])[0])


@QUICK
@given(st.fixed_dictionaries({**cell_options, "return_sequences": flags, "return_state": flags}))
def test_a_sequence_layer_comes_back_from_its_configuration(options):
    assert_comes_back(PeepholeLSTM(**options), random(BATCH, STEPS, FEATURES))


@QUICK
@given(st.fixed_dictionaries(decoder_options))
def test_a_decoder_comes_back_from_its_configuration(options):
    assert_comes_back(Decoder(**options), states(options["units"]))


@QUICK
@given(st.fixed_dictionaries(common))
def test_standardisation_comes_back_from_its_configuration(options):
    assert_comes_back(Standardisation(**options), random(BATCH, FEATURES))


@QUICK
@given(st.sampled_from([3, 5]), st.floats(0.5, 3), st.fixed_dictionaries(common))
def test_normalisation_comes_back_from_its_configuration(depth, bias, options):
    assert_comes_back(LocalResponseNormalization(depth, bias, **options), random(BATCH, 2, 2, 6))


def encoder_decoders(dtype, standardise, conditional, name):
    output = "gaussian" if standardise else "bernoulli"
    return build_model(name, FEATURES, (3, 2), STEPS, 2, conditional, output, 5, dtype, standardise)


def classifiers(dtype, standardise, freeze_encoder, name):
    config = ClassifierConfig(name, FEATURES, (3, 2), ("run", "wave"), 3, 1, 0.5, freeze_encoder, standardise)
    return build_classifier(config, seed=5, dtype=dtype)


@settings(QUICK, max_examples=6)
@given(
    policies, flags, st.sampled_from([(), ("future",)]), st.sampled_from(["future_predictor", "composite"]), st.data()
)
def test_an_encoder_decoder_comes_back_from_its_configuration(dtype, standardise, conditional, name, data):
    model = encoder_decoders(dtype, standardise, conditional, name)
    freeze_some(model, data)
    assert_comes_back(model, {"frames": random(BATCH, STEPS, FEATURES)})


@settings(QUICK, max_examples=6)
@given(policies, flags, flags, st.sampled_from(["lstm", "single-frame"]), st.data())
def test_a_classifier_comes_back_from_its_configuration(dtype, standardise, freeze_encoder, name, data):
    model = classifiers(dtype, standardise, freeze_encoder, name)
    freeze_some(model, data)
    assert_comes_back(model, {"frames": random(BATCH, STEPS, FEATURES)})


def freeze_some(model, data):
    """Sets `trainable` of the model and of any of its layers."""
    model.trainable = data.draw(flags)
    for layer in data.draw(st.lists(st.sampled_from(model.layers), max_size=2)):
        layer.trainable = data.draw(flags)


@pytest.mark.slow
def test_the_temporal_stream_comes_back_from_its_configuration():
    model = build_temporal_stream(2, flow_stack=1, seed=0)
    model.get_layer("conv1").trainable = False
    assert_comes_back(model, random(1, 224, 224, 2))


MAKERS = {
    "cell": lambda size: PeepholeLSTMCell(size).units,
    "layer": lambda size: PeepholeLSTM(size).units,
    "decoder's units": lambda size: Decoder((size,), 4, 2).units[0],
    "decoder's features": lambda size: Decoder((3,), size, 2).features,
    "decoder's frames": lambda size: Decoder((3,), 4, size).frames,
    "model's features": lambda size: build_model("composite", size, 3).config.features,
    "model's units": lambda size: build_model("composite", 4, (size,)).config.units[0],
    "model's frames": lambda size: build_model("composite", 4, 3, size, 2).config.input_frames,
    "horizon": lambda size: build_model("composite", 4, 3, 2, 2).with_horizon(size).config.future_frames,
    "classifier's features": lambda size: ClassifierConfig(features=size).features,
    "classifier's units": lambda size: ClassifierConfig(units=(size,)).units[0],
    "classifier's frames": lambda size: ClassifierConfig(block_frames=size).block_frames,
}


@pytest.mark.parametrize("maker", MAKERS)
def test_sizes_are_whole_numbers_of_any_kind_but_no_truth_values(maker):
    for size in (np.int64(3), np.uint8(3)):
        received = MAKERS[maker](size)
        assert received == 3 and type(received) is int
    for bad in (True, np.True_, 2.0, np.float64(3), "3", None, -1):
        with pytest.raises(ConfigError, match="whole number"):
            MAKERS[maker](bad)


@pytest.mark.parametrize("sizes", [{"classes": True}, {"classes": 2.0}, {"classes": 3, "flow_stack": True}])
def test_the_temporal_stream_refuses_what_is_no_whole_number(sizes):
    with pytest.raises(ConfigError, match="whole number"):
        build_temporal_stream(**sizes)


@pytest.mark.parametrize("output", ["poisson", "auto", "", None])
def test_a_decoder_refuses_an_output_that_it_does_not_have(output):
    with pytest.raises(ConfigError, match="expected output to be one of bernoulli, gaussian, received"):
        Decoder((3,), 4, 2, output=output)


def test_a_sequence_layer_without_inputs_cannot_be_called_and_says_so():
    layer = PeepholeLSTM(3, use_inputs=False)
    with pytest.raises(ConfigError, match="expected use_inputs to be True in a layer that is called"):
        layer(random(BATCH, STEPS, FEATURES))


def test_a_seed_means_the_weights_that_it_always_meant():
    model = build_model("composite", features=2, units=(3, 4), input_frames=2, future_frames=2, seed=7)
    assert [lstm.cell.recurrent_initializer.seed for lstm in model.encoder] == [7001, 7003]
    assert {branch: decoder.seed for branch, decoder in model.decoders.items()} == {
        "reconstruction": 7100,
        "future": 7200,
    }
    classifier = build_classifier(ClassifierConfig(features=2, units=(3, 4), classes=("a", "b")), seed=7)
    assert [lstm.cell.kernel_initializer.seed for lstm in classifier.lstms] == [7000, 7002]
    assert [each.seed for each in classifier.layers if isinstance(each, keras.layers.Dropout)] == [7500, 7501, 7502]
    assert classifier.get_layer("probabilities").kernel_initializer.seed == 7004
