"""Evaluation of pretrained runs against figures computed here from the model's own outputs."""

import dataclasses
import json

import numpy as np
import pytest

from videorep.config import DataConfig, ModelConfig, PretrainConfig, PretrainTrainingConfig
from videorep.data.batches.sources import open_source
from videorep.data.digits.moving_mnist import MovingMNIST
from videorep.errors import RunError
from videorep.evaluation import evaluate_future_prediction, predict_sequences
from videorep.evaluation.baselines import copy_last_frame, mean_frame
from videorep.models import build_model
from videorep.runs import create_run

T, F = 3, 2


def make_run(folder, name="composite", conditional=()):
    config = PretrainConfig(
        ModelConfig(name, 4096, (5,), T, F, conditional, "bernoulli"),
        DataConfig(),
        PretrainTrainingConfig(batch_size=4),
    )
    run = create_run(folder, config)
    run.save_model(build_model(name, 4096, (5,), T, F, conditional, seed=1))
    return run


def table(result):
    return {row["predictor"]: row for row in result["rows"]}


def test_figures_of_model_and_trivial_predictors(tmp_path):
    run = make_run(tmp_path / "run")
    result = evaluate_future_prediction(run, limit=6)
    frames = MovingMNIST(frames=T + F, split="test").sequences(0, 6).reshape(6, T + F, 4096) / 255
    inputs, future = frames[:, :T], frames[:, T:]
    rows = table(result)
    assert result["sequences"] == 6
    outputs = run.model()({"frames": inputs.astype("float32")})
    for branch, target in (("reconstruction", inputs), ("future", future)):
        p = np.asarray(outputs[branch], np.float64)
        entropy = -(target * np.log(p) + (1 - target) * np.log(1 - p)).sum(-1)
        assert rows["model"][f"{branch}_cross_entropy_per_frame"] == pytest.approx(entropy.mean(), rel=1e-5)
        squared = ((p - target) ** 2).sum(-1)
        assert rows["model"][f"{branch}_squared_error_per_frame"] == pytest.approx(squared.mean(), rel=1e-5)
    copied = ((inputs[:, -1:] - future) ** 2).sum(-1)
    assert rows["copy the last frame"]["future_squared_error_per_frame"] == pytest.approx(copied.mean(), rel=1e-6)
    np.testing.assert_allclose(
        result["future_by_frame"]["squared_error_per_frame"]["copy the last frame"], copied.mean(0), rtol=1e-6
    )
    assert rows["copy the last frame"]["reconstruction_squared_error_per_frame"] is None
    assert rows["predict the mean frame"]["future_cross_entropy_per_frame"] < 1500
    light = rows["predict black"]["future_squared_error_per_frame"]
    assert light == pytest.approx((future**2).sum(-1).mean(), rel=1e-6)
    assert set(result["definitions"]) == set(result["future_by_frame"])


def test_conditional_models_have_a_teacher_forced_row(tmp_path):
    rows = table(evaluate_future_prediction(make_run(tmp_path / "run", conditional=("future",)), limit=4))
    own, forced = rows["model"], rows["model, fed with true frames"]
    assert own["future_cross_entropy_per_frame"] != forced["future_cross_entropy_per_frame"]
    assert own["reconstruction_cross_entropy_per_frame"] == pytest.approx(
        forced["reconstruction_cross_entropy_per_frame"]
    )


def test_the_batches_decide_nothing(tmp_path, monkeypatch):
    run, results = make_run(tmp_path / "run", conditional=("future",)), []
    monkeypatch.setattr("videorep.evaluation.future_prediction.MEAN_FRAME_SEQUENCES", 5)
    for size in (2, 5):
        monkeypatch.setattr("videorep.evaluation.future_prediction.BATCH_SEQUENCES", size)
        results.append(evaluate_future_prediction(run, limit=5))
    for name in ("rows", "standard_errors"):
        one, other = ({row.pop("predictor"): row for row in result[name]} for result in results)
        for predictor in one.keys() - {"predict the mean frame"}:  # of a multiple of a batch
            figures = {name: value for name, value in one[predictor].items() if value is not None}
            assert {name: other[predictor][name] for name in figures} == pytest.approx(figures, rel=1e-4)


@pytest.mark.parametrize("standardise", [False, True])
def test_patches_and_standardised_models_have_an_error_in_standardised_units(stored_clips, tmp_path, standardise):
    """The paper's squared losses of patches, 208 to 225, are probably in these units."""
    data = DataConfig(path=stored_clips[0], stride=3, patch=6)
    model = build_model("future_predictor", 36, (5,), T, F, output="gaussian", seed=1, standardise=standardise)
    if standardise:
        model.standardisation.assign(np.full(36, 0.4), np.full(36, 0.2))
    config = PretrainConfig(ModelConfig("future_predictor", 36, (5,), T, F, (), "gaussian", standardise), data)
    run = create_run(tmp_path / "run", config)
    run.save_model(model)
    row = table(evaluate_future_prediction(run, split="train"))["model"]
    source = open_source(data, "train", T + F)
    deviation = 0.2 if standardise else source.statistics()["deviation"][0]
    expected = row["future_half_squared_error_per_frame"] / deviation**2
    assert row["future_standardised_half_squared_error_per_frame"] == pytest.approx(expected, rel=1e-5)


def test_whole_frames_have_none(tmp_path):
    assert not [
        name
        for name in table(evaluate_future_prediction(make_run(tmp_path / "run"), limit=1))["model"]
        if "standardised" in name
    ]


