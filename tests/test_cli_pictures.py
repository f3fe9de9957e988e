"""`predict` and `visualize` from a run's folder to a file."""

import dataclasses
import json
import os
import re

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from videorep.cli.main import videorep_command
from videorep.config import DataConfig, ModelConfig, PretrainConfig
from videorep.data import MovingMNIST, write_shards
from videorep.data.shards.records import Percept
from videorep.errors import ConfigError
from videorep.evaluation import predict_sequences
from videorep.models import build_model
from videorep.runs import create_run, load_run

T, F = 3, 2


def make_run(folder, features, data, output, steps=3):
    run = create_run(folder, PretrainConfig(ModelConfig("composite", features, (5,), T, F, (), output), data))
    run.save_model(build_model("composite", features, (5,), T, F, output=output, seed=1))
    lines = [{"step": k, "sequences": 4 * k, "seconds": float(k), "loss": 9 / k} for k in range(1, steps + 1)]
    run.metrics_path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "digits", 4096, DataConfig(), "bernoulli")


@pytest.fixture(scope="module")
def percept_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("percepts")
    arrays = np.random.default_rng(0).normal(size=(2, 12, 6)).astype("float32")
    write_shards(
        [Percept(array, f"{k}", 0, "run", 25.0, 0.0) for k, array in enumerate(arrays)],
        folder / "shards",
        split="test",
        labels=("run",),
    )
    return make_run(folder / "run", 6, DataConfig(str(folder / "shards")), "gaussian")


def invoke(*arguments):
    return CliRunner().invoke(videorep_command, [str(argument) for argument in arguments])


def succeeds(*arguments):
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def fails(status, *arguments):
    result = invoke(*arguments)
    assert result.exit_code == status, result.output
    return result.stderr


def test_arrays(run, tmp_path):
    path = tmp_path / "future.npz"
    assert succeeds("predict", run, "moving-mnist", "--out", path, "--count", 3, "--horizon", 5) == f"Wrote {path}\n"
    with np.load(path) as file:
        arrays = dict(file)
    shapes = {name: arrays[name].shape for name in arrays}
    past, future = (3, T, 4096), (3, 5, 4096)
    assert shapes == {"inputs": past, "reconstruction": past, "true_future": future, "future": future}
    assert all(array.dtype == np.float32 and array.min() >= 0 and array.max() <= 1 for array in arrays.values())


def test_an_autoencoder_goes_on_into_the_past(tmp_path):
    config = ModelConfig("autoencoder", 4096, (4,), T, F, (), "bernoulli")
    autoencoder = create_run(tmp_path / "run", PretrainConfig(config, DataConfig()))
    autoencoder.save_model(build_model("autoencoder", 4096, (4,), T, F, seed=2))
    for name in ("past.npz", "past.png", "past.gif"):
        succeeds("predict", autoencoder.path, "moving-mnist", "--out", tmp_path / name, "--count", 1, "--horizon", 5)
    with np.load(tmp_path / "past.npz") as file:
        shapes = {branch: file[branch].shape for branch in file.files}
    assert shapes == {"inputs": (1, T, 4096), "reconstruction": (1, T, 4096), "past": (1, 5, 4096)}


def test_arrays_of_percepts(percept_run, tmp_path):
    shards = percept_run.replace("/run", "/shards")
    succeeds("predict", percept_run, shards, "--out", tmp_path / "future.npz", "--count", 2)
    with np.load(tmp_path / "future.npz") as file:
        assert file["future"].shape == (2, F, 6)
    assert "percepts" in fails(1, "predict", percept_run, shards, "--out", tmp_path / "future.png")
    assert not (tmp_path / "future.png").exists()


def test_moving_picture(run, tmp_path):
    succeeds("predict", run, "moving-mnist", "--out", tmp_path / "future.gif", "--count", 1)
    with Image.open(tmp_path / "future.gif") as animation:
        assert animation.n_frames == T + F


