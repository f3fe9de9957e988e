"""Recipes of pretraining: what they set, what overrules them, the weights and the steps that they begin with."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from job_building import pretrain_config, write_percepts

from videorep.config import DataConfig, ModelConfig, PretrainConfig, PretrainTrainingConfig
from videorep.config_values import from_dict
from videorep.errors import ConfigError
from videorep.recipes import RECIPES
from videorep.training.optimizers import build_optimizer
from videorep.training.pretrain import prepare, pretrain


def prepared(data=None, model=None, **training):
    """A begun job, on moving digits unless other data are given."""
    training = PretrainTrainingConfig(steps=1, **training)
    config = PretrainConfig(model or ModelConfig(units=(4, 3), input_frames=3, future_frames=2), data or DataConfig())
    job = prepare(dataclasses.replace(config, training=training))
    if job.begin:
        job.begin()
    return job


def lstms_of(model):
    return [*model.encoder, *(lstm for decoder in model.decoders.values() for lstm in decoder.lstms)]


def first_frames(job, count):
    """(N, D) float64: frames of the first `count` training batches."""
    training = job.config.training
    batches = job.data.training(training.batch_size, training.seed).take(count)
    return np.concatenate([np.concatenate(batch["frames"].numpy()) for batch in batches]).astype(np.float64)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_fills_what_is_not_given(recipe):
    training = PretrainTrainingConfig(recipe=recipe)
    assert {name: getattr(training, name) for name in RECIPES[recipe]} == RECIPES[recipe]
    other = PretrainTrainingConfig(recipe=recipe, optimizer="adam", batch_size=7, start_at_mean=True)
    assert (other.optimizer, other.batch_size, other.start_at_mean) == ("adam", 7, True)
    assert other.learning_rate == RECIPES[recipe]["learning_rate"]


def test_a_configuration_keeps_what_its_recipe_had(tmp_path):
    stored = json.loads(json.dumps(dataclasses.asdict(PretrainTrainingConfig(recipe="paper", learning_rate=0.5))))
    assert stored["optimizer"] == "bounded-rmsprop" and stored["learning_rate"] == 0.5
    assert from_dict(PretrainTrainingConfig, stored) == PretrainTrainingConfig(recipe="paper", learning_rate=0.5)


@pytest.mark.parametrize(
    "choices, sentence",
    [
        ({"recipe": "best"}, "expected recipe to be one of modern, paper, received 'best'"),
        ({"recipe": "paper", "momentum": 0.0}, "expected momentum to be greater than 0 with bounded-rmsprop"),
    ],
)
def test_what_no_recipe_can_be_is_refused(choices, sentence):
    with pytest.raises(ConfigError, match=sentence):
        PretrainTrainingConfig(**choices)


def test_the_papers_weights_are_uniform_and_its_biases_zero():
    """Section 3.1; peepholes too are zero."""
    job = prepared(recipe="paper", batch_size=4)
    for lstm in lstms_of(job.model):
        for weight in lstm.trainable_variables:
            bound = 0 if weight.name in ("bias", "peephole_kernel") else 1 / np.sqrt(weight.shape[0])
            assert np.abs(weight).max() <= bound
            assert np.abs(weight).max() >= 0.5 * bound
    for decoder in job.model.decoders.values():
        assert not np.any(decoder.output_bias)


def test_the_first_frames_are_the_mean_of_the_digits():
    job = prepared(batch_size=256)
    mean = np.clip(first_frames(job, 4).mean(0) / 255, 1e-3, 1 - 1e-3)
    for decoder in job.model.decoders.values():
        np.testing.assert_allclose(1 / (1 + np.exp(-np.float64(decoder.output_bias))), mean, rtol=1e-4)


@pytest.mark.parametrize("standardise", [False, True])
def test_the_first_frames_are_the_mean_of_percepts(tmp_path, standardise):
    config = pretrain_config(write_percepts(tmp_path / "shards"))
    job = prepared(config.data, dataclasses.replace(config.model, standardise=standardise), batch_size=1024)
    mean = 0 if standardise else first_frames(job, 1).mean(0)  # a standardised mean is zero
    for decoder in job.model.decoders.values():
        np.testing.assert_allclose(decoder.output_bias, np.broadcast_to(mean, decoder.output_bias.shape), atol=1e-5)


def test_a_run_that_goes_on_does_not_begin_again(tmp_path, monkeypatch):
    config = PretrainConfig(ModelConfig(units=(4,)), training=PretrainTrainingConfig(steps=2, batch_size=2))
    whole = pretrain(config, tmp_path / "whole")

    def interrupted(*arguments):
        raise AssertionError

    pretrain(config, tmp_path / "run")
    (tmp_path / "run" / "model.keras").unlink()
    monkeypatch.setattr("videorep.training.pretrain.start_at_mean", interrupted)
    assert pretrain(config, tmp_path / "run", resume=True)["loss"] == whole["loss"]


def test_steps_are_those_of_numpy_and_bounded():
    """Gradients that grow a hundredfold: momentum would carry a weight further than the rate, were it not bounded."""
    training = PretrainTrainingConfig(recipe="paper", learning_rate=0.25, steps=4)
    optimizer, variable = build_optimizer(training), keras.Variable(np.zeros(3, np.float32))
    optimizer.build([variable])
    expected, square, step = np.zeros(3), np.zeros(3), np.zeros(3)
    for gradient in ([1.0, -1.0, 0.0], [1.0, 1.0, 0.1], [100.0, 2.0, -0.3], [1.0, -5.0, 0.01]):
        before, gradient = expected.copy(), np.array(gradient)
        square = 0.9 * square + 0.1 * gradient**2
        step = np.clip(0.9 * step + 0.25 * gradient / np.sqrt(square + 1e-7), -0.25, 0.25)
        expected = expected - step
        optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32")], [variable])
        np.testing.assert_allclose(variable, expected, rtol=1e-5)
        assert np.abs(np.asarray(variable) - before).max() <= 0.25 + 1e-6