def test_a_longer_horizon(tmp_path):
    result = evaluate_future_prediction(make_run(tmp_path / "run", "future_predictor"), limit=2, horizon=40)
    assert len(result["future_by_frame"]["cross_entropy_per_frame"]["model"]) == 40


def test_an_autoencoder_has_no_future(tmp_path):
    rows = table(evaluate_future_prediction(make_run(tmp_path / "run", "autoencoder"), limit=2))
    assert set(rows) == {"model", "predict the mean frame", "predict black"}


def test_frames_must_be_those_of_training(tmp_path):
    config = PretrainConfig(ModelConfig("autoencoder", 10, (5,), T, F, (), "bernoulli"))
    run = create_run(tmp_path / "run", config)
    run.save_model(build_model("autoencoder", 10, (5,), T, F))
    with pytest.raises(RunError, match="10 values"):
        evaluate_future_prediction(run, DataConfig(), limit=2)


def test_trivial_predictors():
    frames = np.arange(12.0).reshape(2, 3, 2)
    np.testing.assert_array_equal(copy_last_frame(frames, 2)[1], [[10, 11], [10, 11]])
    np.testing.assert_array_equal(mean_frame([frames[:1], frames[1:]], limit=2), [5, 6])


def test_community_figures_and_the_paper_s_unit(tmp_path):
    run = make_run(tmp_path / "run")
    row = table(evaluate_future_prediction(run, limit=3))["model"]
    frames = MovingMNIST(frames=T + F, split="test").sequences(0, 3).reshape(3, T + F, 4096) / np.float32(255)
    predicted = np.asarray(run.model()({"frames": frames[:, :T]})["future"], np.float64)
    error = frames[:, T:] - predicted
    assert row["future_absolute_error_per_frame"] == pytest.approx(np.abs(error).sum(-1).mean(), rel=1e-5)
    assert row["future_half_squared_error_per_frame"] == pytest.approx((error**2).sum(-1).mean() / 2, rel=1e-5)
    decibels = -10 * np.log10((error**2).mean(-1))
    assert row["future_psnr_per_frame"] == pytest.approx(decibels.mean(), rel=1e-5)
    assert -1 < row["future_ssim_per_frame"] < 1


def test_a_horizon_needs_a_future(tmp_path):
    with pytest.raises(RunError, match="--horizon"):
        evaluate_future_prediction(make_run(tmp_path / "run", "autoencoder"), limit=2, horizon=5)


def test_without_the_training_data_there_is_no_mean_frame(tmp_path):
    run = make_run(tmp_path / "run")
    config = dataclasses.replace(run.config, data=DataConfig(path=str(tmp_path / "gone")))
    result = evaluate_future_prediction(dataclasses.replace(run, config=config), DataConfig(), limit=2)
    assert set(table(result)) == {"model", "predict black", "copy the last frame"}
    assert "gone" in result["left_out"]


def test_results_are_plain_json(tmp_path):
    result = evaluate_future_prediction(make_run(tmp_path / "run"), limit=2)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["probability_clipping"] == 1e-7


def test_predicted_sequences_are_the_model_s_outputs(tmp_path):
    run = make_run(tmp_path / "run")
    predicted = predict_sequences(run, count=2)
    frames = MovingMNIST(frames=T + F, split="test").sequences(0, 2).reshape(2, T + F, 4096) / np.float32(255)
    np.testing.assert_allclose(np.concatenate([predicted["inputs"], predicted["future"]], axis=1), frames, rtol=1e-6)
    outputs = run.model()({"frames": frames[:, :T]})
    for branch in ("reconstruction", "future"):
        np.testing.assert_allclose(predicted["outputs"][branch], np.asarray(outputs[branch]), rtol=1e-5, atol=1e-6)
    assert predicted["frame_shape"] == (64, 64, 1)
    assert predict_sequences(run, count=1, horizon=7)["outputs"]["future"].shape == (1, 7, 4096)
    assert predict_sequences(make_run(tmp_path / "other", "autoencoder"))["future"] is None


def test_sequences_are_those_of_these_numbers_in_their_order(tmp_path):
    run = make_run(tmp_path / "run")
    frames = MovingMNIST(frames=T + F, split="test").sequences(0, 6).reshape(6, T + F, 4096) / np.float32(255)
    np.testing.assert_allclose(predict_sequences(run, numbers=(5, 0))["inputs"], frames[[5, 0], :T], rtol=1e-6)


def test_the_past_is_what_the_decoder_of_the_reconstruction_emits_next(tmp_path):
    run = make_run(tmp_path / "run")
    outputs = predict_sequences(run, count=2, horizon=7)["outputs"]
    model, inputs = run.model(), predict_sequences(run, count=2)["inputs"]
    decoder = model.decoders["reconstruction"]
    kernel, bias = np.asarray(decoder.output_kernel), np.asarray(decoder.output_bias)
    states = model.encode(inputs)
    for _ in range(T + 6):  # the first frame is read off the encoder's states
        frame, new = model.emitted({"reconstruction": decoder.read_out(states[-1][0])})["reconstruction"], []
        inputs = frame if decoder.conditional else None
        for lstm, state in zip(decoder.lstms, states, strict=True):
            new.append(lstm.cell.step(inputs, state))
            inputs = new[-1][0]
        states = new
    farthest = 1 / (1 + np.exp(-(np.asarray(states[-1][0]) @ kernel + bias)))
    assert outputs["past"].shape == (2, 7, 4096) and outputs["reconstruction"].shape == (2, T, 4096)
    np.testing.assert_allclose(outputs["past"][:, 0], farthest, rtol=1e-4)