@pytest.mark.parametrize("what", ["strips", "curves", "features", "output-features", "activity", "horizon"])
def test_pictures_of_a_run(run, tmp_path, what, monkeypatch):
    monkeypatch.setattr("videorep.cli.visualize.HORIZON_SEQUENCES", 4)
    path = tmp_path / f"{what}.png"
    assert succeeds("visualize", run, what, "moving-mnist", "--horizon", 4, "--out", path) == f"Wrote {path}\n"
    pixels = np.asarray(Image.open(path).convert("RGB"))
    assert min(pixels.shape[:2]) > 100 and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10


def test_curves_of_several_runs(run, percept_run, tmp_path, monkeypatch):
    histories = []
    monkeypatch.setattr("videorep.figures.draw_curves", lambda path, each: histories.append(each))
    succeeds("visualize", run, "curves", "--beside", percept_run, "--out", tmp_path / "curves.png")
    twin = make_run(tmp_path / "digits", 4096, DataConfig(), "bernoulli", steps=5)
    succeeds("visualize", run, "curves", "--beside", twin, "--beside", percept_run, "--out", tmp_path / "curves.png")
    assert [{name: len(lines) for name, lines in each.items()} for each in histories] == [
        {"digits": 3, "run": 3},
        {run: 3, twin: 5, percept_run: 3},
    ]
    message = fails(2, "visualize", run, "activity", "--beside", twin, "--out", tmp_path / "strips.png")
    assert "only for curves, strips" in message


