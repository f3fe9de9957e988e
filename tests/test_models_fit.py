"""Keras' own loop trains what videorep's loop does: the same losses from the same batches, and the same weights."""

import keras
import numpy as np
import pytest

from videorep.config import ClassifierConfig
from videorep.errors import ConfigError
from videorep.models import build_classifier, build_model
from videorep.models.averaging import average_steps

T, F, D = 3, 2, 6


@pytest.fixture
def frames():
    return np.random.default_rng(0).uniform(size=(8, T + F, D)).astype("float32")


def cross_entropy(target, probabilities):
    target, p = np.asarray(target, "float64"), np.asarray(probabilities, "float64")
    return -(target * np.log(p) + (1 - target) * np.log(1 - p)).sum(-1).mean(-1)


@pytest.mark.parametrize("name", ["autoencoder", "future_predictor", "composite"])
def test_evaluate_gives_the_sum_of_the_branches_losses_by_hand(frames, name):
    model = build_model(name, D, (5,), T, F, seed=1)
    model.compile("sgd")
    inputs, future = frames[:, :T], None if name == "autoencoder" else frames[:, T:]
    targets = {"reconstruction": inputs, "future": future}
    outputs = model({"frames": inputs})
    wanted = sum(cross_entropy(targets[branch], keras.ops.convert_to_numpy(outputs[branch])) for branch in outputs)
    loss = model.evaluate({"frames": inputs}, future, batch_size=3, verbose=0)
    np.testing.assert_allclose(loss, wanted.mean(), rtol=1e-5)
    if future is None:
        return  # Keras drops the weights of examples without y
    weight = np.arange(8.0)
    weighted = model.evaluate({"frames": inputs}, future, sample_weight=weight, batch_size=8, verbose=0)
    np.testing.assert_allclose(weighted, (weight * wanted).mean(), rtol=1e-5)


def test_fit_feeds_conditional_decoders_with_true_frames_and_evaluate_does_not(frames):
    model = build_model("future_predictor", D, (5,), T, F, conditional="future", seed=1)
    model.compile(keras.optimizers.SGD(0.0))
    fitted = model.fit({"frames": frames[:, :T]}, frames[:, T:], batch_size=8, verbose=0).history["loss"][0]
    teacher = {"future": frames[:, T:]}
    logits = model.logits(frames[:, :T], teacher)
    by_hand = cross_entropy(frames[:, T:], keras.ops.convert_to_numpy(model.emitted(logits)["future"])).mean()
    np.testing.assert_allclose(fitted, by_hand, rtol=1e-5)
    free = model.evaluate({"frames": frames[:, :T]}, frames[:, T:], batch_size=8, verbose=0)
    assert abs(free - fitted) > 1e-5


def test_pixels_are_divided_by_255(frames):
    model = build_model("autoencoder", D, (5,), T, F, seed=1)
    model.compile("sgd")
    pixels = (255 * frames[:, :T]).astype("uint8")
    losses = [model.evaluate({"frames": each}, verbose=0) for each in (pixels, (pixels / 255).astype("float32"))]
    np.testing.assert_allclose(*losses, rtol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_fit_learns(frames, precision):
    model = build_model("composite", D, (16,), T, F, seed=1, dtype=precision)
    model.compile(keras.optimizers.Adam(0.02))
    losses = model.fit({"frames": frames[:, :T]}, frames[:, T:], epochs=30, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < 0.95 * losses[0]


def test_the_classifier_leaves_padding_out(frames):
    model = build_classifier(ClassifierConfig(features=D, units=(5,), classes=("a", "b", "c"), dropout=0.0), seed=2)
    model.compile("sgd")
    label = np.arange(8) % 3
    mask = np.arange(T + F) < np.array([5, 1, 2, 3, 4, 5, 5, 5])[:, None]
    p = np.asarray(keras.ops.convert_to_numpy(model({"frames": frames})), "float64")
    each = np.array([-np.log(p[b, mask[b], label[b]]).mean() for b in range(8)])
    loss = model.evaluate({"frames": frames}, label, sample_weight=mask.astype("float32"), batch_size=8, verbose=0)
    np.testing.assert_allclose(loss, each.mean(), rtol=1e-5)
    whole = [-np.log(p[b, :, label[b]]).mean() for b in range(8)]
    np.testing.assert_allclose(
        model.evaluate({"frames": frames}, label, batch_size=8, verbose=0), np.mean(whole), rtol=1e-5
    )


def test_what_layers_add_counts(frames):
    model = build_model("autoencoder", D, (5,), T, F, seed=1)
    model.compile("sgd")
    plain = model.evaluate({"frames": frames[:, :T]}, verbose=0)
    model.decoders["reconstruction"].activity_regularizer = keras.regularizers.L2(0.1)
    logits = keras.ops.convert_to_numpy(model.logits(frames[:, :T])["reconstruction"])
    model.compile("sgd")
    with_penalty = model.evaluate({"frames": frames[:, :T]}, verbose=0)
    np.testing.assert_allclose(with_penalty, plain + 0.1 * (logits.astype("float64") ** 2).sum() / 8, rtol=1e-5)


def test_a_loss_beside_the_models_own_is_refused():
    with pytest.raises(ConfigError, match="loss to be left out"):
        build_model("composite", D, (5,), T, F).compile("sgd", loss="mse")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"expected y to be frames \(B, 2, 6\)"),
        ({"y": np.zeros((8, T + 1, D), "float32")}, r"expected y to be frames \(B, 2, 6\)"),
        ({"y": np.zeros((8, F, D), "float32"), "sample_weight": np.ones((8, T))}, "sample_weight to be a number per"),
    ],
)
def test_what_does_not_fit_is_one_sentence(frames, options, message):
    model = build_model("composite", D, (5,), T, F, seed=1)
    model.compile("sgd")
    with pytest.raises(ConfigError, match=message):
        model.fit({"frames": frames[:, :T]}, **options, verbose=0)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
def test_average_of_steps(shape):
    rng = np.random.default_rng(3)
    values, mask = rng.normal(size=shape).astype("float32"), np.arange(5) < np.array([5, 1, 3, 0])[:, None]
    average = keras.ops.convert_to_numpy(average_steps(values, mask))
    for b in range(3):
        np.testing.assert_allclose(average[b], values[b, mask[b]].mean(0), rtol=1e-5)
    assert not average[3].any()
