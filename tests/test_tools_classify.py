"""The client of exported models: what it answers, and what it refuses."""

import importlib.util
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from videorep.config import ClassifierConfig, FinetuneConfig
from videorep.models import build_classifier
from videorep.runs import create_run
from videorep.serving.export import export

TOOL = Path(__file__).resolve().parents[1] / "tools" / "classify_with_tensorflow.py"
SIZE = 16
CLASSES = ("dark", "bright")


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    """Two versions of a classifier that calls bright what is brighter than the middle; the older says the opposite."""
    folder = tmp_path_factory.mktemp("client")
    for version, sign in ((9, -1), (10, 1)):
        config = ClassifierConfig("single-frame", SIZE * SIZE, (4,), CLASSES)
        run = create_run(folder / f"run{version}", FinetuneConfig(config))
        model = build_classifier(config)
        kernel = sign * np.stack([np.zeros(SIZE * SIZE), np.full(SIZE * SIZE, 0.1)], axis=1)
        model.layers[-1].set_weights([kernel, np.array([0, -sign * 0.05 * SIZE * SIZE])])
        run.save_model(model)
        run.write_provenance({"data": {"frame_shape": [SIZE, SIZE, 1]}})
        export(run.path, folder / "serving", version=version, check=False)
    return folder / "serving"


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("video") / "bright.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 25.0, (SIZE, SIZE))
    for _ in range(3):
        writer.write(np.full((SIZE, SIZE, 3), 220, np.uint8))
    writer.release()
    return path


@pytest.fixture
def classify(monkeypatch, capsys):
    """Runs the tool here, where it may not import videorep, and gives what it prints or ends with."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["classify", *map(str, arguments)])
        monkeypatch.setitem(sys.modules, "videorep", None)  # put back at the end of the test
        spec = importlib.util.spec_from_file_location("classify_with_tensorflow", TOOL)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        try:
            module.main()
        except SystemExit as end:
            return end.code
        return capsys.readouterr().out

    return run


def test_it_takes_the_newest_version_of_a_base_folder_or_the_one_that_is_named(classify, serving, video):
    assert "bright.avi: bright (probability" in classify(serving, video)
    assert "bright.avi: dark (probability" in classify(serving / "9", video)


def test_help_and_missing_words_are_no_tracebacks(classify, capsys):
    assert classify("--help") == 0 and "SERVING VIDEO" in capsys.readouterr().out
    assert classify() == 2


def test_it_refuses_what_is_no_model_and_no_video(classify, serving, video, tmp_path):
    (tmp_path / "dataset.json").write_text("{}")
    assert "saved_model.pb in" in classify(tmp_path, video)
    assert "no folder" in classify(tmp_path / "nowhere", video)
    assert "no frame can be read" in classify(serving, tmp_path / "dataset.json")


def test_it_scales_a_video_to_the_frames_of_the_model(classify, serving, tmp_path):
    large = cv2.VideoWriter(str(tmp_path / "large.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25.0, (32, 32))
    large.write(np.zeros((32, 32, 3), np.uint8))
    large.release()
    assert "(probability" in classify(serving, tmp_path / "large.avi")


@pytest.mark.parametrize(
    "facts, words",
    [
        ({"kind": "finetune", "input": {"kind": "percepts", "backbone": {"backbone": "vgg16"}}}, "convnet vgg16"),
        ({"kind": "finetune", "input": {"kind": "percepts", "backbone": {}}}, "convnet of its training"),
        ({"kind": "finetune", "input": {"kind": "percepts"}, "signatures": 3}, "; use it with videorep"),
        (
            {"kind": "finetune", "input": {"kind": "percepts"}, "signatures": {"classify_frames": {}, "describe": {}}},
            "; send JPEGs of frames to its signature classify_frames, or ask a server of it with videorep classify --",
        ),
        ({"kind": "finetune", "input": {"kind": "patches", "frame_shape": [16, 16, 1]}}, "patches of frames"),
        ({"kind": "stream", "input": {"kind": "flow"}}, "stacks of optical flow"),
        ({"kind": "pretrain", "input": {"kind": "pixels"}}, "predicts frames"),
        ({"input": 3}, "export it again"),
        ([], "export it again"),
    ],
)
def test_it_refuses_models_whose_input_it_cannot_make(classify, tmp_path, video, facts, words):
    (tmp_path / "3" / "assets.extra").mkdir(parents=True)
    (tmp_path / "3" / "saved_model.pb").touch()
    (tmp_path / "3" / "assets.extra" / "run.json").write_text(json.dumps(facts))
    assert words in classify(tmp_path, video)