def test_strips_of_several_runs_under_one_truth(run, percept_run, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("videorep.figures.draw_strips", lambda path, **made: drawn.append(made))
    config = ModelConfig("future_predictor", 4096, (4,), T, F + 1, (), "bernoulli")
    other = create_run(tmp_path / "other", PretrainConfig(config, DataConfig()))
    other.save_model(build_model("future_predictor", 4096, (4,), T, F + 1, seed=2))
    command = ("visualize", run, "strips", "--out", tmp_path / "strips.png", "--beside")
    succeeds(*command, other.path, "--sequences", "5,0,5")
    [made] = drawn
    assert {name: set(outputs) for name, outputs in made["models"].items()} == {
        "digits": {"reconstruction", "future"},
        "other": {"future"},
    }
    digits = MovingMNIST(frames=T + F + 1, split="test").sequences(0, 6)[[5, 0]].reshape(2, T + F + 1, 4096) / 255
    truth = np.concatenate([made["inputs"], made["future"]], axis=1)
    np.testing.assert_allclose(truth, digits, rtol=1e-6)
    shorter = create_run(tmp_path / "shorter", PretrainConfig(dataclasses.replace(config, input_frames=2)))
    shorter.save_model(build_model("future_predictor", 4096, (4,), 2, F + 1))
    message = fails(1, *command, shorter.path)
    assert f"{shorter.path}, which reads 2 frames and predicts 3" in message and "same sequences" in message
    assert "values" in fails(1, *command, percept_run)
    assert "0,5,17" in fails(2, *command[:-1], "--sequences", "1,x")
    assert "received both" in fails(2, *command[:-1], "--sequences", "1", "--count", 2)


def test_numbers_that_a_split_does_not_have(percept_run, tmp_path):
    for numbers in ([0, 99], [-1], []):
        with pytest.raises(ConfigError, match=f"numbers that the split has, received {re.escape(str(numbers))}"):
            predict_sequences(load_run(percept_run), numbers=numbers)


def test_curves_without_a_report_name_the_file_and_what_to_do(run, tmp_path):
    other = load_run(make_run(tmp_path / "other", 4096, DataConfig(), "bernoulli", steps=0))
    command = ("visualize", run, "curves", "--beside", other.path, "--out", tmp_path / "curves.png")
    message = fails(1, *command)
    assert f"report in {other.metrics_path}, received none; train again with --overwrite" in message
    other.model_path.unlink()
    assert "received none; train further with --resume" in fails(1, *command)
    other.metrics_path.unlink()
    os.mkfifo(other.metrics_path)
    assert f"in {other.metrics_path}, received: no regular file" in fails(1, *command)
    assert not (tmp_path / "curves.png").exists()


def test_percepts_have_activity_but_no_pictures(percept_run, run, tmp_path, monkeypatch):
    succeeds("visualize", percept_run, "activity", "--horizon", 4, "--out", tmp_path / "activity.png")
    monkeypatch.delattr("videorep.cli.visualize.load_tensorflow")  # it is told before anything heavy is loaded
    shards = percept_run.replace("/run", "/shards")
    for what in ("strips", "features", "output-features"):
        for words in ((percept_run, what), (run, what, shards)):
            message = fails(1, "visualize", *words, "--out", tmp_path / f"{what}.png")
            assert message == (
                f"Error: expected frames that are pictures for {what}, received percepts in {shards}; draw curves, "
                "activity or horizon instead\n"
            )


def test_bad_names(run, tmp_path):
    assert ".npz, .png, .gif" in fails(2, "predict", run, "moving-mnist", "--out", tmp_path / "future.txt")
    assert "few-label-curve" in fails(2, "visualize", run, "landscape", "--out", tmp_path / "x.png")
    assert ".png, .pdf, .svg" in fails(2, "visualize", run, "curves", "--out", tmp_path / "x.jpeg")
    (tmp_path / "there.png").write_text("")
    assert "--overwrite" in fails(1, "visualize", run, "curves", "--out", tmp_path / "there.png")
    assert "finetune" in fails(1, "visualize", run, "few-label-curve", "--out", tmp_path / "x.png")
    assert [path.name for path in tmp_path.iterdir()] == ["there.png"]


def test_the_community_s_file_stands_in_for_moving_mnist(run, tmp_path):
    path = tmp_path / "mnist_test_seq.npy"
    sequences = np.random.default_rng(0).integers(0, 256, (20, 3, 64, 64), np.uint8)
    np.save(path, sequences)
    succeeds("predict", run, path, "--out", tmp_path / "future.npz", "--count", 5)
    with np.load(tmp_path / "future.npz") as file:
        seen = np.concatenate([file["inputs"], file["true_future"]], axis=1)
    np.testing.assert_allclose(seen, sequences.swapaxes(0, 1)[:, : T + F].reshape(3, T + F, 4096) / 255, rtol=1e-6)
    succeeds("visualize", run, "strips", path, "--out", tmp_path / "strips.png")
    told = succeeds("evaluate", run, path, "--json", tmp_path / "figures.json")
    assert "sequences:" in told and json.loads((tmp_path / "figures.json").read_text())["sequences"] == 3
    assert "--horizon" in fails(1, "evaluate", run, path, "--horizon", 18)
    assert "check the path" in fails(1, "evaluate", run, tmp_path / "none.npy")
    assert "moving-mnist alone" in fails(2, "evaluate", run, path, "--speed", 0.2)
    assert "train on other data" in fails(1, "pretrain", path, "--out", tmp_path / "run")


def test_other_digits_than_those_of_training(run, tmp_path):
    command = ("predict", run, "moving-mnist", "--out", tmp_path / "future.npz", "--count", 2)
    succeeds(*command, "--num-digits", 1, "--speed", "0.05:0.3")
    with np.load(tmp_path / "future.npz") as file:
        seen = np.concatenate([file["inputs"], file["true_future"]], axis=1)
    drawn = MovingMNIST(num_digits=1, frames=T + F, split="test", speed=(0.05, 0.3)).sequences(0, 2)
    np.testing.assert_allclose(seen, drawn.reshape(2, T + F, 4096) / 255, rtol=1e-6)
    for wrong in ("fast", "0.1:0.2:0.3", "0.3:0.1", "nan"):
        result = invoke(*command, "--overwrite", "--speed", wrong)
        assert result.exit_code in (1, 2) and "received" in result.stderr and "Traceback" not in result.output
