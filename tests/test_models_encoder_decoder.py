"""Autoencoder, future predictor and composite, whole, against the NumPy oracle."""

import keras
import lstm_oracle
import numpy as np
import pytest
from keras import ops

from videorep.config import BRANCHES
from videorep.errors import ConfigError
from videorep.models import build_model

BATCH, FEATURES, UNITS, INPUT_FRAMES, FUTURE_FRAMES = 3, 4, (6, 6), 4, 3
CONDITIONALS = [(), ("future",), ("reconstruction",), BRANCHES]
HAS = {"autoencoder": BRANCHES[:1], "future_predictor": BRANCHES[1:], "composite": BRANCHES}
LENGTHS = {"reconstruction": INPUT_FRAMES, "future": FUTURE_FRAMES}


def small_model(name="composite", units=UNITS, seed=0, **kwargs):
    """A model whose weights are all random and none of them zero."""
    model = build_model(name, FEATURES, units, INPUT_FRAMES, FUTURE_FRAMES, seed=seed, **kwargs)
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 0.6, weight.shape) for weight in model.get_weights()])
    return model


def random_frames(steps=INPUT_FRAMES, seed=1):
    return np.random.default_rng(seed).random((BATCH, steps, FEATURES)).astype("float32")


def as_numpy(outputs):
    return {branch: ops.convert_to_numpy(output) for branch, output in outputs.items()}


def layer_weights(layer):
    kernel, *others = layer.get_weights() if layer.use_inputs else (None, *layer.get_weights())
    return lstm_oracle.Weights(kernel, *(each.astype("float64") for each in others))


def oracle(model, frames, teacher=None, **overrides):
    """The whole model in NumPy: {branch: read-outs before the logistic}."""
    states, _ = lstm_oracle.encode([layer_weights(layer) for layer in model.encoder], frames.astype("float64"))
    outputs = {}
    for branch, decoder in model.decoders.items():
        weights = lstm_oracle.DecoderWeights(
            [layer_weights(layer) for layer in decoder.lstms],
            *(ops.convert_to_numpy(each).astype("float64") for each in (decoder.output_kernel, decoder.output_bias)),
        )
        options = {
            "conditional": branch in model.config.conditional,
            "logistic": model.config.output == "bernoulli",
            "backwards": branch == "reconstruction",
        }
        outputs[branch] = lstm_oracle.decode(
            weights, states, LENGTHS[branch], teacher=(teacher or {}).get(branch), **{**options, **overrides}
        )
    return outputs


def assert_outputs_close(received, expected, tolerance=1e-5):
    assert set(received) == set(expected)
    for branch, values in expected.items():
        np.testing.assert_allclose(received[branch], values, rtol=tolerance, atol=tolerance, err_msg=branch)


def test_parameter_count_of_the_paper():
    """Two layers of 2048 units on 64x64 frames, an unconditioned decoder without input kernel."""
    model = build_model("future_predictor", features=4096, units=(2048, 2048), input_frames=10, future_frames=10)
    assert model.count_params() == 142_667_776


@pytest.mark.parametrize("name", HAS)
def test_outputs_and_parameters(name):
    model = small_model(name)
    outputs = model({"frames": random_frames()})
    assert {branch: tuple(output.shape) for branch, output in outputs.items()} == {
        branch: (BATCH, LENGTHS[branch], FEATURES) for branch in HAS[name]
    }
    for output in as_numpy(outputs).values():
        assert output.dtype == np.float32
        assert ((output > 0) & (output < 1)).all()

    def lstm(below, units):
        return 4 * units * (below + units + 1) + 3 * units

    encoder = lstm(FEATURES, 6) + lstm(6, 6)
    decoder = lstm(0, 6) + lstm(6, 6) + 6 * FEATURES + FEATURES
    assert model.count_params() == encoder + len(HAS[name]) * decoder


