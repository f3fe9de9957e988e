"""The few-label curve: which runs are measured, and under which name and number."""

import numpy as np
import pytest

from videorep.config import ClassifierConfig, DataConfig, FinetuneConfig, PretrainConfig
from videorep.data import write_shards
from videorep.data.shards.records import Percept
from videorep.errors import RunError
from videorep.evaluation import evaluate_action_recognition
from videorep.evaluation.few_labels import measure_few_label_curve
from videorep.models import build_classifier
from videorep.runs import create_run

CLASSES = ("run", "walk")


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    rng = np.random.default_rng(0)
    records = [
        Percept(rng.normal(size=(8, 5)).astype("f4"), f"{k}", k % 2, CLASSES[k % 2], 25.0, 0.0) for k in range(6)
    ]
    out = tmp_path_factory.mktemp("percepts") / "shards"
    write_shards(records, out, split="test", labels=CLASSES)
    return str(out)


def make_run(folder, shards, seed, videos_per_class, init="", name="lstm", freeze=False):
    model = ClassifierConfig(name, 5, (4,), CLASSES, 8, 4, freeze_encoder=freeze)
    run = create_run(folder, FinetuneConfig(model, DataConfig(shards, videos_per_class=videos_per_class), init=init))
    run.save_model(build_classifier(model, seed=seed))
    run.write_provenance({"data": {"videos": 30}})
    return run


def test_runs_are_sorted_by_start_and_number(shards, tmp_path):
    first = make_run(tmp_path / "few" / "repeat-0", shards, 1, 4)
    second = make_run(tmp_path / "few" / "repeat-1", shards, 2, 4)
    make_run(tmp_path / "all", shards, 3, 0, init="runs/composite", freeze=True)
    make_run(tmp_path / "frames", shards, 4, 1, name="single-frame")
    create_run(tmp_path / "pretrained", PretrainConfig())
    measured = measure_few_label_curve(tmp_path)
    assert {name: list(line) for name, line in measured["results"].items()} == {
        "from random weights": [4],
        "from runs/composite, frozen": [15.0],
        "single frame": [1],
    }
    accuracies = [evaluate_action_recognition([run], shards)["accuracy"] for run in (first, second)]
    assert measured["results"]["from random weights"][4] == accuracies
    assert measured["largest_class"] == 0.5


def test_a_folder_without_classifiers(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(RunError, match="finetune"):
            measure_few_label_curve(folder)


def test_an_unfinished_run_is_told_before_any_is_measured(shards, tmp_path, monkeypatch):
    monkeypatch.delattr("videorep.evaluation.few_labels.evaluate_action_recognition")
    make_run(tmp_path / "already done", shards, 1, 4)
    model = ClassifierConfig("lstm", 5, (4,), CLASSES, 8, 4)
    create_run(tmp_path / "begun", FinetuneConfig(model, DataConfig(shards, videos_per_class=4)))
    with pytest.raises(RunError, match="begun"):
        measure_few_label_curve(tmp_path)
