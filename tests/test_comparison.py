"""The whole comparison on small shards: its table, its page, going on, and what is refused."""

import json
import os
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from comparison_videos import make_records, pretrained

from videorep.cli.main import videorep_command
from videorep.comparison import compare
from videorep.comparison.comparison import _list_contenders
from videorep.comparison.store import Store
from videorep.comparison.streams import open_streams
from videorep.comparison.summary import advise
from videorep.comparison_config import CompareConfig
from videorep.config import ClassifierConfig, DataConfig, FinetuneConfig, TrainingConfig
from videorep.data import write_shards
from videorep.errors import ConfigError, OutputError, RunError, ShardError
from videorep.runs import load_run
from videorep.training.finetune import finetune

SMALL = {"models": ("none",), "units": 4, "draws": 2, "trials": 1}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder, generator = tmp_path_factory.mktemp("data") / "shards", np.random.default_rng(0)
    write_shards({"train": make_records(generator, (1, 2, 3, 4)), "test": make_records(generator, (8, 9))}, folder)
    return str(folder)


@pytest.fixture(scope="module")
def compared(shards, tmp_path_factory):
    out = tmp_path_factory.mktemp("compared") / "out"
    return out, compare(CompareConfig(shards, **SMALL), out)


def test_every_contender_has_a_row_per_number_of_labels(compared):
    _, result = compared
    rows = {(row["contender"], row["videos_per_class"]): row for row in result["results"]}
    names = ("majority", "mean-pooled", "mean-pooled halves", "single-frame", "random weights")
    assert set(rows) == {(name, count) for name in names for count in (1, 2, 0)}
    for row in rows.values():
        assert len(row["accuracies"]) == 2 and row["interval"][0] <= row["mean"] <= row["interval"][1]
    assert rows["majority", 0]["accuracies"] == [0.5, 0.5]
    assert rows["mean-pooled", 0]["mean"] == 1.0
    assert {(test["a"], test["b"]) for test in result["tests"]} == {
        ("mean-pooled halves", "mean-pooled"),
        ("single-frame", "mean-pooled"),
        ("random weights", "mean-pooled"),
    }
    assert result["advice"].startswith("On these data use mean-pooled percepts and logistic regression, beside which")


def test_single_frames_that_are_bounded_are_told(compared, shards, tmp_path, monkeypatch):
    assert compared[1]["warnings"] == []
    monkeypatch.setattr("videorep.comparison.linear.MOST_NUMBERS", 8 * 5 * 3)
    sentence = "single-frame: with all labels it learns from 3 frames of each video, evenly spread, not 16"
    assert compare(CompareConfig(shards, **SMALL), tmp_path)["warnings"] == [sentence]


def test_layers_steps_and_numbers_of_labels_are_those_asked_for(shards, tmp_path):
    asked = {"layers": 2, "steps": (1,), "videos_per_class": (1, 3, 9)}
    result = compare(CompareConfig(shards, **SMALL | asked), tmp_path / "out")
    rows = [row for row in result["results"] if row["contender"] == "random weights"]
    assert [row["videos_per_class"] for row in rows] == [1, 3, 0] and {row["settings"]["steps"] for row in rows} == {1}
    contenders = _list_contenders(CompareConfig(shards, layers=2), open_streams(CompareConfig(shards), [])[0])
    assert contenders["random weights"].shape.units == (256, 256)
    for name in ("steps", "videos_per_class"):
        with pytest.raises(ConfigError, match=f"{name} to be rising whole numbers"):
            CompareConfig(shards, **{name: (2, 1)})


def test_it_goes_on_where_it_was_interrupted(compared, shards, tmp_path, monkeypatch):
    out, result = compared
    (tmp_path / "out" / "measured").mkdir(parents=True)
    for path in [out / "config.json", *sorted((out / "measured").iterdir())[::2]]:
        (tmp_path / "out" / path.relative_to(out)).write_bytes(path.read_bytes())
    config = CompareConfig(shards, **SMALL)
    with pytest.raises(OutputError, match="go on with --resume, or replace it with --overwrite"):
        compare(config, tmp_path / "out")
    resumed = compare(config, tmp_path / "out", resume=True)
    for one, other in zip(result["results"], resumed["results"], strict=True):
        assert one["accuracies"] == other["accuracies"] and one["settings"] == other["settings"]
    with pytest.raises(OutputError, match="received other draws; give the same command again"):
        compare(CompareConfig(shards, **SMALL | {"draws": 3}), tmp_path / "out", resume=True)


