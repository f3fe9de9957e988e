"""Commands on percepts that came of others' features: all but those that see videos."""

import json

import numpy as np
import pytest
from command_line import fails
from feature_arrays import make_folder, make_thumos
from live_building import call

from videorep.data.shards.manifest import load_dataset
from videorep.provenance import verify


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "FEATURES")


@pytest.fixture
def thumos(tmp_path):
    return make_thumos(tmp_path / "THUMOS")


def test_every_command_takes_them_but_those_that_see_videos(folder, tmp_path):
    percepts, run = tmp_path / "percepts", tmp_path / "run"
    chosen = ["--match", "*_rgb.npy", "--labels", "folders", "--split", "0.5"]
    assert "8 videos" in call("build-shards", "features", folder, "--out", percepts, *chosen)
    few = ["--units", "3", "--layers", "1", "--batch-size", "2"]
    frames = ["--input-frames", "4", "--future-frames", "3", "--steps", "1"]
    call("pretrain", percepts, "--out", tmp_path / "pretrained", *few, *frames)
    call("finetune", percepts, "--out", run, *few, "--steps", "60", "--learning-rate", "0.05", "--block-frames", "4")
    call("evaluate", run, "--json", tmp_path / "scores.json")
    assert json.loads((tmp_path / "scores.json").read_text())["accuracy"] == 1.0  # the first feature tells the class
    call("embed", tmp_path / "pretrained", percepts, "--out", tmp_path / "embeddings.npz")
    assert "build-shards features" in call("inspect", percepts)
    assert verify(percepts, sources=folder) == ([], [])
    np.save(folder / "wave" / "v1_rgb.npy", np.zeros((9, 6)))
    assert "v1_rgb.npy: its SHA-256 is" in verify(percepts, sources=folder)[0][0]
    (tmp_path / "v.avi").touch()
    for words in (["classify", run, tmp_path / "v.avi"], ["watch", tmp_path / "v.avi", "--run", run]):
        status, message = fails(*words)
        assert status == 1 and "the backbone is not known" in message and message.count("\n") == 1


def test_frames_with_classes_are_measured_frame_by_frame(thumos, tmp_path):
    targets = ["--labels", thumos / "target_perframe", "--split", "0.5", "--fps", "4"]
    call("build-shards", "features", thumos / "rgb_x", "--out", tmp_path / "percepts", *targets)
    few = ["--units", "3", "--layers", "1", "--batch-size", "2", "--steps", "1", "--block-frames", "4"]
    call("finetune", tmp_path / "percepts", "--out", tmp_path / "run", *few)
    assert "frame mean average precision" in call("evaluate", tmp_path / "run")


def test_two_streams_of_features_are_fused(folder, tmp_path):
    for path in folder.rglob("*_rgb.npy"):
        np.save(path.with_name(path.name.replace("rgb", "flow")), -np.load(path)[:, :4])
    few = ["--units", "3", "--layers", "1", "--batch-size", "2", "--steps", "1", "--block-frames", "4"]
    for stream in ("rgb", "flow"):
        chosen = ["--match", f"*_{stream}.npy", "--labels", "folders", "--split", "0.5"]
        call("build-shards", "features", folder, "--out", tmp_path / stream, *chosen)
        call("finetune", tmp_path / stream, "--out", tmp_path / f"run-{stream}", *few)
    call("evaluate", tmp_path / "run-rgb", tmp_path / "run-flow", "--json", tmp_path / "scores.json")
    assert len(json.loads((tmp_path / "scores.json").read_text())["per_video"]) == 4
    assert load_dataset(tmp_path / "rgb").features == 6 and load_dataset(tmp_path / "flow").features == 4
