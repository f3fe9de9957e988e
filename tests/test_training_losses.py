"""Losses and objectives against NumPy formulas in float64 and against finite differences."""

import numpy as np
import pytest
import tensorflow as tf

from videorep.config import ClassifierConfig
from videorep.models import build_classifier, build_model
from videorep.training.losses import bernoulli_loss, gaussian_loss, to_model_input
from videorep.training.objectives import classifier_objective, encoder_decoder_objective


def cross_entropy(logits, targets):
    p = 1 / (1 + np.exp(-logits.astype("float64")))
    return -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).sum(-1)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_bernoulli_loss_is_the_cross_entropy(rng):
    logits, targets = rng.normal(size=(4, 5, 7)) * 3, rng.uniform(size=(4, 5, 7))
    loss = bernoulli_loss(tf.constant(logits, tf.float32), tf.constant(targets, tf.float32))
    np.testing.assert_allclose(loss, cross_entropy(logits, targets), rtol=1e-5)


def test_bernoulli_loss_of_one_half_everywhere():
    loss = bernoulli_loss(tf.zeros((1, 4096)), tf.ones((1, 4096)))
    np.testing.assert_allclose(loss, [2839.1], atol=0.05)


def test_bernoulli_loss_is_finite_at_extreme_logits():
    loss = bernoulli_loss(tf.constant([[1e4, -1e4]]), tf.constant([[0.0, 1.0]]))
    np.testing.assert_allclose(loss, [2e4])


def test_bernoulli_loss_gradient_by_finite_differences(rng):
    logits, targets = rng.normal(size=(2, 3)), rng.uniform(size=(2, 3))
    weights = np.array([0.5, -2.0])
    variable = tf.Variable(logits, dtype=tf.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(bernoulli_loss(variable, tf.constant(targets, tf.float32)) * weights)
    expected = np.zeros_like(logits)
    for index in np.ndindex(*logits.shape):
        step = np.zeros_like(logits)
        step[index] = 1e-5
        up, down = (cross_entropy(logits + s, targets) @ weights for s in (step, -step))
        expected[index] = (up - down) / 2e-5
    np.testing.assert_allclose(tape.gradient(loss, variable), expected, atol=1e-5)


def test_gaussian_loss_is_half_the_squared_error(rng):
    values, targets = rng.normal(size=(3, 2, 5)), rng.normal(size=(3, 2, 5))
    loss = gaussian_loss(tf.constant(values, tf.float32), tf.constant(targets, tf.float32))
    np.testing.assert_allclose(loss, 0.5 * ((values - targets) ** 2).sum(-1), rtol=1e-5)


def test_pixels_are_scaled_and_percepts_are_not():
    np.testing.assert_allclose(to_model_input(tf.constant([0, 51, 255], tf.uint8)), [0, 0.2, 1], rtol=1e-6)
    np.testing.assert_allclose(to_model_input(tf.constant([3.0, -1.0], tf.float16)), [3, -1])


@pytest.mark.parametrize("output", ["bernoulli", "gaussian"])
def test_encoder_decoder_objective_sums_both_branches(rng, output):
    model = build_model("composite", features=6, units=(5,), input_frames=3, future_frames=2, output=output, seed=1)
    pixels = rng.integers(0, 256, (4, 5, 6), dtype="uint8")
    loss, parts = encoder_decoder_objective(model)({"frames": tf.constant(pixels)})
    frames = pixels / 255
    outputs = {k: np.asarray(v, "float64") for k, v in model({"frames": frames[:, :3].astype("float32")}).items()}
    expected = 0
    for branch, target in (("reconstruction", frames[:, :3]), ("future", frames[:, 3:])):
        p = outputs[branch]
        if output == "bernoulli":
            each = -(target * np.log(p) + (1 - target) * np.log(1 - p)).sum(-1).mean(-1)
            name = f"{branch}_cross_entropy_per_frame"
        else:
            each = 0.5 * ((p - target) ** 2).sum(-1).mean(-1)
            name = f"{branch}_half_squared_error_per_frame"
        np.testing.assert_allclose(parts[name], each, rtol=1e-4)
        expected = expected + each
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


def test_feeding_changes_only_the_training_of_conditional_decoders(rng):
    model = build_model("composite", 6, (5,), 3, 3, conditional=("future",), seed=1)
    batch = {"frames": tf.constant(rng.integers(0, 256, (4, 6, 6), dtype="uint8"))}
    teacher, own = encoder_decoder_objective(model, "teacher"), encoder_decoder_objective(model, "own")
    name = "future_cross_entropy_per_frame"
    assert np.abs(teacher(batch)[1][name] - own(batch)[1][name]).max() > 1e-4
    np.testing.assert_allclose(teacher(batch, training=False)[0], own(batch, training=False)[0], rtol=1e-6)


def test_classifier_objective_leaves_padding_out(rng):
    config = ClassifierConfig(features=4, units=(5,), classes=("a", "b", "c"), dropout=0.0)
    model = build_classifier(config, seed=2)
    frames = rng.normal(size=(3, 6, 4)).astype("float32")
    mask = np.array([[True] * 6, [True] * 2 + [False] * 4, [True] * 5 + [False]])
    label = np.array([0, 2, 1], "int32")
    batch = {"frames": tf.constant(frames), "mask": tf.constant(mask), "label": tf.constant(label)}
    loss, parts = classifier_objective(model)(batch)
    probabilities = np.asarray(model({"frames": frames}), "float64")
    for b in range(3):
        valid = probabilities[b][mask[b]]
        np.testing.assert_allclose(loss[b], -np.log(valid[:, label[b]]).mean(), rtol=1e-5)
        assert parts["block_accuracy"][b] == float(valid.mean(0).argmax() == label[b])
