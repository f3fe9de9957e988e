"""Losses and objectives against NumPy formulas in float64 and against finite differences."""

import numpy as np
import pytest
import tensorflow as tf

from videorep.config import ClassifierConfig
from videorep.models import build_classifier, build_model
from videorep.models.losses import bernoulli_loss, gaussian_loss
from videorep.models.pixels import to_unit_range
from videorep.training.objectives import classifier_objective, encoder_decoder_objective


def cross_entropy(logits, targets):
    p = 1 / (1 + np.exp(-logits.astype("float64")))
    return -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).sum(-1)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def read_out(rng):
    """Hidden states (2, 3, 4), a kernel (4, 5) and a bias (5,)."""
    return rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 5)), rng.normal(size=5)


def half_squared_error(values, targets):
    return 0.5 * ((values - targets) ** 2).sum(-1)


LOSSES = [(bernoulli_loss, cross_entropy), (gaussian_loss, half_squared_error)]


def as_float32(*arrays):
    return [tf.constant(array, tf.float32) for array in arrays]


@pytest.mark.parametrize(("loss", "formula"), LOSSES)
def test_loss_is_the_formula_of_what_is_read_out(rng, read_out, loss, formula):
    (hiddens, kernel, bias), targets = read_out, rng.uniform(size=(2, 3, 5))
    received = loss(*as_float32(*read_out, targets))
    np.testing.assert_allclose(received, formula(hiddens @ kernel + bias, targets), rtol=1e-5)