@pytest.mark.parametrize("output", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("conditional", CONDITIONALS, ids=lambda branches: "+".join(branches) or "unconditioned")
def test_composite_agrees_with_the_oracle(conditional, output):
    """Free running, as the model is called: a conditional decoder is fed with what it emitted."""
    model, frames = small_model(conditional=conditional, output=output), random_frames()
    expected = oracle(model, frames)
    assert_outputs_close(as_numpy(model.logits(frames)), expected)
    if output == "bernoulli":
        expected = {branch: lstm_oracle.sigmoid(values) for branch, values in expected.items()}
    assert_outputs_close(as_numpy(model({"frames": frames})), expected)


@pytest.mark.parametrize("conditional", CONDITIONALS, ids=lambda branches: "+".join(branches) or "unconditioned")
def test_teacher_forcing_agrees_with_the_oracle(conditional):
    model, frames = small_model(conditional=conditional), random_frames()
    teacher = {"reconstruction": frames, "future": random_frames(FUTURE_FRAMES, seed=2)}
    expected = oracle(model, frames, teacher)
    assert_outputs_close(as_numpy(model.logits(frames, teacher)), expected)
    for branch, own in as_numpy(model.logits(frames)).items():
        assert np.allclose(own, expected[branch], atol=1e-3) == (branch not in conditional)


@pytest.mark.parametrize("name", ["autoencoder", "future_predictor"])
@pytest.mark.parametrize("units", [(6,), (6, 5, 4)])
def test_any_number_of_layers_agrees_with_the_oracle(name, units):
    model, frames = small_model(name, units=units, conditional=HAS[name]), random_frames()
    assert_outputs_close(as_numpy(model.logits(frames)), oracle(model, frames))


def test_wrong_models_are_noticed():
    """A reconstruction in the decoder's order, a future in reverse, raw logits fed back."""
    model, frames = small_model(conditional=BRANCHES), random_frames()
    received = as_numpy(model.logits(frames))
    flipped = oracle(model, frames, backwards=False)["reconstruction"]
    wrong = [("reconstruction", flipped), ("future", oracle(model, frames, backwards=True)["future"])]
    wrong += list(oracle(model, frames, logistic=False).items())
    wrong += [(branch, values[:, ::-1]) for branch, values in oracle(model, frames).items()]
    for branch, values in wrong:
        assert np.abs(received[branch] - values).max() > 1e-2, branch


def test_reconstruction_begins_at_the_last_input_frame():
    """The last frame in time is read straight off the encoder's top state."""
    model, frames = small_model(), random_frames()
    states = model.encode(frames)
    decoder = model.decoders["reconstruction"]
    hidden, kernel, bias = map(ops.convert_to_numpy, (states[-1][0], decoder.output_kernel, decoder.output_bias))
    read_out = hidden @ kernel + bias
    np.testing.assert_allclose(as_numpy(model.logits(frames))["reconstruction"][:, -1], read_out, rtol=1e-5, atol=1e-5)


def test_encode_gives_every_layers_final_state():
    model, frames = small_model(), random_frames()
    expected, _ = lstm_oracle.encode([layer_weights(layer) for layer in model.encoder], frames.astype("float64"))
    for ours, theirs in zip(model.encode(frames), expected, strict=True):
        for state, values in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(ops.convert_to_numpy(state), values, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("conditional", [(), ("future",)])
@pytest.mark.parametrize("horizon", [1, 2, 50])
def test_another_horizon_keeps_the_frames_both_have(horizon, conditional):
    model, frames = small_model(conditional=conditional), random_frames()
    before = as_numpy(model({"frames": frames}))
    after = as_numpy(model.with_horizon(horizon)({"frames": frames}))
    assert after["future"].shape == (BATCH, horizon, FEATURES)
    np.testing.assert_allclose(after["reconstruction"], before["reconstruction"], rtol=1e-5, atol=1e-6)
    both = min(horizon, FUTURE_FRAMES)
    np.testing.assert_allclose(after["future"][:, :both], before["future"][:, :both], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_saved_model_loads_as_it_was(tmp_path, dtype):
    model, frames = small_model(conditional=("future",), dtype=dtype), random_frames()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert loaded.config == model.config
    assert loaded.encoder[0].dtype_policy.name == dtype
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert_outputs_close(as_numpy(loaded({"frames": frames})), as_numpy(model({"frames": frames})), 1e-6)
    assert_outputs_close(as_numpy(loaded.logits(frames)), as_numpy(model.logits(frames)), 1e-6)
    assert loaded.get_config() == model.get_config()


@pytest.mark.parametrize("policy, tolerance", [("mixed_bfloat16", 0.05), ("mixed_float16", 0.01)])
def test_mixed_precision_follows_float32(policy, tolerance):
    model, frames = small_model(conditional=("future",), dtype=policy), random_frames()
    assert {keras.backend.standardize_dtype(weight.dtype) for weight in model.weights} == {"float32"}
    for state in model.encode(frames):
        assert [keras.backend.standardize_dtype(each.dtype) for each in state] == ["float32", "float32"]
    received = as_numpy(model({"frames": frames}))
    assert {values.dtype.name for values in received.values()} == {"float32"}
    expected = {branch: lstm_oracle.sigmoid(values) for branch, values in oracle(model, frames).items()}
    assert_outputs_close(received, expected, tolerance)


def test_initial_weights_are_the_papers_and_the_seeds():
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in)); biases, the forget gate's too, and peepholes 0; no two stacks alike."""
    model = build_model("composite", 64, (48, 32), 4, 3, conditional=("future",), seed=5)
    kernels = [
        weight for weight in model.weights if weight.path.endswith(("/kernel", "recurrent_kernel", "output_kernel"))
    ]
    assert len(kernels) == 4 + 3 + 4 + 2
    for weight in kernels:
        values, bound = ops.convert_to_numpy(weight), 1 / np.sqrt(weight.shape[0])
        assert np.abs(values).max() <= bound
        assert values.std() == pytest.approx(bound / np.sqrt(3), rel=0.05), weight.path
    rest = [weight for weight in model.weights if not any(weight is kernel for kernel in kernels)]
    assert not any(ops.convert_to_numpy(weight).any() for weight in rest)
    shapes = [(weight.shape, ops.convert_to_numpy(weight).ravel()[:20].tobytes()) for weight in kernels]
    assert len({first_values for _, first_values in shapes}) == len(kernels)
    again, other = (build_model("composite", 64, (48, 32), 4, 3, ("future",), seed=seed) for seed in (5, 6))
    for ours, same, different in zip(model.weights, again.weights, other.weights, strict=True):
        assert np.array_equal(ours, same)
        if any(ours is kernel for kernel in kernels):
            assert not np.array_equal(ours, different)


def test_batches_of_any_size_and_compiled_prediction():
    model, frames = small_model(conditional=("future",)), random_frames()
    whole = model.predict({"frames": frames}, verbose=0)
    assert_outputs_close(as_numpy(model({"frames": frames})), whole)
    assert_outputs_close(as_numpy(model({"frames": frames[1:2]})), {name: y[1:2] for name, y in whole.items()})


BAD = {
    "an unknown model": {"name": "variational"},
    "an unknown output": {"output": "poisson"},
    "no features": {"features": 0},
    "negative features": {"features": -1},
    "half a feature": {"features": 4.5},
    "features in words": {"features": "many"},
    "no layer": {"units": ()},
    "no unit": {"units": (6, 0)},
    "half a unit": {"units": (6.5,)},
    "units in words": {"units": ("many",)},
    "units of None": {"units": None},
    "no input": {"input_frames": 0},
    "half an input frame": {"input_frames": 2.5},
    "no future": {"future_frames": 0},
    "an unknown conditional branch": {"conditional": ("past",)},
    "a conditional branch that the model lacks": {"name": "autoencoder", "conditional": ("future",)},
}


@pytest.mark.parametrize("bad", BAD)
def test_bad_values_are_refused(bad):
    good = {"name": "composite", "features": 4, "units": (6,), "input_frames": 4, "future_frames": 3}
    with pytest.raises(ConfigError) as refusal:
        build_model(**{**good, **BAD[bad]})
    assert "expected" in str(refusal.value) and "received" in str(refusal.value)


@pytest.mark.parametrize("horizon", [0, -1, 2.5])
def test_bad_horizons_are_refused(horizon):
    with pytest.raises(ConfigError):
        small_model().with_horizon(horizon)


def test_one_number_of_units_is_one_layer():
    assert build_model("autoencoder", 4, 6, 4).config.units == (6,)
    assert build_model("composite", 4, 6, 4, conditional="future").config.conditional == ("future",)


MEAN, DEVIATION = np.array([0.5, -2.0, 30.0, 0.0]), np.array([0.25, 3.0, 4.0, 1.0])


def standardising_model(**kwargs):
    model = small_model(output="gaussian", standardise=True, **kwargs)
    model.standardisation.assign(MEAN, DEVIATION)
    return model


def frames_with_statistics(steps=INPUT_FRAMES, seed=1):
    return np.random.default_rng(seed).normal(MEAN, DEVIATION, (BATCH, steps, FEATURES)).astype("float32")


@pytest.mark.parametrize("conditional", CONDITIONALS, ids=lambda branches: "+".join(branches) or "unconditioned")
def test_a_standardising_model_agrees_with_the_oracle(conditional):
    """The oracle sees (x - mean) / deviation by hand; what it answers times the deviation plus the mean comes out."""
    model, frames = standardising_model(conditional=conditional), frames_with_statistics()
    teacher = {"reconstruction": frames, "future": frames_with_statistics(FUTURE_FRAMES, seed=2)}
    by_hand = {branch: (each - MEAN) / DEVIATION for branch, each in teacher.items()}
    free = oracle(model, by_hand["reconstruction"])
    taught = oracle(model, by_hand["reconstruction"], by_hand)
    assert_outputs_close(as_numpy(model.logits(frames)), free, 1e-4)
    assert_outputs_close(as_numpy(model.logits(frames, teacher)), taught, 1e-4)
    expected = {branch: values * DEVIATION + MEAN for branch, values in free.items()}
    assert_outputs_close(as_numpy(model({"frames": frames})), expected, 1e-4)
    assert_outputs_close(as_numpy(model.emitted(model.logits(frames))), expected, 1e-4)


def test_a_saved_standardising_model_keeps_its_constants(tmp_path):
    model, frames = standardising_model(), frames_with_statistics()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_outputs_close(as_numpy(loaded({"frames": frames})), as_numpy(model({"frames": frames})), 1e-6)
    longer = as_numpy(loaded.with_horizon(2 * FUTURE_FRAMES)({"frames": frames}))["future"]
    np.testing.assert_allclose(longer[:, :FUTURE_FRAMES], as_numpy(model({"frames": frames}))["future"], rtol=1e-4)


def test_without_standardising_there_is_no_constant():
    assert small_model().standardisation is None
    assert len(standardising_model().weights) == len(small_model().weights) + 2
    with pytest.raises(ConfigError, match="gaussian"):
        small_model(standardise=True)
