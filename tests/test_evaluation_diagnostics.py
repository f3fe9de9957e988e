"""Diagnostics of the order of frames: against the model called block by block, and where no order can matter."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from test_evaluation_action_recognition import CLASSES, LENGTHS, make_run

from videorep.cli.main import videorep_command
from videorep.data import write_shards
from videorep.evaluation.diagnostics import diagnose

LABELS = np.arange(len(LENGTHS)) % 3


@pytest.fixture(scope="module")
def arrays():
    generator = np.random.default_rng(1)
    return [3 * generator.normal(size=(length, 5)).astype("float32") for length in LENGTHS]


@pytest.fixture(scope="module")
def shards(arrays, tmp_path_factory):
    out = tmp_path_factory.mktemp("percepts") / "shards"
    records = [{"frames": each, "label": CLASSES[k % 3], "path": f"{k}.avi"} for k, each in enumerate(arrays)]
    write_shards({"test": records}, out)
    return str(out)


def by_hand(run, arrays, show, size=8, stride=4):
    model, right = run.model(), []
    for array, label in zip(arrays, LABELS, strict=True):
        starts = range(0, max(len(array) - size, 0) + 1, stride)
        steps = [np.asarray(model({"frames": show(array[first : first + size])[None]}))[0] for first in starts]
        right.append(np.mean([each.mean(0) for each in steps], axis=0).argmax() == label)
    return right


def test_reversed_blocks_are_those_of_the_model_by_hand(shards, arrays, tmp_path):
    run = make_run(tmp_path / "run", shards, seed=2)
    rows = {row["frames"]: row for row in diagnose(run)}
    assert list(rows) == ["as filmed", "shuffled", "reversed", "first 1", "first 2", "first 4", "first 8"]
    for way, show in (("as filmed", lambda block: block), ("reversed", lambda block: block[::-1].copy())):
        right = by_hand(run, arrays, show)
        assert rows[way]["accuracy"] == pytest.approx(np.mean(right))
        for k, name in enumerate(CLASSES):
            assert rows[way]["classes"][name] == pytest.approx(np.mean(np.array(right)[k == LABELS]))


def test_first_frames_are_those_of_the_first_block(shards, arrays, tmp_path):
    run = make_run(tmp_path / "run", shards, seed=3)
    rows, model = {row["frames"]: row for row in diagnose(run)}, run.model()
    for count in (1, 2, 4, 8):
        tables = [np.asarray(model({"frames": each[None, :count]}))[0].mean(0) for each in arrays]
        assert rows[f"first {count}"]["accuracy"] == pytest.approx((np.argmax(tables, -1) == LABELS).mean())


def test_where_frames_count_alone_no_order_matters_and_one_seed_gives_one_answer(shards, tmp_path):
    rows = diagnose(make_run(tmp_path / "frames", shards, seed=3, name="single-frame"))
    assert rows[0]["accuracy"] == rows[1]["accuracy"] == rows[2]["accuracy"]
    run = make_run(tmp_path / "run", shards, seed=4)
    assert diagnose(run, seed=5) == diagnose(run, seed=5)


def test_the_command_prints_a_row_per_way_and_keeps_classes_in_json(shards, tmp_path):
    run = make_run(tmp_path / "run", shards, seed=2)
    words = ["evaluate", str(run.path), shards, "--diagnose", "--json", str(tmp_path / "a.json")]
    done = CliRunner().invoke(videorep_command, words)
    assert done.exit_code == 0 and "shuffled" in done.output and "first 8" in done.output, done.output
    assert json.loads((tmp_path / "a.json").read_text())["diagnostics"] == diagnose(run)
    refused = CliRunner().invoke(videorep_command, ["evaluate", *[str(run.path)] * 2, shards, "--diagnose"])
    assert refused.exit_code == 2 and "Expected one RUN" in refused.output
