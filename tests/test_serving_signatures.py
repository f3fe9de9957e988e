"""What every signature answers: the model's own probabilities and frames, at any batch and length, or a clear error."""

import numpy as np
import pytest
import tensorflow as tf

from videorep.config import ClassifierConfig, FinetuneConfig, PretrainConfig
from videorep.models import build_classifier, build_model
from videorep.models.encoding import top_states
from videorep.serving.signatures import serve

CLASSES, FEATURES, STATE = ("jump", "run", "walk"), 5, 2 * (4 + 3)
SHAPES = [(1, 1), (7, 16), (32, 100)]


def served(config, model):
    return serve(model, config).concrete_signatures()


@pytest.fixture(scope="module")
def classifier():
    """A model and its signatures."""
    config = ClassifierConfig(features=FEATURES, units=(4, 3), classes=CLASSES, block_frames=6, block_stride=3)
    model = build_classifier(config, seed=4)
    return model, served(FinetuneConfig(config), model)


@pytest.fixture(scope="module", params=[(), ("reconstruction", "future")], ids=["unconditioned", "conditional"])
def composite(request):
    model = build_model("composite", FEATURES, (4, 3), 3, 2, request.param, "gaussian", seed=1, standardise=True)
    model.standardisation.assign(np.arange(5) - 2.0, np.arange(5) + 0.5)
    return model, served(PretrainConfig(model.config), model)


def frames_of(batch, length):
    return np.random.default_rng(length).normal(size=(batch, length, FEATURES)).astype("float32")


def classify_by_hand(model, frames):
    """(K,) of one video (T, D): blocks of 6 at every third frame, averaged over steps, then over blocks."""
    starts = range(0, max(len(frames) - 6, 0) + 1, 3)
    return np.mean([np.asarray(model({"frames": frames[None, at : at + 6]}))[0].mean(0) for at in starts], axis=0)


@pytest.mark.parametrize(("batch", "length"), SHAPES)
def test_a_classifier_answers_as_its_model(classifier, batch, length):
    model, signatures = classifier
    frames = frames_of(batch, length)
    answer = signatures["classify"](frames=tf.constant(frames))
    for row in range(0, batch, 6):
        np.testing.assert_allclose(answer["probabilities"][row], classify_by_hand(model, frames[row]), atol=1e-5)
    expected = answer["probabilities"].numpy()
    order = np.argsort(-expected, axis=1)
    assert answer["top_labels"].numpy().astype("U").tolist() == np.array(CLASSES)[order].tolist()
    np.testing.assert_array_equal(answer["top_probabilities"], np.take_along_axis(expected, order, axis=1))
    assert signatures["serving_default"] is signatures["classify"]


def test_padding_is_left_out_whatever_it_holds(classifier):
    model, signatures = classifier
    lengths = np.int32([1, 4, 6, 8, 9, 14, 20])
    frames = frames_of(7, 20)
    for row, length in enumerate(lengths):
        frames[row, length:] = np.nan
    answer = signatures["classify_padded"](frames=tf.constant(frames), length=tf.constant(lengths))
    expected = [classify_by_hand(model, row[:length]) for row, length in zip(frames, lengths, strict=True)]
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-6)


@pytest.mark.parametrize(("batch", "length"), SHAPES)
def test_steps_with_their_state_equal_the_model_on_all_frames(classifier, batch, length):
    model, signatures = classifier
    frames = frames_of(batch, length)
    expected = np.asarray(model({"frames": frames}))
    state = signatures["initial_state"](streams=tf.range(batch))["state"]
    assert state.shape == (batch, STATE) and not state.numpy().any()
    for step in range(length):
        answer = signatures["step"](frame=tf.constant(frames[:, step]), state=state)
        state = answer["state"]
        np.testing.assert_allclose(answer["probabilities"], expected[:, step], atol=1e-5)


def test_a_model_without_a_state_has_no_steps():
    config = ClassifierConfig("single-frame", features=FEATURES, units=(4,), classes=CLASSES)
    names = served(FinetuneConfig(config), build_classifier(config)).keys()
    assert names == {"serving_default", "classify", "classify_padded"}


