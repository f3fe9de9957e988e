"""Frames classified in blocks that start afresh and with the state carried on, against loops over steps."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from live_building import call
from sklearn.metrics import average_precision_score

from videorep.cli.main import videorep_command
from videorep.config import ClassifierConfig, DataConfig, FinetuneConfig
from videorep.data import write_shards
from videorep.errors import RunError, ShardError
from videorep.evaluation import evaluate_action_recognition, evaluate_frames
from videorep.live.stream import Stream
from videorep.models import build_classifier
from videorep.runs import create_run, load_run

NAMES = ["background", "bow", "nod", "wave"]  # nobody waves
LENGTHS, FEATURES, BLOCK = (3, 6, 25, 90), 5, 6


@pytest.fixture(scope="module")
def arrays():
    generator = np.random.default_rng(0)
    return [generator.normal(size=(length, FEATURES)).astype(np.float32) for length in LENGTHS]


@pytest.fixture(scope="module")
def labels():
    generator = np.random.default_rng(1)
    return [generator.integers(0, 3, length) for length in LENGTHS]


@pytest.fixture(scope="module")
def shards(arrays, labels, tmp_path_factory):
    records = [{"frames": a, "frame_labels": each.tolist()} for a, each in zip(arrays, labels, strict=True)]
    folder = tmp_path_factory.mktemp("frames") / "shards"
    write_shards({"train": records, "test": records}, folder, labels=NAMES)
    return folder


def make_run(folder, shards, name="lstm", classes=NAMES, kind=ClassifierConfig):
    config = kind(name, FEATURES, (4, 3), tuple(classes), BLOCK, 3)
    run = create_run(folder, FinetuneConfig(config, DataConfig(str(shards))))
    model = build_classifier(config, seed=0)
    generator = np.random.default_rng(2)
    model.set_weights([generator.uniform(-1, 1, weight.shape) for weight in model.weights])
    run.save_model(model)
    return run


def figures(labels, probabilities):
    """Of the classes that occur, the background left out."""
    precision = [average_precision_score(labels == number, probabilities[:, number]) for number in (1, 2)]
    accuracy = (probabilities.argmax(-1) == labels).mean()
    return {"frame_mean_average_precision": np.mean(precision), "frame_accuracy": accuracy}


@pytest.mark.parametrize("name", ["lstm", "single-frame"])
def test_both_ways_equal_loops_over_frames(shards, arrays, labels, tmp_path, name):
    run = make_run(tmp_path / "run", shards, name, [NAMES[number] for number in (2, 0, 3, 1)])
    result, model = evaluate_frames(run, shards), run.model()
    order, stream, fresh, carried = [1, 3, 0, 2], Stream(model), [], []
    for array in arrays:
        stream.reset()
        for t in range(len(array)):
            block = array[max(0, t - model.config.block[0] + 1) : t + 1]
            fresh.append(np.asarray(model({"frames": block[None]}))[0, -1, order])
            carried.append(stream.step(array[t])[order])
    for row, way, probabilities in zip(
        result["rows"], ("fresh blocks", "state carried on"), (fresh, carried), strict=True
    ):
        expected = figures(np.concatenate(labels), np.array(probabilities))
        assert row == {"predictor": way} | {key: pytest.approx(value, abs=1e-6) for key, value in expected.items()}
    assert result["frames"] == sum(LENGTHS) and [row["class"] for row in result["classes"]] == ["bow", "nod"]
    counts = np.bincount(np.concatenate(labels))
    assert result["largest_class"] == pytest.approx(counts.max() / counts.sum())
    assert [row["frames"] for row in result["classes"]] == counts[1:3].tolist()
    one, other = (row["frame_mean_average_precision"] for row in result["rows"])
    assert (abs(one - other) < 1e-6) == (name == "single-frame")


@pytest.mark.parametrize("loss", ["all", "last"])
def test_a_class_that_shows_in_its_frames_is_learned_and_evaluate_prints_both_ways(tmp_path, loss):
    generator, records = np.random.default_rng(3), []
    for _ in range(6):
        classes = np.repeat(generator.permutation(3), 12)
        frames = np.eye(3, dtype=np.float32)[classes] + generator.normal(0, 0.1, (36, 3))
        records.append({"frames": frames.astype(np.float32), "frame_labels": classes.tolist()})
    write_shards({"train": records[:4], "test": records[4:]}, tmp_path / "shards", labels=["background", "a", "b"])
    small = ["--steps", "150", "--batch-size", "8", "--units", "8", "--learning-rate", "0.02", "--block-frames", "9"]
    call("finetune", tmp_path / "shards", "--out", tmp_path / "run", *small, "--loss", loss)
    report = load_run(tmp_path / "run").last_report()
    assert "frame_accuracy" in report and load_run(tmp_path / "run").config.model.loss == loss
    printed = call("evaluate", tmp_path / "run", "--json", tmp_path / "figures.json")
    assert "fresh blocks" in printed and "state carried on" in printed
    rows = json.loads((tmp_path / "figures.json").read_text())["rows"]
    assert all(row["frame_mean_average_precision"] > 0.9 and row["frame_accuracy"] > 0.6 for row in rows), rows


def test_what_has_other_labels_or_other_classes_is_refused(shards, stored_percepts, tmp_path):
    run = make_run(tmp_path / "run", shards)
    with pytest.raises(ShardError, match="one class per video to classify videos"):
        evaluate_action_recognition([run], shards)
    result = CliRunner().invoke(videorep_command, ["evaluate", str(run.path), str(run.path), str(shards)])
    assert result.exit_code == 1 and "one run with videorep evaluate" in result.output
    other = make_run(tmp_path / "other", stored_percepts[0].path, classes=("a", "b"))
    with pytest.raises(ShardError, match="--labels segments"):
        evaluate_frames(other)
    with pytest.raises(RunError, match="2 classes"):
        evaluate_frames(other, shards)
    background = [{"frames": np.ones((4, FEATURES), np.float32), "frame_labels": ["background"] * 4}]
    write_shards(background, tmp_path / "none", split="test", labels=NAMES)
    with pytest.raises(ShardError, match="other classes than the background"):
        evaluate_frames(run, tmp_path / "none")
