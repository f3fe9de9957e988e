"""Recorded activity against what the model itself emits: reading frames out of it must give the model's frames."""

import lstm_oracle
import numpy as np
import pytest

from videorep.config import DataConfig, ModelConfig, PretrainConfig, PretrainTrainingConfig
from videorep.evaluation import predict_sequences, record_activity
from videorep.evaluation.activity import QUANTITIES, TRAINED, UNTRAINED
from videorep.models import build_model
from videorep.runs import create_run

T, F, UNITS = 3, 2, (6, 5)


def make_run(folder, name, conditional=()):
    config = PretrainConfig(ModelConfig(name, 4096, UNITS, T, F, conditional, "bernoulli"), DataConfig())
    run = create_run(folder, config)
    run.save_model(build_model(name, 4096, UNITS, T, F, conditional, seed=1))
    return run


def read_out(decoder, hidden):
    kernel, bias = np.asarray(decoder.output_kernel), np.asarray(decoder.output_bias)
    return 1 / (1 + np.exp(-(hidden @ kernel + bias)))


@pytest.mark.parametrize("conditional", [(), ("future",)])
def test_the_future_is_read_off_the_decoder_s_activity(tmp_path, conditional):
    run = make_run(tmp_path / "run", "composite", conditional)
    recorded = record_activity(run, steps=7)
    activity = recorded["activities"][TRAINED]["output"]
    assert recorded["input_frames"] == T and activity.shape == (T + 7, UNITS[-1])
    future = predict_sequences(run, count=1, horizon=7)["outputs"]["future"][0]
    np.testing.assert_allclose(read_out(run.model().decoders["future"], activity[T:]), future, rtol=1e-4)
    np.testing.assert_array_equal(activity[T - 1], activity[T])


@pytest.mark.parametrize("conditional", [(), ("future",)])
def test_quantities_are_those_of_the_equations(tmp_path, conditional):
    """Gate by gate in NumPy, the output gate under the new cell state; peepholes and biases are not zero."""
    run = make_run(tmp_path / "run", "composite", conditional)
    model, rng = run.model(), np.random.default_rng(3)
    weights = [rng.normal(0, 0.6 if max(each.shape) < 4096 else 0.06, each.shape) for each in model.get_weights()]
    model.set_weights(weights)
    run.save_model(model)
    steps, decoder = 5, model.decoders["future"]
    frames = predict_sequences(run, count=1)["inputs"].astype("float64")

    def run_through(wrong):
        states, rows = [lstm_oracle.zero_state(layer_weights(lstm), 1) for lstm in model.encoder], []
        for step in range(T + steps - 1):
            inputs, lstms = (frames[:, step], model.encoder) if step < T else (None, decoder.lstms)
            inputs = read_out(decoder, states[-1][0]) if conditional and step >= T else inputs
            for lstm, state in zip(lstms, states, strict=True):
                row = lstm_oracle.quantities(layer_weights(lstm), inputs, *state, **wrong)
                state[:], inputs = (row[5], row[4]), row[5]
            rows += [row] * (2 if step == T - 1 else 1)  # the first predicted frame is read off the encoder's last
        return np.stack(rows)[:, :, 0]

    activity = record_activity(run, steps=steps)["activities"][TRAINED]
    recorded = np.stack([activity[name] for name in QUANTITIES], axis=1)
    assert list(activity) == ["input gate", "forget gate", "output gate", "cell input", "cell state", "output"]
    np.testing.assert_allclose(recorded, run_through({}), atol=1e-4)
    assert np.abs(recorded - run_through({"output_sees": "old"})).max() > 0.01


def layer_weights(layer):
    kernel, *others = layer.get_weights() if layer.use_inputs else (None, *layer.get_weights())
    return lstm_oracle.Weights(kernel, *(each.astype("float64") for each in others))


def test_an_autoencoder_emits_backwards_and_into_the_past(tmp_path):
    run = make_run(tmp_path / "run", "autoencoder", ("reconstruction",))
    recorded = record_activity(run, steps=T + 4)
    activity = recorded["activities"][TRAINED]["output"]
    assert recorded["input_frames"] is None and activity.shape == (2 * T + 4, UNITS[-1])
    outputs = predict_sequences(run, count=1, horizon=4)["outputs"]
    emitted = np.concatenate([outputs["past"][0], outputs["reconstruction"][0]])[::-1]
    decoder = run.model().decoders["reconstruction"]
    np.testing.assert_allclose(read_out(decoder, activity[T:]), emitted, rtol=1e-4)


def test_the_random_decoder_begins_from_the_same_states(tmp_path):
    config = PretrainConfig(
        ModelConfig("future_predictor", 4096, UNITS, T, F, (), "bernoulli"), training=PretrainTrainingConfig(seed=9)
    )
    run = create_run(tmp_path / "run", config)
    run.save_model(build_model("future_predictor", 4096, UNITS, T, F, seed=1))
    again, activities = (record_activity(run, steps=4)["activities"] for _ in range(2))
    for name in QUANTITIES:
        trained, random = activities[TRAINED][name], activities[UNTRAINED][name]
        np.testing.assert_array_equal(trained[: T + 1], random[: T + 1])
        assert np.abs(trained - random)[T + 1 :].max() > 1e-4
        np.testing.assert_array_equal(random, again[UNTRAINED][name])