@pytest.mark.parametrize(("batch", "length"), SHAPES)
def test_a_composite_reconstructs_predicts_and_represents_any_length(composite, batch, length):
    model, signatures = composite
    frames = frames_of(batch, length)
    other = build_model(
        **{"name": "composite", "features": FEATURES, "units": (4, 3), "input_frames": length, "standardise": True},
        **{"future_frames": length + 1, "conditional": model.config.conditional, "output": "gaussian"},
    )
    other.set_weights(model.get_weights())
    expected = other({"frames": frames})
    answer = signatures["reconstruct"](frames=tf.constant(frames))["reconstruction"]
    np.testing.assert_allclose(answer, expected["reconstruction"], atol=1e-5, rtol=1e-5)
    horizon = tf.constant([1] * (batch - 1) + [length + 1])  # the longest is run
    answer = signatures["predict_future"](frames=tf.constant(frames), horizon=horizon)["future"]
    np.testing.assert_allclose(answer, expected["future"], atol=1e-5, rtol=1e-5)
    answer = signatures["represent"](frames=tf.constant(frames))["embedding"]
    np.testing.assert_allclose(answer, top_states(model, frames)[:, -1], atol=1e-6)


def test_what_a_model_lacks_has_no_signature():
    model = build_model("future_predictor", FEATURES, (4,), 3, 2)
    assert served(PretrainConfig(model.config), model).keys() == {"serving_default", "represent", "predict_future"}


def zeros(*shape):
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("name", "inputs", "words"),
    [
        ("classify", {"frames": np.full((1, 7, FEATURES), np.nan, np.float32)}, "finite values, received NaN"),
        ("classify", {"frames": np.full((1, 7, FEATURES), np.inf, np.float32)}, "finite values, received NaN"),
        ("classify", {"frames": zeros(1, 0, FEATURES)}, "at least one frame, received none"),
        ("classify_padded", {"frames": zeros(1, 2, FEATURES), "length": np.int32([0])}, "at least one frame"),
        ("classify_padded", {"frames": zeros(1, 2, FEATURES), "length": np.int32([3])}, "at most the frames received"),
        ("classify_padded", {"frames": zeros(2, 2, FEATURES), "length": np.int32([1])}, "one batch size"),
        ("step", {"frame": zeros(2, FEATURES), "state": zeros(1, STATE)}, "one batch size"),
        ("step", {"frame": zeros(1, FEATURES), "state": np.full((1, STATE), np.nan, np.float32)}, "finite values"),
        ("predict_future", {"frames": zeros(2, 2, FEATURES), "horizon": np.int32([3, 0])}, "horizons from 1 to 10,000"),
        ("predict_future", {"frames": zeros(1, 2, FEATURES), "horizon": np.int32([10_001])}, "horizons from 1"),
        ("predict_future", {"frames": zeros(2, 2, FEATURES), "horizon": np.int32([3])}, "one batch size"),
        ("reconstruct", {"frames": zeros(1, 0, FEATURES)}, "at least one frame"),
        ("represent", {"frames": np.full((1, 7, FEATURES), np.nan, np.float32)}, "finite values"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong_and_the_next_one_answered(classifier, composite, name, inputs, words):
    _, signatures = classifier if name in classifier[1] else composite
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        signatures[name](**{each: tf.constant(array) for each, array in inputs.items()})
    good = signatures["serving_default"](frames=tf.constant(frames_of(1, 3)))
    assert all(np.isfinite(each).all() for each in good.values() if each.dtype == tf.float32)


def test_no_videos_have_no_answers(classifier, composite):
    assert classifier[1]["classify"](frames=tf.zeros((0, 9, FEATURES)))["probabilities"].shape == (0, 3)
    none = tf.zeros((0, 9, FEATURES))
    assert composite[1]["predict_future"](frames=none, horizon=tf.zeros(0, tf.int32))["future"].shape[0] == 0
    assert composite[1]["reconstruct"](frames=tf.zeros((0, 9, FEATURES)))["reconstruction"].shape == (0, 9, FEATURES)


def test_a_very_long_video_is_answered(classifier):
    model, signatures = classifier
    frames = np.tile(frames_of(1, 3), (1, 33_334, 1))[:, :100_000]  # every block of 6 frames is the same
    answer = signatures["classify"](frames=tf.constant(frames))
    np.testing.assert_allclose(answer["probabilities"][0], classify_by_hand(model, frames[0, :6]), atol=1e-4)
