"""The action classifier: its maths, its dropout, its padding, the weights that it takes from an encoder."""

import keras
import lstm_oracle
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from keras import ops

from videorep.config import ClassifierConfig
from videorep.config_values import from_dict, to_dict
from videorep.errors import ConfigError
from videorep.models import build_classifier, build_model

BATCH, STEPS, FEATURES, UNITS = 3, 5, 4, (6, 5)
CLASSES = ("archery", "bowling", "diving")


def small_classifier(seed=0, encoder=None, dtype=None, **changes):
    config = ClassifierConfig(**{"features": FEATURES, "units": UNITS, "classes": CLASSES, "dropout": 0.0, **changes})
    return build_classifier(config, encoder=encoder, seed=seed, dtype=dtype)


def randomised(model, seed=0):
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 0.8, weight.shape) for weight in model.get_weights()])
    return model


def random_frames(batch=BATCH, steps=STEPS, seed=1):
    return np.random.default_rng(seed).random((batch, steps, FEATURES)).astype("float32")


def probabilities(model, frames, training=False):
    return ops.convert_to_numpy(model({"frames": frames}, training=training))


def read_out_weights(model):
    kernel, bias = model.get_weights()[-2:]
    return np.asarray(kernel, "float64"), np.asarray(bias, "float64")


# Its maths


def test_agrees_with_the_oracle():
    model, frames = randomised(small_classifier()), random_frames()
    layers = [
        lstm_oracle.Weights(*(np.asarray(weight, "float64") for weight in layer.get_weights())) for layer in model.lstms
    ]
    _, hiddens = lstm_oracle.encode(layers, frames.astype("float64"))
    kernel, bias = read_out_weights(model)
    received = probabilities(model, frames)
    assert received.shape == (BATCH, STEPS, len(CLASSES)) and received.dtype == np.float32
    np.testing.assert_allclose(received, lstm_oracle.softmax(hiddens @ kernel + bias), rtol=1e-5, atol=1e-5)


