"""Builds that are killed, fail, meet each other or fill the disk: resumed, they end with the same bytes."""

import errno
import json
import multiprocessing
import os
import random
import resource
import time

import pytest
from shard_building import BuildError, build, build_until, folder_bytes, make_outcome, make_recipe
from small_disk import resize, small_disk

from videorep.data.shards import build_folder, manifest
from videorep.data.shards.build import build_dataset
from videorep.data.shards.manifest import load_dataset
from videorep.errors import DataError, OutputError, ShardError


@pytest.fixture(scope="module")
def processes():
    """Child processes that begin with TensorFlow loaded, so that many can be started and killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["videorep.data.shards.build"])
    return context


@pytest.mark.parametrize("workers", [1, 2])
def test_kills_at_ten_random_moments_do_not_change_a_byte(tmp_path, whole_build, processes, workers):
    rng, out, kills = random.Random(workers), tmp_path / "shards", 0
    while kills < 10 and not (out / "dataset.json").exists():
        child = processes.Process(target=build, args=(out,), kwargs={"workers": workers, "pause": 0.03, "resume": True})
        child.start()
        while child.is_alive() and not out.exists():
            time.sleep(0.002)
        child.join(rng.uniform(0, 0.12))
        kills += child.is_alive()
        child.kill()
        child.join()
    assert kills >= 3
    build(out, workers=workers, resume=True)
    assert folder_bytes(out) == folder_bytes(whole_build)


@pytest.mark.parametrize("error", [BuildError, KeyboardInterrupt, DataError])
def test_a_failure_before_the_first_shard_leaves_nothing(tmp_path, error):
    with pytest.raises(error):
        build_until(tmp_path / "out", 1, error)
    assert not (tmp_path / "out").exists()


def test_a_failure_later_keeps_the_finished_shards_and_no_other(tmp_path, whole_build):
    out = tmp_path / "out"
    with pytest.raises(BuildError):
        build_until(out, 7)
    shards = {name for name in folder_bytes(out) if not name.startswith(".build")}
    assert shards == {f"toy-train.tfrecord-{n:05d}-of-00009" for n in range(3)}
    with pytest.raises(ShardError, match="unfinished"):
        load_dataset(out)
    asked = []

    def count(pending):
        asked.extend(task.index for task in pending if task.split == "train")
        return (make_outcome(source) for task in pending for source in task.sources)

    build_dataset(out, make_recipe(), count, resume=True)
    assert asked == list(range(3, 9))
    assert folder_bytes(out) == folder_bytes(whole_build)


def test_resume_starts_afresh_where_nothing_was_begun_and_leaves_a_finished_dataset_alone(tmp_path, whole_build):
    build(tmp_path / "out", resume=True)
    before = (tmp_path / "out" / "dataset.json").stat().st_mtime_ns
    build_until(tmp_path / "out", 0, resume=True)
    assert (tmp_path / "out" / "dataset.json").stat().st_mtime_ns == before
    assert folder_bytes(tmp_path / "out") == folder_bytes(whole_build)


def test_a_shard_that_was_cut_after_its_journal_is_made_again(tmp_path, whole_build):
    out = tmp_path / "out"
    with pytest.raises(BuildError):
        build_until(out, 7)
    os.truncate(out / "toy-train.tfrecord-00001-of-00009", 50)
    build(out, resume=True)
    assert folder_bytes(out) == folder_bytes(whole_build)


def _build_with_little_room(out, limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        build(out, per_shard=6)
    except OutputError:
        os._exit(3)


def test_a_write_that_fails_is_an_output_error_and_leaves_nothing(tmp_path, processes):
    child = processes.Process(target=_build_with_little_room, args=(tmp_path / "out", 10_000))
    child.start()
    child.join()
    assert child.exitcode == 3 and not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", ["64k", "32k", "12k", "8k", "4k"])
def test_a_full_disk_is_told_and_resuming_after_freeing_some_works(tmp_path, whole_build, size):
    with small_disk(tmp_path / "disk", size) as disk:
        with pytest.raises(OutputError, match=r"room .*full disk; free some and go on with --resume"):
            build(disk / "out")
        kept = folder_bytes(disk)
        assert 0 < len([name for name in kept if ".build" not in name]) < 12 or kept == {}
        assert not [name for name in kept if name.endswith(".tmp")]
        resize(disk, "4m")
        build(disk / "out", resume=True)
        assert folder_bytes(disk / "out") == folder_bytes(whole_build)


@pytest.mark.parametrize("part", ["plan.json", "toy-test.tfrecord-00001-of-00003.json", "dataset.json"])
def test_a_disk_that_fills_up_at_a_journal_or_dataset_json_leaves_what_resumes(
    tmp_path, whole_build, monkeypatch, part
):
    write = build_folder.write_text_durably

    def fail(path, text, **choices):
        if path.name.endswith(part):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, text, **choices)

    for module in (build_folder, manifest):
        monkeypatch.setattr(module, "write_text_durably", fail)
    with pytest.raises(OutputError, match=r"room .*full disk; free some and go on with --resume"):
        build(tmp_path / "out")
    assert (tmp_path / "out").exists() == (part != "plan.json")
    monkeypatch.undo()
    build(tmp_path / "out", resume=True)
    assert folder_bytes(tmp_path / "out") == folder_bytes(whole_build)


def _build_or_say_why_not(out, told):
    try:
        build(out, pause=0.02, resume=True)
        told.put("")
    except OutputError as error:
        told.put(str(error))


@pytest.mark.parametrize("count", [2, 5])
def test_of_processes_that_build_at_once_one_writes_and_the_others_say_why_not(tmp_path, whole_build, processes, count):
    told = processes.Queue()
    builds = [processes.Process(target=_build_or_say_why_not, args=(tmp_path / "out", told)) for _ in range(count)]
    for each in builds:
        each.start()
    answers = sorted(told.get(timeout=60) for _ in builds)
    for each in builds:
        each.join()
    assert answers[0] == "" and all("another process is writing there" in answer for answer in filter(None, answers))
    assert len(set(answers)) > 1 and folder_bytes(tmp_path / "out") == folder_bytes(whole_build)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"fingerprint": 1}', "[" * 5000])
def test_a_garbled_plan_or_journal_is_told_or_made_again(tmp_path, whole_build, content):
    with pytest.raises(BuildError):
        build_until(tmp_path / "out", 7)
    hidden = tmp_path / "out" / ".build"
    (hidden / "toy-train.tfrecord-00000-of-00009.json").write_text(content)
    build(tmp_path / "out", resume=True)
    assert folder_bytes(tmp_path / "out") == folder_bytes(whole_build)
    with pytest.raises(BuildError):
        build_until(tmp_path / "other", 7)
    (tmp_path / "other" / ".build" / "plan.json").write_text(content)
    with pytest.raises(ShardError, match="start over with --overwrite"):
        build(tmp_path / "other", resume=True)


def test_a_digit_that_changed_in_a_plan_or_journal_reaches_no_dataset(tmp_path, whole_build):
    with pytest.raises(BuildError):
        build_until(tmp_path / "out", 7)
    journal = tmp_path / "out" / ".build" / "toy-train.tfrecord-00000-of-00009.json"
    content = journal.read_text()
    crc = str(json.loads(content)["shard"]["index"]["crc"][0])
    journal.write_text(content.replace(crc, str(int(crc) ^ 1)))
    build(tmp_path / "out", resume=True)
    assert folder_bytes(tmp_path / "out") == folder_bytes(whole_build)
    with pytest.raises(BuildError):
        build_until(tmp_path / "other", 7)
    plan = tmp_path / "other" / ".build" / "plan.json"
    plan.write_text(plan.read_text().replace('"jump"', '"jumq"'))
    with pytest.raises(ShardError, match="start over with --overwrite"):
        build(tmp_path / "other", resume=True)
