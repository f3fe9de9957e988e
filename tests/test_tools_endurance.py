"""tools/endurance: its judgements on made-up cases, and a small slice of each of its modes."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from endurance_contents import compare, describe, find_broken_versions
from endurance_jobs import JOBS, Workspace, end_stragglers
from endurance_soak import SOAKS, Sample, judge, soak
from endurance_trials import FULL, contend, disk_full, draw_pages, find_faults_of_error, kill


def write_run(folder, metrics, extra=()):
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "metrics.jsonl").write_text("".join(line + "\n" for line in metrics))
    for name in extra:
        (folder / name).write_text("")
    return describe(folder)


def test_seconds_may_differ_and_nothing_else_may(tmp_path):
    reference = write_run(tmp_path / "reference", ['{"step": 1, "loss": 0.5, "seconds": 1.0}'])
    later = write_run(tmp_path / "later", ['{"step": 1, "loss": 0.5, "seconds": 9.0}'])
    doubled = write_run(tmp_path / "doubled", ['{"step": 1, "loss": 0.5, "seconds": 1.0}'] * 2, [".config.json.tmp"])
    assert compare(later, reference) == []
    assert compare(doubled, reference) == [".config.json.tmp was left over", "metrics.jsonl differs"]
    assert compare({}, reference) == ["config.json is missing", "metrics.jsonl is missing"]


def test_a_version_that_lacks_a_file_or_cannot_be_loaded_is_a_fault(tmp_path):
    pytest.importorskip("tensorflow_serving", reason="tensorflow-serving-api, which reads warm-ups, is not installed")
    for name in ("reference/1", "out/1", "out/2", "out/unfinished-3"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "reference/1/saved_model.pb").write_bytes(b"model")
    (tmp_path / "out/2/saved_model.pb").write_bytes(b"model")
    assert find_broken_versions(tmp_path / "out", tmp_path / "reference") == [
        "version 1 lacks saved_model.pb",
        "version 2 cannot be loaded or answers otherwise",
    ]


def test_an_error_is_one_sentence_that_says_what_is_wanted():
    good = "Building shards: 3 videos\nError: expected room for the shards, received a full disk; free some\n"
    assert find_faults_of_error(1, good, FULL) == []
    assert find_faults_of_error(0, good, FULL) == ["exit status 0"]
    assert find_faults_of_error(1, good + "[[node Save]]\n", FULL)
    assert find_faults_of_error(1, "Error: expected a folder; choose another\n", FULL)
    assert find_faults_of_error(1, "Traceback\n" + good, FULL) == ["its message holds 'Traceback'"]
    assert find_faults_of_error(1, "", FULL) == ["its message is: nothing"]


def test_what_grows_between_the_second_and_the_last_quarter_is_a_fault():
    def run(memory=0.0, threads=0, files=0):
        return [Sample(n / 60, 900 + memory * n, 20 + threads * n // 50, 30 + files * n // 50) for n in range(100)]

    assert judge(run())[1] == []
    assert judge(run(memory=-1))[1] == []
    assert judge(run(memory=0.3))[1] == []
    assert judge(run(memory=0.5))[1] == ["memory (MiB) grew from 918 to 944"]
    assert judge(run(threads=1, files=1))[1] == ["threads grew from 20 to 21", "open files grew from 30 to 31"]
    assert judge(run()[:3])[1] == ["only 3 samples"]


def test_disks_are_smaller_than_what_is_needed():
    drawn = {draw_pages(50, np.random.default_rng(seed)) for seed in range(300)}
    assert drawn <= set(range(50)) and {0, 1, 2, 3} < drawn and max(drawn) > 40


def test_nothing_of_a_session_that_ended_is_left():
    assert end_stragglers(2**22 - 1, patience=0) == 0


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return Workspace(tmp_path_factory.mktemp("endurance") / "workspace")


@pytest.mark.slow
def test_a_killed_build_goes_on_to_the_same_bytes(workspace):
    words, faults = kill(workspace, JOBS["clips"], np.random.default_rng(2))
    assert words.startswith("killed ") and faults == []


@pytest.mark.slow
def test_two_builds_at_once_are_one(workspace):
    words, faults = contend(workspace, JOBS["clips"], 2, (), np.random.default_rng(0))
    assert words == "2 processes: 1 did it, 1 said why not" and faults == []


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_build_says_that_its_disk_is_full_and_goes_on(workspace):
    assert disk_full(workspace, JOBS["clips"], np.random.default_rng(0))[1] == []


@pytest.mark.slow
def test_a_short_soak_is_measured_and_drawn(workspace):
    results = soak(workspace, 0.05, [job for job in SOAKS if job.kind == "film" or "{clips}" in job.command])
    assert set(results) == {"soak-patches", "soak-watch.mp4"}
    assert all(figures for figures, _ in results.values())
    assert not [fault for _, faults in results.values() for fault in faults if "exit status" in fault]
    assert (workspace.folder / "soak.csv").read_text().startswith("job,minutes,memory_mib,threads,files\n")
    assert (workspace.folder / "soak.png").stat().st_size > 0
