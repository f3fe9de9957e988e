"""`pretrain --init`: training goes on from another run's model, under a plan of its own."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner
from job_building import pretrain_config, write_percepts

from videorep.cli.main import videorep_command
from videorep.config import DataConfig, ModelConfig, PretrainConfig, PretrainTrainingConfig
from videorep.errors import ConfigError, RunError
from videorep.runs import load_run
from videorep.training.pretrain import pretrain

STILL = 1e-30  # a learning rate at which no float32 weight moves


def digits(seed=0, init="", model=None, **training):
    model = model or (ModelConfig() if init else ModelConfig(units=(4, 3), input_frames=3, future_frames=2))
    training = PretrainTrainingConfig(steps=2, batch_size=4, seed=seed, **training)
    return PretrainConfig(model, DataConfig(), training, init=str(init))


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    out = tmp_path_factory.mktemp("first") / "run"
    pretrain(digits(learning_rate=0.01), out)
    return out


def test_the_model_is_trained_on_as_it_was(first, tmp_path):
    plan = pretrain(digits(1, first, learning_rate=STILL), tmp_path / "further")
    further = load_run(tmp_path / "further")
    assert further.config.model == load_run(first).config.model and plan["initial_weights"] == str(first)
    for before, after in zip(load_run(first).model().get_weights(), further.model().get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_record_names_the_run_it_began_with(first, tmp_path):
    pretrain(digits(1, first), tmp_path / "further")
    record = json.loads((tmp_path / "further" / "provenance.json").read_text())
    assert record["init"]["path"] == str(first) and record["init"]["provenance"] == load_run(first).provenance


def test_another_models_settings_are_refused(first, tmp_path):
    with pytest.raises(ConfigError, match=f"the model's settings to be left out, since {first} decides them"):
        pretrain(digits(1, first, ModelConfig(units=(5,))), tmp_path / "further")
    assert not (tmp_path / "further").exists()
    pretrain(digits(1, first, load_run(first).config.model), tmp_path / "further")


def test_generated_sequences_do_not_come_again(first, tmp_path):
    with pytest.raises(ConfigError, match=f"expected --seed to be another than that of {first}"):
        pretrain(digits(0, first), tmp_path / "further")
    other_digits = dataclasses.replace(digits(0, first), data=DataConfig(num_digits=1))
    pretrain(other_digits, tmp_path / "further")


def test_data_that_the_model_cannot_see_are_refused(first, tmp_path):
    percepts = write_percepts(tmp_path / "percepts")
    config = dataclasses.replace(digits(1, first), data=DataConfig(str(percepts)))
    with pytest.raises(ConfigError, match=f"expected features to be 4096, as in {first}, received"):
        pretrain(config, tmp_path / "further")


def test_standardised_percepts_stay_standardised_by_the_first_data(tmp_path):
    one, two = write_percepts(tmp_path / "one", seed=0), write_percepts(tmp_path / "two", seed=1)
    config = pretrain_config(one)
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, standardise=True))
    pretrain(config, tmp_path / "first")
    further = PretrainConfig(data=DataConfig(str(two)), training=config.training, init=str(tmp_path / "first"))
    pretrain(further, tmp_path / "further")
    before, after = (load_run(tmp_path / name).model().standardisation for name in ("first", "further"))
    for variable, other in zip(before.variables, after.variables, strict=True):
        np.testing.assert_array_equal(variable.numpy(), other.numpy())


def test_it_goes_on_where_it_was_interrupted(first, tmp_path):
    out = tmp_path / "further"
    pretrain(digits(1, first), out)
    whole = load_run(out).model().get_weights()
    (out / "model.keras").unlink()
    pretrain(digits(1, first), out, resume=True)
    for before, after in zip(whole, load_run(out).model().get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_what_is_no_pretrained_run_is_told_apart(tmp_path):
    with pytest.raises(RunError, match="expected the folder of a run"):
        pretrain(digits(1, tmp_path / "none"), tmp_path / "further")


@pytest.mark.parametrize("option", ["--units 512", "--layers 1", "--model composite", "--input-frames 10", "--patch 8"])
def test_what_the_run_decides_cannot_be_given_even_where_it_is_the_default(first, tmp_path, option):
    arguments = ["pretrain", "moving-mnist", "--init", str(first), "--out", str(tmp_path / "further"), *option.split()]
    result = CliRunner().invoke(videorep_command, arguments)
    assert result.exit_code == 2 and "come from the run of --init: leave them out" in result.output


def test_the_command(first, tmp_path):
    arguments = ["pretrain", "moving-mnist", "--init", str(first), "--out", str(tmp_path / "further"), "--steps", "1"]
    again = CliRunner().invoke(videorep_command, arguments)
    assert again.exit_code == 1 and "expected --seed to be another than that of" in again.output
    result = CliRunner().invoke(videorep_command, [*arguments, "--seed", "1", "--batch-size", "4"])
    assert result.exit_code == 0, result.output
    assert load_run(tmp_path / "further").config.init == str(first)