def test_a_folder_of_others_is_left_alone(shards, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for choices in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(OutputError, match="which holds other files"):
            compare(CompareConfig(shards, **SMALL), tmp_path, **choices)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


SOUND = {
    "probabilities": np.full((2, 4, 2), 0.5, np.float32),
    "held_out": np.full((8, 2), 0.5, np.float32),
    "facts": '{"settings": {}, "choice_accuracy": 1, "seconds": 1}',
}
SHAPES = {"probabilities": (2, 4, 2), "held_out": (8, 2)}
OTHERS = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:200]),
    "no numbers": lambda path: np.savez(path, **SOUND | {"probabilities": np.full((2, 4, 2), np.nan)}),
    "other videos": lambda path: np.savez(path, **SOUND | {"probabilities": np.ones((2, 3, 2))}),
    "no facts": lambda path: np.savez(path, **SOUND | {"facts": "[1]"}),
    "too large": lambda path: np.savez_compressed(path, **SOUND, more=np.zeros(1 << 22)),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_was_not_measured_is_not_taken_for_it(compared, shards, tmp_path, other):
    store = Store(tmp_path, {})
    store.begin(overwrite=False)
    path = tmp_path / "measured" / "mean-pooled-1.npz"
    np.savez(path, **SOUND)
    assert store.read("mean-pooled", 1, SHAPES)["choice_accuracy"] == 1
    OTHERS[other](path)
    with pytest.raises(RunError, match=r"mean-pooled-1.npz, received a damaged file; remove it"):
        store.read("mean-pooled", 1, SHAPES)


def test_overwrite_removes_what_was_measured_and_nothing_else(tmp_path):
    store = Store(tmp_path, {"kind": "comparison"})
    store.begin(overwrite=False)
    for name in ("mean-pooled-1.npz", "pretrained-a-frozen-all.npz", "mine.npz"):
        (tmp_path / "measured" / name).touch()
    store.begin(overwrite=True)
    assert [path.name for path in (tmp_path / "measured").iterdir()] == ["mine.npz"]
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(OutputError, match=r"the settings of a comparison in .*config\.json, which cannot be read"):
        store.require_free(resume=True, overwrite=False)


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_cannot_be_compared_is_refused_before_anything_is_made(shards, tmp_path, dry_run):
    seen = str(tmp_path / "seen")
    write_shards(make_records(np.random.default_rng(0), (8,)), seen)
    leaky = pretrained(seen, tmp_path / "leaky")
    finetune(
        FinetuneConfig(ClassifierConfig(units=(4,)), DataConfig(shards), TrainingConfig(steps=1)), tmp_path / "run"
    )
    for config, error, words in (
        (CompareConfig(shards, init=(leaky,), **SMALL), ShardError, "received the recording v_Archery_g08"),
        (
            CompareConfig(shards, (), (seen,), **SMALL | {"models": ("composite",)}),
            ShardError,
            "v_Archery_g08|at least 29",
        ),
        (CompareConfig(shards, init=(str(tmp_path / "run"),), **SMALL), RunError, "a run of `videorep pretrain`"),
        (CompareConfig(shards, init=(str(tmp_path / "nothing"),), **SMALL), RunError, "expected the folder of a run"),
    ):
        with pytest.raises(error, match=words):
            compare(config, tmp_path / "out", dry_run=dry_run)
    with pytest.raises(OutputError, match="expected --out outside DATA"):
        compare(CompareConfig(shards, **SMALL), f"{shards}/out", dry_run=dry_run)
    assert not (tmp_path / "out").exists()


def test_two_contenders_of_one_name_are_refused(shards, tmp_path):
    """The second would otherwise take what was measured of the first for its own."""
    more = str(tmp_path / "more")
    write_shards(make_records(np.random.default_rng(0), (5,)), more)
    first, second = (pretrained(more, tmp_path / name) for name in ("a/Run 1", "b/run-1"))
    with pytest.raises(RunError, match=r"expected contenders of different names, received .*b/run-1 and .*a/Run 1"):
        compare(CompareConfig(shards, init=(first, second), **SMALL), tmp_path / "out")
    own = pretrained(more, tmp_path / "autoencoder")
    with pytest.raises(RunError, match="and the autoencoder that is pretrained here"):
        open_streams(CompareConfig(shards, models=("autoencoder",)), [load_run(own)])
    assert not (tmp_path / "out").exists()