@pytest.mark.parametrize(("loss", "formula"), LOSSES)
def test_loss_gradient_by_finite_differences(rng, read_out, loss, formula):
    targets, weights = rng.uniform(size=(2, 3, 5)), rng.normal(size=(2, 3))

    def weighted(hiddens, kernel, bias):
        return (formula(hiddens @ kernel + bias, targets) * weights).sum()

    variables = [tf.Variable(each) for each in as_float32(*read_out)]
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(loss(*variables, *as_float32(targets)) * weights)
    for position, received in enumerate(tape.gradient(total, variables)):
        expected = np.zeros_like(read_out[position])
        for index in np.ndindex(*expected.shape):
            moved = [[each.copy() for each in read_out] for _ in range(2)]
            moved[0][position][index] += 1e-5
            moved[1][position][index] -= 1e-5
            expected[index] = (weighted(*moved[0]) - weighted(*moved[1])) / 2e-5
        np.testing.assert_allclose(received, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(("loss", "formula"), LOSSES)
def test_products_of_low_precision_change_loss_and_gradient_little(rng, read_out, loss, formula, dtype):
    """float16 with the factor that loss scaling brings: nothing overflows."""
    (hiddens, kernel, bias), targets, factor = as_float32(*read_out), rng.uniform(size=(2, 3, 5)), 1024.0
    gradients = []
    for precision in ("float32", dtype):
        with tf.GradientTape() as tape:
            tape.watch([hiddens, kernel, bias])
            losses = loss(hiddens, tf.cast(kernel, precision), bias, *as_float32(targets))
            total = tf.reduce_sum(losses) * factor
        np.testing.assert_allclose(losses, formula(read_out[0] @ read_out[1] + read_out[2], targets), rtol=0.03)
        gradients.append(tape.gradient(total, [hiddens, kernel, bias]))
        assert losses.dtype == tf.float32 and {each.dtype for each in gradients[-1]} == {tf.float32}
    for received, expected in zip(*gradients[::-1], strict=True):
        np.testing.assert_allclose(received, expected, atol=0.02 * np.abs(expected).max())


def logits_alone(logits):
    """The arguments of a loss whose read-outs are `logits` (B, D): one hidden unit of 1, the logits as its kernel."""
    return tf.ones((1, 1)), tf.constant([logits]), tf.zeros(len(logits))


def test_bernoulli_loss_of_one_half_everywhere():
    loss = bernoulli_loss(*logits_alone([0.0] * 4096), tf.ones((1, 4096)))
    np.testing.assert_allclose(loss, [2839.1], atol=0.05)


def test_bernoulli_loss_is_finite_at_extreme_logits():
    loss = bernoulli_loss(*logits_alone([1e4, -1e4]), tf.constant([[0.0, 1.0]]))
    np.testing.assert_allclose(loss, [2e4])


def test_pixels_are_scaled_and_percepts_are_not():
    np.testing.assert_allclose(to_unit_range(tf.constant([0, 51, 255], tf.uint8)), [0, 0.2, 1], rtol=1e-6)
    np.testing.assert_allclose(to_unit_range(tf.constant([3.0, -1.0], tf.float16)), [3, -1])


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


@pytest.mark.parametrize("share, feeding", [(1, "teacher"), (0, "own")])
def test_scheduled_feeding_of_all_or_none_is_one_of_the_others(rng, share, feeding):
    """Loss and gradients, of both decoders; evaluation sees its own output whatever a batch shows."""
    branches = ("reconstruction", "future")
    model = build_model("composite", 6, (5,), 3, 3, conditional=branches, seed=1)
    batch = {"frames": tf.constant(rng.integers(0, 256, (4, 6, 6), dtype="uint8"))}
    batch["shown"] = tf.constant(np.full((4, 6), bool(share)))
    results = []
    for objective in (encoder_decoder_objective(model, each) for each in ("scheduled", feeding)):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(objective(batch)[0])
        results.append([loss, *tape.gradient(loss, [variable.value for variable in model.trainable_variables])])
        np.testing.assert_allclose(
            objective(batch, training=False)[0], encoder_decoder_objective(model, "own")(batch)[0]
        )
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


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


@pytest.mark.parametrize("loss", ["all", "last"])
@pytest.mark.parametrize("of_frames", [False, True], ids=["video", "frames"])
def test_classifier_objective_at_all_steps_or_at_the_last_with_one_label_or_one_per_frame(rng, loss, of_frames):
    config = ClassifierConfig(features=4, units=(5,), classes=("a", "b", "c"), dropout=0.0, loss=loss)
    model = build_classifier(config, seed=2)
    frames, lengths = rng.normal(size=(3, 6, 4)).astype("float32"), [6, 2, 5]
    labels = rng.integers(0, 3, (3, 6) if of_frames else 3)
    mask = np.arange(6) < np.array(lengths)[:, None]
    batch = {"frames": tf.constant(frames), "mask": tf.constant(mask), "label": tf.constant(labels, tf.int32)}
    received, parts = classifier_objective(model)(batch)
    probabilities = np.asarray(model({"frames": frames}), "float64")
    for b, length in enumerate(lengths):
        wanted = labels[b] if of_frames else np.full(6, labels[b])
        each = [-np.log(probabilities[b, t, wanted[t]]) for t in range(length)]
        np.testing.assert_allclose(received[b], each[-1] if loss == "last" else np.mean(each), rtol=1e-5)
        if of_frames:
            right = [probabilities[b, t].argmax() == wanted[t] for t in range(length)]
            np.testing.assert_allclose(parts["frame_accuracy"][b], np.mean(right), rtol=1e-6)
    assert ("block_accuracy" in parts) == (not of_frames)


def test_the_last_step_alone_gets_a_gradient(rng):
    config = ClassifierConfig(features=4, units=(5,), classes=("a", "b"), loss="last")
    model, probabilities = build_classifier(config, seed=2), tf.constant(rng.uniform(0.2, 0.8, (2, 5, 2)), tf.float32)
    mask = tf.constant([[True] * 5, [True] * 3 + [False] * 2])
    with tf.GradientTape() as tape:
        tape.watch(probabilities)
        losses = model.block_losses(probabilities, tf.constant([0, 1]), mask)
    moved = np.argwhere(tape.gradient(losses, probabilities).numpy())
    assert moved.tolist() == [[0, 4, 0], [1, 2, 1]]
