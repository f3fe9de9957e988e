"""Video-level accuracy against averages computed here from the model's own outputs."""

import numpy as np
import pytest

from videorep.config import ClassifierConfig, DataConfig, FinetuneConfig
from videorep.data import write_shards
from videorep.data.shards.records import Percept
from videorep.errors import RunError
from videorep.evaluation import evaluate_action_recognition
from videorep.models import build_classifier
from videorep.runs import create_run

CLASSES = ("jump", "run", "walk")
LENGTHS = (4, 8, 13, 20, 31)  # shorter than a block, one block, several, with and without a rest


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(length, 5)).astype("float32") for length in LENGTHS]


@pytest.fixture(scope="module")
def shards(arrays, tmp_path_factory):
    out = tmp_path_factory.mktemp("percepts") / "shards"
    records = [Percept(array, f"{k}.avi", k % 3, CLASSES[k % 3], 25.0, 0.0) for k, array in enumerate(arrays)]
    write_shards(records, out, split="test", labels=CLASSES)
    return str(out)


def make_run(folder, shards, seed, name="lstm"):
    config = ClassifierConfig(name, 5, (4,), CLASSES, 8, 4)
    run = create_run(folder, FinetuneConfig(config, DataConfig(shards)))
    run.save_model(build_classifier(config, seed=seed))
    return run


def video_probabilities(run, arrays, size=8, stride=4):
    model, rows = run.model(), []
    for array in arrays:
        starts = range(0, max(len(array) - size, 0) + 1, stride)
        blocks = [np.asarray(model({"frames": array[None, start : start + size]}))[0].mean(0) for start in starts]
        rows.append(np.mean(blocks, axis=0))
    return np.array(rows)


def test_accuracy_of_one_run(shards, arrays, tmp_path):
    run = make_run(tmp_path / "run", shards, seed=1)
    result = evaluate_action_recognition([run], shards)
    predicted, labels = video_probabilities(run, arrays).argmax(-1), np.arange(5) % 3
    assert result["videos"] == 5
    assert result["accuracy"] == pytest.approx((predicted == labels).mean())
    assert {row["class"]: row["videos"] for row in result["classes"]} == {"jump": 2, "run": 2, "walk": 1}
    assert result["largest_class"] == pytest.approx(0.4)


def test_single_frames_are_averaged_over_the_whole_video(shards, arrays, tmp_path):
    run = make_run(tmp_path / "run", shards, seed=3, name="single-frame")
    predicted = video_probabilities(run, arrays, 1, 1).argmax(-1)
    result = evaluate_action_recognition([run], shards)
    assert result["accuracy"] == pytest.approx((predicted == np.arange(5) % 3).mean())


def test_fused_runs_average_their_probabilities(shards, arrays, tmp_path):
    runs = [make_run(tmp_path / f"run{seed}", shards, seed) for seed in (1, 2)]
    result = evaluate_action_recognition(runs, shards)
    fused = np.mean([video_probabilities(run, arrays) for run in runs], axis=0)
    assert result["accuracy"] == pytest.approx((fused.argmax(-1) == np.arange(5) % 3).mean())
    assert len(result["runs"]) == 2


def test_classes_must_be_those_of_training(shards, tmp_path):
    config = ClassifierConfig("lstm", 5, (4,), ("a", "b"), 8, 4)
    run = create_run(tmp_path / "run", FinetuneConfig(config, DataConfig(shards)))
    run.save_model(build_classifier(config))
    with pytest.raises(RunError, match="2 classes"):
        evaluate_action_recognition([run], shards)
