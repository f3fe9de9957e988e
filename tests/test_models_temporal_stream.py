"""CNN-M-2048 against the sizes that its authors published, and its normalisation against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from videorep.errors import ConfigError
from videorep.models.temporal_stream import LocalResponseNormalization, build_temporal_stream


@pytest.fixture(scope="module")
def net():
    return build_temporal_stream(classes=12, flow_stack=10, seed=1)


def test_parameters_and_shapes_are_cnn_m_2048s(net):
    expected = {
        "conv1": (7 * 7 * 20 + 1) * 96,
        "conv2": (5 * 5 * 96 + 1) * 256,
        "conv3": (3 * 3 * 256 + 1) * 512,
        "conv4": (3 * 3 * 512 + 1) * 512,
        "conv5": (3 * 3 * 512 + 1) * 512,
        "fc6": (6 * 6 * 512 + 1) * 4096,
        "fc7": (4096 + 1) * 2048,
        "probabilities": (2048 + 1) * 12,
    }
    assert {layer.name: layer.count_params() for layer in net.layers if layer.count_params()} == expected
    sides = {layer.name: layer.output.shape[1] for layer in net.layers if len(layer.output.shape) == 4}
    wanted = {"conv1": 109, "pool1": 54, "conv2": 26, "pool2": 13, "conv5": 13, "pool5": 6}
    assert {name: sides[name] for name in wanted} == wanted
    assert net.get_layer("fc6").output.shape == (None, 4096)


def test_the_input_has_two_channels_per_field_or_three_of_rgb(net):
    assert net.input_shape == (None, 224, 224, 20)
    assert build_temporal_stream(12, flow_stack=1).input_shape == (None, 224, 224, 2)
    assert build_temporal_stream(12, "rgb").input_shape == (None, 224, 224, 3)


def test_rgb_is_centred():
    model = build_temporal_stream(2, "rgb", seed=0)
    probe = keras.Model(model.inputs[0], model.get_layer("conv1").output)
    assert np.abs(np.asarray(probe(np.full((1, 224, 224, 3), 128.0, np.float32)))).max() == 0


def test_normalization_is_krizhevskys():
    activations = np.random.default_rng(0).normal(0, 60, (2, 3, 4, 7)).astype(np.float32)
    expected = np.empty_like(activations)
    for channel in range(7):
        near = activations[..., max(0, channel - 2) : channel + 3].astype(np.float64)
        expected[..., channel] = activations[..., channel] / (2 + 1e-4 * np.square(near).sum(axis=-1)) ** 0.75
    received = np.asarray(LocalResponseNormalization()(activations))
    np.testing.assert_allclose(received, expected, rtol=1e-5)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_normalisation_stays_finite_in_half_precision(precision):
    """The square of 300 is no number of float16; the activations of a first step reach thousands."""
    activations = np.random.default_rng(0).uniform(0, 3000, (2, 3, 4, 8)).astype(np.float32)
    received = np.asarray(LocalResponseNormalization(dtype=precision)(activations)).astype(np.float32)
    np.testing.assert_allclose(received, LocalResponseNormalization()(activations), rtol=0.02)


@pytest.mark.parametrize("depth", [4, 0, -1, 2.5])
def test_normalisation_has_a_middle(depth):
    with pytest.raises(ConfigError, match="depth to be a positive odd number"):
        LocalResponseNormalization(depth)


def test_normalisation_is_the_same_every_time():
    """TensorFlow sums three arrays and more in the order in which they are ready; percepts must not depend on that."""
    activations = np.random.default_rng(0).normal(size=(8, 64, 64, 96)).astype("float32") * 100
    normalise = tf.function(LocalResponseNormalization())
    expected = normalise(activations).numpy()
    for _ in range(8):
        np.testing.assert_array_equal(normalise(activations), expected)


def test_probabilities_and_a_saved_copy_agree(net, tmp_path):
    stacks = np.random.default_rng(0).normal(0, 10, (2, 224, 224, 20)).astype(np.float32)
    before = np.asarray(net(stacks))
    np.testing.assert_allclose(before.sum(axis=1), 1, rtol=1e-5)
    assert np.abs(before[0] - before[1]).max() > 1e-6
    net.save(tmp_path / "model.keras")
    np.testing.assert_allclose(np.asarray(keras.models.load_model(tmp_path / "model.keras")(stacks)), before, rtol=1e-5)


def test_the_seed_decides_the_weights():
    kernels = [
        np.asarray(build_temporal_stream(2, flow_stack=1, seed=seed).get_layer("conv3").kernel) for seed in (3, 3, 4)
    ]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).max() > 0.01


@pytest.mark.parametrize(
    ("settings", "named"), [({"classes": 1}, "classes"), ({"classes": 3, "flow_stack": 0}, "flow_stack")]
)
def test_impossible_sizes_are_refused(settings, named):
    with pytest.raises(ConfigError, match=named):
        build_temporal_stream(**settings)
