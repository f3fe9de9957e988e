"""Pretraining and finetuning from end to end on tiny data: resumed runs, repeats, carried-over encoders."""

import contextlib
import dataclasses
import itertools
import os

import numpy as np
import pytest
from job_building import TRAINING, finetune_config, pretrain_composite, write_percepts

from videorep.config import DataConfig, ModelConfig, PretrainConfig, PretrainTrainingConfig
from videorep.data import read_shards, write_shards
from videorep.data.batches.sources import open_source
from videorep.errors import ConfigError, RunError
from videorep.evaluation import evaluate_future_prediction, predict_sequences
from videorep.runs import load_run
from videorep.training import pretrain as pretrain_module
from videorep.training.finetune import finetune
from videorep.training.objectives import encoder_decoder_objective
from videorep.training.pretrain import pretrain


@pytest.fixture(scope="module")
def percepts(tmp_path_factory):
    return write_percepts(tmp_path_factory.mktemp("percepts") / "shards")


@pytest.fixture(scope="module")
def pretrained(percepts, tmp_path_factory):
    return pretrain_composite(percepts, tmp_path_factory.mktemp("runs") / "composite")


def test_the_data_decides_features_and_output(pretrained):
    model = load_run(pretrained).config.model
    assert (model.features, model.output) == (6, "gaussian")


def test_pixels_are_bernoulli(tmp_path):
    config = PretrainConfig(ModelConfig(units=(4,), input_frames=2, future_frames=2), training=TRAINING)
    summary = pretrain(config, tmp_path / "run", dry_run=True)
    assert summary["features"] == 4096
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("patch, output", [(0, "bernoulli"), (6, "gaussian")])
def test_patches_are_gaussian_as_in_the_paper(stored_clips, patch, output):
    config = PretrainConfig(data=DataConfig(stored_clips[0], stride=3, patch=patch))
    assert pretrain_module.complete(config, open_source(config.data, "train", 4)).model.output == output


def test_a_dry_run_refuses_what_training_would_refuse(pretrained, tmp_path):
    config = load_run(pretrained).config
    other = dataclasses.replace(config, training=dataclasses.replace(config.training, learning_rate=0.5))
    with pytest.raises(RunError, match="--resume"):
        pretrain(config, pretrained, dry_run=True)
    with pytest.raises(RunError, match=r"learning_rate = .*0\.5"):
        pretrain(other, pretrained, dry_run=True, resume=True)
    before = sorted(os.listdir(pretrained))
    pretrain(config, pretrained, dry_run=True, resume=True)
    pretrain(other, pretrained, dry_run=True, overwrite=True)
    assert sorted(os.listdir(pretrained)) == before


def test_a_finished_run_resumes_to_itself(pretrained, percepts):
    config = load_run(pretrained).config
    before = (load_run(pretrained).path / "model.keras").stat().st_mtime_ns
    summary = pretrain(config, pretrained, resume=True)
    assert summary["step"] == 4
    assert (load_run(pretrained).path / "model.keras").stat().st_mtime_ns == before


def test_validation_is_compiled_once_however_often_it_is_asked_for(tmp_path, monkeypatch):
    """TensorFlow keeps what a compiled function held: 3 MiB and more for each that is made anew."""
    traced = []
    real = pretrain_module.encoder_decoder_objective

    def watched(model, *feeding):
        objective = real(model, *feeding)
        return lambda batch, training=True: traced.append(training) or objective(batch, training)

    monkeypatch.setattr(pretrain_module, "encoder_decoder_objective", watched)
    training = PretrainTrainingConfig(steps=6, batch_size=4, report_every=3, evaluate_every=1, evaluation_sequences=8)
    pretrain(
        PretrainConfig(ModelConfig(units=(4,), input_frames=3, future_frames=2), training=training), tmp_path / "run"
    )
    assert traced.count(False) == 1 and len(load_run(tmp_path / "run").metrics()) == 6


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


@pytest.fixture(scope="module")
def standardised(percepts, tmp_path_factory):
    """A run whose model standardises."""
    out = tmp_path_factory.mktemp("runs") / "standardised"
    model = ModelConfig(units=(5,), input_frames=4, future_frames=3, conditional=("future",), standardise=True)
    pretrain(PretrainConfig(model, DataConfig(percepts), TRAINING), out)
    return load_run(out)


def training_frames(percepts):
    return np.concatenate([record["frames"] for record in read_shards(percepts).as_numpy_iterator()])


