"""Pretraining and finetuning from end to end on tiny data: resumed runs, repeats, carried-over encoders."""

import dataclasses

import numpy as np
import pytest

from videorep.config import ClassifierConfig, DataConfig, FinetuneConfig, ModelConfig, PretrainConfig, TrainingConfig
from videorep.data import write_shards
from videorep.data.records import Percept
from videorep.errors import ConfigError, RunError
from videorep.runs import load_run
from videorep.training.finetune import finetune
from videorep.training.pretrain import pretrain

TRAINING = TrainingConfig(steps=4, batch_size=4, report_every=2, checkpoint_every=2, warmup_steps=1, seed=3)


@pytest.fixture(scope="module")
def percepts(tmp_path_factory):
    """Twelve clips of 20 frames of 6 features; the class decides which half of the features is large."""
    rng = np.random.default_rng(0)
    records = []
    for number in range(12):
        label = number % 2
        array = rng.uniform(0, 0.2, (20, 6)).astype("float16")
        array[:, 3 * label : 3 * label + 3] += 1
        name = ("left", "right")[label]
        records.append(Percept(array, f"{name}/{number}.avi", label, name, 25.0, 0.0))
    out = tmp_path_factory.mktemp("percepts") / "shards"
    write_shards(records, out, labels=("left", "right"))
    return str(out)


@pytest.fixture(scope="module")
def pretrained(percepts, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "composite"
    config = PretrainConfig(ModelConfig(units=(5,), input_frames=4, future_frames=3), DataConfig(percepts), TRAINING)
    pretrain(config, out)
    return str(out)


def finetune_config(percepts, init="", steps=4, **data):
    training = dataclasses.replace(TRAINING, steps=steps, learning_rate=3e-2)
    model = ClassifierConfig(units=(7,), block_frames=8, block_stride=4, dropout=0.2)
    return FinetuneConfig(model, DataConfig(percepts, **data), training, init)


def test_the_data_decides_features_and_output(pretrained):
    model = load_run(pretrained).config.model
    assert (model.features, model.output) == (6, "gaussian")


def test_pixels_are_bernoulli(tmp_path):
    config = PretrainConfig(ModelConfig(units=(4,), input_frames=2, future_frames=2), training=TRAINING)
    summary = pretrain(config, tmp_path / "run", dry_run=True)
    assert summary["features"] == 4096
    assert not (tmp_path / "run").exists()


def test_a_finished_run_resumes_to_itself(pretrained, percepts):
    config = load_run(pretrained).config
    before = (load_run(pretrained).path / "model.keras").stat().st_mtime_ns
    summary = pretrain(config, pretrained, resume=True)
    assert summary["step"] == 4
    assert (load_run(pretrained).path / "model.keras").stat().st_mtime_ns == before


def test_the_same_command_gives_the_same_weights(pretrained, tmp_path):
    pretrain(load_run(pretrained).config, tmp_path / "again")
    for expected, received in zip(
        load_run(pretrained).model().get_weights(), load_run(tmp_path / "again").model().get_weights(), strict=True
    ):
        np.testing.assert_array_equal(expected, received)


def test_the_classifier_begins_with_the_encoder(percepts, pretrained, tmp_path):
    config = finetune_config(percepts, pretrained)
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, freeze_encoder=True))
    finetune(config, tmp_path / "run")
    run = load_run(tmp_path / "run")
    assert run.config.model.units == (5,)
    encoder = load_run(pretrained).model().encoder[0]
    for expected, received in zip(encoder.get_weights(), run.model().lstms[0].get_weights(), strict=True):
        np.testing.assert_array_equal(expected, received)


def test_the_classifier_learns(percepts, tmp_path):
    summary = finetune(finetune_config(percepts, steps=60), tmp_path / "run")
    assert summary["block_accuracy"] > 0.9
    assert load_run(tmp_path / "run").config.model.classes == ("left", "right")


def test_repeats_draw_different_videos(percepts, tmp_path):
    summary = finetune(finetune_config(percepts, videos_per_class=2), tmp_path / "runs", repeats=2)
    assert [each["training_videos"] for each in summary["repeats"]] == [4, 4]
    assert load_run(tmp_path / "runs" / "repeat-1").config.training.seed == 4
    with pytest.raises(ConfigError, match="videos_per_class"):
        finetune(finetune_config(percepts), tmp_path / "other", repeats=2)


def test_init_must_be_a_pretrained_run_that_fits(percepts, pretrained, tmp_path):
    finetune(finetune_config(percepts), tmp_path / "classifier")
    with pytest.raises(RunError, match="videorep pretrain"):
        finetune(finetune_config(percepts, str(tmp_path / "classifier")), tmp_path / "other")


def test_single_frame_baseline(percepts, tmp_path):
    config = finetune_config(percepts)
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, name="single-frame"))
    summary = finetune(config, tmp_path / "run")
    assert summary["parameters"] == 6 * 2 + 2
