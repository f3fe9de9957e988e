"""Recorded activity against what the model itself emits: reading frames out of it must give the model's frames."""

import numpy as np
import pytest

from videorep.config import DataConfig, ModelConfig, PretrainConfig, TrainingConfig
from videorep.evaluation import predict_sequences
from videorep.evaluation.activity import TRAINED, UNTRAINED, record_activity
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
    activity = recorded["activities"][TRAINED]
    assert recorded["input_frames"] == T and activity.shape == (T + 7, UNITS[-1])
    future = predict_sequences(run, count=1, horizon=7)["outputs"]["future"][0]
    np.testing.assert_allclose(read_out(run.model().decoders["future"], activity[T:]), future, rtol=1e-4)
    np.testing.assert_array_equal(activity[T - 1], activity[T])


def test_an_autoencoder_emits_backwards(tmp_path):
    run = make_run(tmp_path / "run", "autoencoder", ("reconstruction",))
    recorded = record_activity(run)
    activity = recorded["activities"][TRAINED]
    assert recorded["input_frames"] is None and activity.shape == (2 * T, UNITS[-1])
    reconstruction = predict_sequences(run, count=1)["outputs"]["reconstruction"][0]
    decoder = run.model().decoders["reconstruction"]
    np.testing.assert_allclose(read_out(decoder, activity[T:]), reconstruction[::-1], rtol=1e-4)


def test_the_random_decoder_begins_from_the_same_states(tmp_path):
    config = PretrainConfig(
        ModelConfig("future_predictor", 4096, UNITS, T, F, (), "bernoulli"), training=TrainingConfig(seed=9)
    )
    run = create_run(tmp_path / "run", config)
    run.save_model(build_model("future_predictor", 4096, UNITS, T, F, seed=1))
    activities = record_activity(run, steps=1)["activities"]
    np.testing.assert_array_equal(activities[TRAINED], activities[UNTRAINED])
    activities = record_activity(run, steps=4)["activities"]
    np.testing.assert_array_equal(activities[TRAINED][: T + 1], activities[UNTRAINED][: T + 1])
    assert np.abs(activities[TRAINED] - activities[UNTRAINED])[T + 1 :].max() > 1e-3