def test_a_run_of_other_features_is_refused_before_anything_is_made(shards, tmp_path):
    wide = str(tmp_path / "wide")
    write_shards([{"frames": np.zeros((20, 7), np.float32), "path": "x"}], wide)
    run = pretrained(wide, tmp_path / "run")
    with pytest.raises(RunError, match=r"a pretrained run of 5 features, as .* has, received .*run of 7"):
        compare(CompareConfig(shards, init=(run,), **SMALL), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_whose_data_are_gone_is_doubted(shards, tmp_path):
    more = str(tmp_path / "more")
    write_shards(make_records(np.random.default_rng(0), (5,)), more)
    run = pretrained(more, tmp_path / "run")
    shutil.rmtree(more)
    result = compare(CompareConfig(shards, init=(run,), **SMALL), tmp_path / "out")
    assert any(more in doubt and "may hold test videos" in doubt for doubt in result["warnings"])
    with pytest.raises(RunError, match=r"received .*out, a comparison; its report.html shows it"):
        load_run(tmp_path / "out")


def test_clips_that_are_none_are_refused_before_the_work(shards, tmp_path):
    arguments = ["compare", shards, "--out", str(tmp_path / "out"), "--clips", shards]
    done = CliRunner().invoke(videorep_command, arguments)
    assert done.exit_code == 1 and "expected clips in" in done.output and not (tmp_path / "out").exists()


def test_a_recording_on_both_sides_is_refused(tmp_path):
    generator = np.random.default_rng(0)
    records = make_records(generator, (1, 2), clips=2)
    sides = {"train": [each for each in records if "c00" in each["path"]], "test": records[1::2]}
    write_shards(sides, tmp_path / "shards")
    with pytest.raises(RunError, match="expected every recording on one side"):
        compare(CompareConfig(str(tmp_path / "shards"), **SMALL), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_unlabelled_shards_that_show_the_test_side_are_refused(shards, tmp_path):
    more = str(tmp_path / "more")
    write_shards(
        [{**each, "path": each["path"].replace("c00", "c05")} for each in make_records(np.random.default_rng(1), (8,))],
        more,
    )
    config = CompareConfig(shards, (), (more,), **SMALL | {"models": ("autoencoder",)})
    with pytest.raises(ShardError, match="received the recording v_Archery_g08"):
        compare(config, tmp_path / "out")


def test_the_command_writes_a_page_with_table_pictures_and_advice(shards, tmp_path):
    out = tmp_path / "out"
    arguments = [
        "compare",
        shards,
        "--out",
        str(out),
        "--models",
        "none",
        "--units",
        "4",
        "--draws",
        "1",
        "--trials",
        "1",
    ]
    planned = CliRunner().invoke(videorep_command, [*arguments, "--dry-run"])
    assert planned.exit_code == 0 and not out.exists()
    assert " s on this machine, as busy as it is now" in planned.output
    done = CliRunner().invoke(videorep_command, arguments)
    assert done.exit_code == 0, done.output
    page, result = (out / "report.html").read_text(), json.loads((out / "comparison.json").read_text())
    assert result["advice"] in page and page.count("data:image/png;base64,") == 2
    for name in {row["contender"] for row in result["results"]}:
        assert f"<td>{name}</td>" in page
    for text in (result["advice"], "mean-pooled", "report.html"):
        assert text in done.output


def test_advice_names_a_winner_only_where_chance_does_not_explain_it():
    names = ("mean-pooled", "lstm")
    results = [
        {"contender": n, "videos_per_class": k, "mean": 0.5 + 0.2 * (n == "lstm")} for n in names for k in (1, 0)
    ]
    tests = [
        {"a": "lstm", "b": "mean-pooled", "videos_per_class": k, "difference": 0.2, "p_corrected": p}
        for k, p in ((1, 0.3), (0, 0.01))
    ]
    sentence = advise(results, tests, [1, 0])
    assert "(by labelled videos per class: 1: 50.0%)" in sentence
    assert "use lstm, better than mean-pooled" in sentence and "all: 70.0%, mean-pooled 50.0%" in sentence