def test_single_frame_is_logistic_regression_on_each_frame():
    model, frames = randomised(small_classifier(name="single-frame")), random_frames()
    assert model.count_params() == FEATURES * len(CLASSES) + len(CLASSES)
    kernel, bias = read_out_weights(model)
    expected = lstm_oracle.softmax(frames.astype("float64") @ kernel + bias)
    np.testing.assert_allclose(probabilities(model, frames), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("padding", [1, 60])
def test_zero_padding_at_the_end_changes_no_step_before_it(padding):
    model, frames = randomised(small_classifier(dropout=0.5)), random_frames()
    padded = np.concatenate([frames, np.zeros((BATCH, padding, FEATURES), "float32")], axis=1)
    np.testing.assert_allclose(probabilities(model, padded)[:, :STEPS], probabilities(model, frames), atol=1e-6)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_follows_float32(dtype):
    mixed, full, frames = randomised(small_classifier(dtype=dtype)), randomised(small_classifier()), random_frames()
    assert {keras.backend.standardize_dtype(weight.dtype) for weight in mixed.weights} == {"float32"}
    received = probabilities(mixed, frames)
    assert received.dtype == np.float32
    np.testing.assert_allclose(received, probabilities(full, frames), atol=0.02)


# Its dropout


def dropped_states(rate, seed, frames):
    """The top h (B, T, U) that reaches the read-out in training, of a one-layer classifier, and without dropout.

    The read-out copies h into the log-odds against a last class that it leaves at 0. The layer's kernel is 0, so h
    follows from recurrence, bias and peepholes alone: dropout on the recurrent path would change it.
    """
    units = 8
    classes = tuple(f"class {n}" for n in range(units + 1))
    model = randomised(small_classifier(seed, units=(units,), classes=classes, dropout=rate), seed)
    kernel, *others = model.lstms[0].get_weights()
    model.lstms[0].set_weights([np.zeros_like(kernel), *others])
    recurrence = model.get_weights()[:-2]
    model.set_weights([*recurrence, np.eye(units, units + 1), np.zeros(units + 1)])

    def hidden(training):
        logs = np.log(probabilities(model, frames, training).astype("float64"))
        return logs[..., :-1] - logs[..., -1:]

    return hidden(True), hidden(True), hidden(False)


@given(rate=st.floats(0.1, 0.9), seed=st.integers(0, 1000))
@settings(max_examples=4, deadline=None, derandomize=True, phases=[Phase.generate])
def test_dropout_is_inverted_fresh_per_step_and_not_in_the_recurrence(rate, seed):
    frames = random_frames(batch=40, steps=10)
    first, second, whole = dropped_states(rate, seed, frames)
    for dropped in (first, second):
        kept = np.abs(dropped) > 1e-4
        big_enough = np.abs(whole) > 1e-3
        np.testing.assert_allclose(np.where(kept, dropped * (1 - rate), 0), np.where(kept, whole, 0), atol=1e-4)
        assert (~kept)[big_enough].mean() == pytest.approx(rate, abs=0.05)
        both_steps = big_enough[:, 1:] & big_enough[:, :-1]
        same = (kept[:, 1:] == kept[:, :-1])[both_steps].mean()
        assert same == pytest.approx(rate**2 + (1 - rate) ** 2, abs=0.05)
    alike = (np.abs(first) > 1e-4) == (np.abs(second) > 1e-4)
    assert alike.mean() == pytest.approx(rate**2 + (1 - rate) ** 2, abs=0.05)


def test_dropout_on_the_input_is_fresh_per_step():
    """A layer without memory that copies x into h: what is missing from h was dropped from x or from h."""
    rate, size = 0.4, FEATURES
    classes = tuple(f"class {n}" for n in range(size + 1))
    model = small_classifier(units=(size,), classes=classes, dropout=rate)
    kernel = np.zeros((size, 4 * size))
    kernel[:, 2 * size : 3 * size] = np.eye(size)
    bias = np.repeat([30.0, -30.0, 0.0, 30.0], size)
    model.set_weights(
        [kernel, np.zeros((size, 4 * size)), bias, np.zeros((3, size)), np.eye(size, size + 1), np.zeros(size + 1)]
    )
    frames = np.full((100, 10, size), 0.3, "float32")
    logs = np.log(probabilities(model, frames, training=True).astype("float64"))
    hidden = logs[..., :-1] - logs[..., -1:]
    copied = np.tanh(np.tanh(0.3 / (1 - rate))) / (1 - rate)
    kept = np.abs(hidden) > 1e-3
    np.testing.assert_allclose(hidden, np.where(kept, copied, 0), atol=1e-4)
    chance = (1 - rate) ** 2
    assert kept.mean() == pytest.approx(chance, abs=0.04)
    assert (kept[:, 1:] & kept[:, :-1]).mean() == pytest.approx(chance**2, abs=0.04)
    assert (kept[..., 1:] & kept[..., :-1]).mean() == pytest.approx(chance**2, abs=0.04)


def test_dropout_is_off_outside_of_training():
    model, frames = randomised(small_classifier(dropout=0.5)), random_frames()
    np.testing.assert_array_equal(probabilities(model, frames), probabilities(model, frames))
    np.testing.assert_allclose(
        probabilities(model, frames), probabilities(randomised(small_classifier()), frames), atol=1e-6
    )


# Its weights


def pretrained(features=FEATURES, units=UNITS, name="composite"):
    return randomised(build_model(name, features, units, 4, 3), seed=9)


def test_weights_are_copied_from_the_encoder():
    encoder = pretrained()
    before = encoder.get_weights()
    model = small_classifier(encoder=encoder)
    for ours, theirs in zip(model.lstms, encoder.encoder, strict=True):
        for weight, source in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, source)
    states = encoder.encode(random_frames())
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    for weight, source in zip(encoder.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, source)
    again = encoder.encode(random_frames())
    np.testing.assert_array_equal(*(ops.convert_to_numpy(each[-1][0]) for each in (states, again)))