def test_the_constants_are_those_of_the_shards(standardised, percepts):
    frames = training_frames(percepts).astype(np.float64)
    mean, deviation = standardised.model().standardisation.get_weights()
    np.testing.assert_allclose(mean, frames.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(deviation, frames.std(axis=0), rtol=1e-4)


def test_the_loss_is_that_of_standardised_frames(standardised, percepts):
    model, frames = standardised.model(), training_frames(percepts)[None, :7]
    mean, deviation = model.standardisation.get_weights()
    by_hand = (frames - mean) / deviation
    loss, parts = encoder_decoder_objective(model)({"frames": frames}, training=False)
    outputs = {branch: np.asarray(each) for branch, each in model.logits(frames[:, :4]).items()}
    wanted = {"reconstruction": by_hand[:, :4], "future": by_hand[:, 4:]}
    expected = {
        f"{branch}_standardised_half_squared_error_per_frame": ((outputs[branch] - frames) ** 2).sum(-1).mean() / 2
        for branch, frames in wanted.items()
    }
    assert {name: float(part[0]) for name, part in parts.items()} == pytest.approx(expected, rel=1e-4)
    assert float(loss[0]) == pytest.approx(sum(expected.values()), rel=1e-4)


def test_evaluation_and_prediction_are_in_the_units_of_the_shards(standardised, percepts):
    data = DataConfig(percepts)
    made = predict_sequences(standardised, data, split="train", count=3)
    outputs = standardised.model()({"frames": made["inputs"]})
    np.testing.assert_allclose(made["outputs"]["future"], outputs["future"], rtol=1e-4, atol=1e-5)
    result = evaluate_future_prediction(standardised, data, split="train")
    rows = {row["predictor"]: row["future_squared_error_per_frame"] for row in result["rows"]}
    variances = training_frames(percepts).var(axis=0).sum()
    assert rows["predict the mean frame"] == pytest.approx(variances, rel=0.1)
    assert 0.1 * variances < rows["model"] < 10 * variances


@pytest.mark.filterwarnings("ignore:the loss rose")  # four steps with dropout need not lower it
def test_a_classifier_takes_the_encoder_s_constants_or_the_shards_own(standardised, percepts, tmp_path):
    finetune(finetune_config(percepts, str(standardised.path)), tmp_path / "init")
    config = finetune_config(percepts)
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, standardise=True))
    finetune(config, tmp_path / "random")
    expected = standardised.model().standardisation.get_weights()
    for name in ("init", "random"):
        run = load_run(tmp_path / name)
        assert run.config.model.standardise
        np.testing.assert_array_equal(run.model().standardisation.get_weights(), expected)


def test_a_resumed_standardising_run_goes_on_as_it_began(standardised, tmp_path):
    class StoppingReporter:
        @contextlib.contextmanager
        def task(self, *_, **__):
            steps = itertools.count()

            def advance(count=1, note=""):
                if next(steps) == 2:
                    raise KeyboardInterrupt

            yield advance

    with pytest.raises(KeyboardInterrupt):
        pretrain(standardised.config, tmp_path / "run", progress=StoppingReporter())
    pretrain(standardised.config, tmp_path / "run", resume=True)
    again = load_run(tmp_path / "run").model().get_weights()
    for expected, received in zip(standardised.model().get_weights(), again, strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)


def test_patches_are_standardised_by_one_mean_and_deviation(tmp_path):
    """The paper's second form of patches: the model sees mean 0 and deviation 1, what it gives out are pixels again."""
    rng = np.random.default_rng(0)
    frames = rng.integers(60, 90, (4, 9, 8, 8, 3), dtype="uint8")
    write_shards({"train": [{"frames": clip} for clip in frames]}, tmp_path / "clips")
    model = ModelConfig(units=(5,), input_frames=4, future_frames=3, standardise=True)
    data = DataConfig(str(tmp_path / "clips"), patch=4)
    pretrain(PretrainConfig(model, data, TRAINING), tmp_path / "run")
    run = load_run(tmp_path / "run")
    mean, deviation = run.model().standardisation.get_weights()
    assert run.config.model.output == "gaussian" and mean.shape == (16,) and len(set(mean)) == len(set(deviation)) == 1
    np.testing.assert_allclose([mean[0] * 255, deviation[0] * 255], [74.5, 5.5], atol=4)
    future = run.model()({"frames": np.full((1, 4, 16), mean[0], "float32")})["future"]
    np.testing.assert_allclose(future, np.full_like(future, mean[0]), atol=3 * deviation[0])


def test_generated_digits_cannot_be_standardised(tmp_path):
    config = PretrainConfig(ModelConfig(units=(4,), standardise=True), training=TRAINING)
    with pytest.raises(ConfigError, match="percepts or clips"):
        pretrain(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