def test_frozen_encoder_leaves_only_the_read_out_to_train():
    encoder = pretrained()
    assert len(small_classifier(encoder=encoder).trainable_weights) == 10
    frozen = small_classifier(encoder=encoder, freeze_encoder=True)
    assert [weight.shape for weight in frozen.trainable_weights] == [(UNITS[-1], len(CLASSES)), (len(CLASSES),)]
    np.testing.assert_array_equal(frozen.lstms[0].get_weights()[0], encoder.encoder[0].get_weights()[0])


@pytest.mark.parametrize("misfit", [{"features": 5}, {"units": (6, 4)}, {"units": (6,)}, {"units": (6, 5, 4)}])
def test_an_encoder_that_does_not_fit_is_refused(misfit):
    with pytest.raises(ConfigError, match="expected a pretrained encoder of 4 features"):
        small_classifier(encoder=pretrained(**misfit))


def test_the_single_frame_baseline_takes_no_encoder():
    with pytest.raises(ConfigError):
        small_classifier(encoder=pretrained(), name="single-frame")


@pytest.mark.parametrize("name", ["lstm", "single-frame"])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_saved_classifier_loads_as_it_was(tmp_path, name, dtype):
    model, frames = randomised(small_classifier(name=name, dropout=0.25, dtype=dtype)), random_frames()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert loaded.config == model.config
    np.testing.assert_allclose(probabilities(loaded, frames), probabilities(model, frames), atol=1e-6)
    assert loaded.get_config() == model.get_config()


BAD = {
    "an unknown kind": {"name": "gru"},
    "no features": {"features": 0},
    "one class": {"classes": ("archery",)},
    "no class": {"classes": ()},
    "all dropped": {"dropout": 1.0},
    "negative dropout": {"dropout": -0.1},
    "no frames": {"block_frames": 0},
    "no stride": {"block_stride": 0},
    "no layer": {"units": ()},
    "no unit": {"units": (6, 0)},
    "half a unit": {"units": (6.5,)},
}


@pytest.mark.parametrize("bad", BAD)
def test_bad_values_are_refused(bad):
    with pytest.raises(ConfigError) as refusal:
        small_classifier(**BAD[bad])
    assert "expected" in str(refusal.value) and "received" in str(refusal.value)


MEAN, DEVIATION = np.array([0.5, -2.0, 3.0, 0.0]), np.array([0.25, 3.0, 4.0, 1.0])


def test_a_standardising_classifier_sees_standardised_frames(tmp_path):
    model, plain = small_classifier(standardise=True), randomised(small_classifier())
    model.set_weights([MEAN, DEVIATION, *plain.get_weights()])
    expected = probabilities(plain, ((random_frames() - MEAN) / DEVIATION).astype("float32"))
    np.testing.assert_allclose(probabilities(model, random_frames()), expected, atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(probabilities(loaded, random_frames()), expected, atol=1e-5)


def test_a_standardising_encoder_brings_its_constants():
    encoder = build_model("composite", FEATURES, UNITS, 4, 3, output="gaussian", standardise=True)
    encoder.standardisation.assign(MEAN, DEVIATION)
    model = small_classifier(encoder=encoder, standardise=True)
    np.testing.assert_allclose(model.standardisation.get_weights(), [MEAN, DEVIATION])
    with pytest.raises(ConfigError, match="standardise"):
        small_classifier(encoder=encoder)


def test_what_is_not_given_follows_from_what_is():
    assert (ClassifierConfig().dropout, ClassifierConfig("single-frame").dropout) == (0.5, 0.0)
    assert ClassifierConfig("single-frame", dropout=0.3).dropout == 0.3
    strides = [ClassifierConfig(block_frames=frames).block_stride for frames in (16, 4, 1)]
    assert strides == [8, 2, 1] and ClassifierConfig(block_frames=4, block_stride=3).block_stride == 3
    assert from_dict(ClassifierConfig, to_dict(ClassifierConfig(block_frames=4))) == ClassifierConfig(block_frames=4)
