"""Builds of shards: what they leave, whatever interrupts them."""

import errno
import json
import multiprocessing
import os
import random
import resource
import struct
import subprocess
import time

import numpy as np
import pytest
import tensorflow as tf
from shard_building import LABELS, LEFT_OUT, build, folder_bytes, make_outcome, make_recipe, make_sources

from videorep.data.shards import build_folder, manifest
from videorep.data.shards.build import build_dataset
from videorep.data.shards.hashes import checksum
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.plan import Outcome, Recipe, Source
from videorep.data.shards.records import Clip
from videorep.errors import ConfigError, DataError, OutputError, ShardError
from videorep.locking import exclusive


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted build."""
    folder = tmp_path_factory.mktemp("whole") / "shards"
    build(folder)
    return folder


@pytest.fixture(scope="module")
def processes():
    """Child processes that begin with TensorFlow loaded, so that many can be started and killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["videorep.data.shards.build"])
    return context


def walk(path):
    """The data of every record of a TFRecord file, by its framing alone: [(offset, data, stored CRC)]."""
    content, records, offset = path.read_bytes(), [], 0
    while offset < len(content):
        (length,) = struct.unpack_from("<Q", content, offset)
        data = content[offset + 12 : offset + 12 + length]
        records.append((offset, data, struct.unpack_from("<I", content, offset + 12 + length)[0]))
        offset += 16 + length
    return records


# ---- what a build leaves


def test_a_build_leaves_shards_with_their_names_and_dataset_json(whole):
    expected = {f"toy-train.tfrecord-{n:05d}-of-00009" for n in range(9)}
    expected |= {f"toy-test.tfrecord-{n:05d}-of-00003" for n in range(3)}
    assert set(folder_bytes(whole)) == expected | {"dataset.json"}


def test_dataset_json_counts_hashes_and_locates_every_record(whole):
    manifest = json.loads((whole / "dataset.json").read_text())
    assert manifest["schema_version"] == 1 and manifest["kind"] == "clips" and manifest["labels"] == LABELS
    assert (manifest["height"], manifest["width"], manifest["channels"], manifest["frame_rate"]) == (24, 32, 3, 25.0)
    for shards in manifest["splits"].values():
        for shard in shards:
            path = whole / shard["file"]
            records = walk(path)
            digest = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]
            assert (shard["records"], shard["bytes"], shard["sha256"]) == (len(records), path.stat().st_size, digest)
            assert shard["index"]["offset"] == [offset for offset, _, _ in records]
            assert shard["index"]["crc"] == [crc for _, _, crc in records]
            for (_, data, _), frames, label in zip(
                records, shard["index"]["frames"], shard["index"]["label"], strict=True
            ):
                example = tf.train.SequenceExample.FromString(data)
                assert len(example.feature_lists.feature_list["image/encoded"].feature) == frames
                assert example.context.feature["clip/label/index"].int64_list.value[0] == label


def test_every_source_is_written_or_left_out_with_its_reason(whole):
    sources = json.loads((whole / "dataset.json").read_text())["sources"]
    assert sorted(source["path"] for source in sources) == sorted(source.path for source in make_sources())
    left_out = [source for source in sources if source["status"] == "left out"]
    assert [(source["path"], source["reason"]) for source in left_out] == [(f"video {LEFT_OUT:02d}.avi", "no frames")]
    assert all(source["records"] == 1 and len(source["sha256"]) == 64 for source in sources if source not in left_out)


def test_records_keep_the_order_of_the_plan(whole):
    for split in ("train", "test"):
        expected = [s.path for s in make_sources() if s.split == split and s.path != f"video {LEFT_OUT:02d}.avi"]
        files = [str(path) for path in load_dataset(whole).paths(split)]
        parsed = [tf.train.SequenceExample.FromString(r.numpy()) for r in tf.data.TFRecordDataset(files)]
        assert [p.context.feature["clip/data_path"].bytes_list.value[0].decode() for p in parsed] == expected
        index = load_dataset(whole).index(split)
        assert [load_dataset(whole).sources[number]["path"] for number in index["source"]] == expected
        assert [len(p.feature_lists.feature_list["image/encoded"].feature) for p in parsed] == index["frames"].tolist()


def test_percept_payloads_lie_where_the_index_says(tmp_path):
    dataset = build(tmp_path / "p", "percepts")
    assert (dataset.features, dataset.dtype, dataset.compression) == (6, "float16", "")
    for split in dataset.splits:
        expected = [make_outcome(s, "percepts") for s in make_sources() if s.split == split]
        arrays = [outcome.records[0].array for outcome in expected if outcome.records]
        for row, array in zip(dataset.index(split), arrays, strict=True):
            content = dataset.paths(split)[row["shard"]].read_bytes()
            assert content[row["payload"] : row["payload"] + array.nbytes] == array.tobytes()


def test_statistics_are_those_of_the_training_frames(tmp_path):
    dataset = build(tmp_path / "p", "percepts")
    outcomes = [make_outcome(s, "percepts") for s in make_sources() if s.split == "train"]
    frames = np.concatenate([o.records[0].array for o in outcomes if o.records]).astype(np.float64)
    statistics = dataset.statistics
    assert statistics["split"] == "train" and statistics["frames"] == len(frames)
    np.testing.assert_allclose(statistics["mean"], frames.mean(0), rtol=1e-6)
    np.testing.assert_allclose(statistics["deviation"], frames.std(0), rtol=1e-6)
    np.testing.assert_allclose(statistics["zeros"], (frames == 0).mean(0), rtol=1e-6)


# ---- interruptions


@pytest.mark.parametrize(("kind", "workers"), [("clips", 3), ("percepts", 2)])
def test_the_number_of_workers_does_not_change_a_byte(tmp_path, kind, workers):
    build(tmp_path / "one", kind)
    build(tmp_path / "many", kind, workers=workers, pause=0.001)
    assert folder_bytes(tmp_path / "one") == folder_bytes(tmp_path / "many")


@pytest.mark.parametrize("workers", [1, 2])
def test_kills_at_ten_random_moments_do_not_change_a_byte(tmp_path, whole, processes, workers):
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
    assert folder_bytes(out) == folder_bytes(whole)


class _BuildError(Exception):
    """What a test's process raises in the middle of a build."""


def _build_until(out, stop_after, error=_BuildError, **options):
    """Builds until `stop_after` sources are done, then raises."""

    def process(pending):
        sources = [source for task in pending for source in task.sources]
        for number, source in enumerate(sources):
            if number == stop_after:
                raise error("stopped")
            yield make_outcome(source)

    return build_dataset(out, make_recipe(), process, **options)


@pytest.mark.parametrize("error", [_BuildError, KeyboardInterrupt, DataError])
def test_a_failure_before_the_first_shard_leaves_nothing(tmp_path, error):
    with pytest.raises(error):
        _build_until(tmp_path / "out", 1, error)
    assert not (tmp_path / "out").exists()


def test_a_failure_later_keeps_the_finished_shards_and_no_other(tmp_path, whole):
    out = tmp_path / "out"
    with pytest.raises(_BuildError):
        _build_until(out, 7)
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
    assert folder_bytes(out) == folder_bytes(whole)


def test_resume_starts_afresh_where_nothing_was_begun_and_leaves_a_finished_dataset_alone(tmp_path, whole):
    build(tmp_path / "out", resume=True)
    before = (tmp_path / "out" / "dataset.json").stat().st_mtime_ns
    _build_until(tmp_path / "out", 0, resume=True)
    assert (tmp_path / "out" / "dataset.json").stat().st_mtime_ns == before
    assert folder_bytes(tmp_path / "out") == folder_bytes(whole)


def test_a_shard_that_was_cut_after_its_journal_is_made_again(tmp_path, whole):
    out = tmp_path / "out"
    with pytest.raises(_BuildError):
        _build_until(out, 7)
    os.truncate(out / "toy-train.tfrecord-00001-of-00009", 50)
    build(out, resume=True)
    assert folder_bytes(out) == folder_bytes(whole)


def test_resuming_with_another_plan_is_refused(tmp_path):
    with pytest.raises(_BuildError):
        _build_until(tmp_path / "out", 7)
    with pytest.raises(ShardError, match="--overwrite"):
        build(tmp_path / "out", per_shard=3, resume=True)
    build(tmp_path / "out", per_shard=3, overwrite=True)
    assert len(load_dataset(tmp_path / "out").shards("train")) == 6
    with pytest.raises(ShardError, match="--overwrite"):
        build(tmp_path / "out", resume=True)


def test_nothing_is_overwritten_unasked(tmp_path, whole):
    build(tmp_path / "out", per_shard=3)
    before = folder_bytes(tmp_path / "out")
    with pytest.raises(OutputError, match=r"--resume .*--overwrite"):
        build(tmp_path / "out")
    with pytest.raises(ConfigError, match="both"):
        build(tmp_path / "out", resume=True, overwrite=True)
    assert folder_bytes(tmp_path / "out") == before
    (tmp_path / "out" / "notes.txt").write_text("mine")
    build(tmp_path / "out", overwrite=True)
    assert folder_bytes(tmp_path / "out") == folder_bytes(whole) | {"notes.txt": b"mine"}


def test_a_folder_of_other_files_is_refused_even_with_overwrite(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(OutputError, match="other files"):
            build(tmp_path, **options)
    assert folder_bytes(tmp_path) == {"notes.txt": b"mine"}


def test_an_output_that_cannot_be_made_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="expected"):
        build(tmp_path / "file" / "out")
    with pytest.raises(OutputError, match="expected"):
        build(tmp_path / "file")


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


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own; `resize` changes its size."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def resize(disk, size):
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


@pytest.mark.parametrize("size", ["64k", "32k", "12k", "8k", "4k"])
def test_a_full_disk_is_told_and_resuming_after_freeing_some_works(disk, whole, size):
    resize(disk, size)
    with pytest.raises(OutputError, match=r"room .*full disk; free some and go on with --resume"):
        build(disk / "out")
    kept = folder_bytes(disk)
    assert 0 < len([name for name in kept if ".build" not in name]) < 12 or kept == {}
    assert not [name for name in kept if name.endswith(".tmp")]
    resize(disk, "4m")
    build(disk / "out", resume=True)
    assert folder_bytes(disk / "out") == folder_bytes(whole)


@pytest.mark.parametrize("part", ["plan.json", "toy-test.tfrecord-00001-of-00003.json", "dataset.json"])
def test_a_disk_that_fills_up_at_a_journal_or_dataset_json_leaves_what_resumes(tmp_path, whole, monkeypatch, part):
    write = build_folder.write_text_durably

    def fail(path, text):
        if path.name == part:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, text)

    for module in (build_folder, manifest):
        monkeypatch.setattr(module, "write_text_durably", fail)
    with pytest.raises(OutputError, match=r"room .*full disk; free some and go on with --resume"):
        build(tmp_path / "out")
    assert (tmp_path / "out").exists() == (part != "plan.json")
    monkeypatch.undo()
    build(tmp_path / "out", resume=True)
    assert folder_bytes(tmp_path / "out") == folder_bytes(whole)


# ---- several processes


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_a_build_where_another_process_writes_is_refused_and_changes_nothing(tmp_path, options):
    out = tmp_path / "out"
    with pytest.raises(_BuildError):
        _build_until(out, 7)
    before = folder_bytes(out)
    with exclusive(out), pytest.raises(OutputError, match=rf"another process is writing there \(pid {os.getpid()}\)"):
        build(out, **options)
    assert folder_bytes(out) == before


def test_a_dry_run_neither_waits_for_a_build_nor_disturbs_it(tmp_path):
    build(tmp_path / "out")
    (tmp_path / "out" / ".build").mkdir()
    with exclusive(tmp_path / "out"):
        assert build_folder.require_free(tmp_path / "out", resume=True, overwrite=False, dry_run=True)
    opened = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_folder, "exclusive", opened.append)
        build_folder.require_free(tmp_path / "out", resume=True, overwrite=False, dry_run=True)
    assert opened == []


def _build_or_say_why_not(out, told):
    try:
        build(out, pause=0.02, resume=True)
        told.put("")
    except OutputError as error:
        told.put(str(error))


@pytest.mark.parametrize("count", [2, 5])
def test_of_processes_that_build_at_once_one_writes_and_the_others_say_why_not(tmp_path, whole, processes, count):
    told = processes.Queue()
    builds = [processes.Process(target=_build_or_say_why_not, args=(tmp_path / "out", told)) for _ in range(count)]
    for each in builds:
        each.start()
    answers = sorted(told.get(timeout=60) for _ in builds)
    for each in builds:
        each.join()
    assert answers[0] == "" and all("another process is writing there" in answer for answer in filter(None, answers))
    assert len(set(answers)) > 1 and folder_bytes(tmp_path / "out") == folder_bytes(whole)


# ---- what --overwrite may remove


def test_overwrite_removes_the_shards_that_are_named_and_no_other(tmp_path, whole):
    out = tmp_path / "out"
    build(out, per_shard=3)
    mine = {"toy-train.tfrecord-00000-of-00099": b"mine", "other-train.tfrecord-00000-of-00001": b"mine", "a.txt": b"a"}
    for name, content in mine.items():
        (out / name).write_bytes(content)
    build(out, overwrite=True)
    assert folder_bytes(out) == folder_bytes(whole) | mine


def test_overwrite_of_an_unfinished_build_removes_its_shards(tmp_path, whole):
    with pytest.raises(_BuildError):
        _build_until(tmp_path / "out", 7)
    journals = (tmp_path / "out" / ".build").glob("*.json")
    for journal in [path for path in journals if path.name != "plan.json"]:
        journal.unlink()  # as after a kill between a shard and its journal
    build(tmp_path / "out", per_shard=12, overwrite=True)
    assert len(folder_bytes(tmp_path / "out")) == 4


def test_overwrite_removes_no_file_elsewhere_that_dataset_json_names(tmp_path):
    victim = tmp_path / "victim-train.tfrecord-00000-of-00001"
    victim.write_bytes(b"mine")
    build(tmp_path / "out")
    path = tmp_path / "out" / "dataset.json"
    first = json.loads(path.read_text())["splits"]["train"][0]["file"]
    path.write_text(path.read_text().replace(first, f"../{victim.name}"))
    dataset = build(tmp_path / "out", per_shard=3, overwrite=True)
    assert victim.read_bytes() == b"mine" and len(folder_bytes(tmp_path / "out")) == 9 and dataset.shards("test")


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"fingerprint": 1}', "[" * 5000])
def test_a_garbled_plan_or_journal_is_told_or_made_again(tmp_path, whole, content):
    with pytest.raises(_BuildError):
        _build_until(tmp_path / "out", 7)
    hidden = tmp_path / "out" / ".build"
    (hidden / "toy-train.tfrecord-00000-of-00009.json").write_text(content)
    build(tmp_path / "out", resume=True)
    assert folder_bytes(tmp_path / "out") == folder_bytes(whole)
    with pytest.raises(_BuildError):
        _build_until(tmp_path / "other", 7)
    (tmp_path / "other" / ".build" / "plan.json").write_text(content)
    with pytest.raises(ShardError, match="start over with --overwrite"):
        build(tmp_path / "other", resume=True)


def test_a_digit_that_changed_in_a_plan_or_journal_reaches_no_dataset(tmp_path, whole):
    with pytest.raises(_BuildError):
        _build_until(tmp_path / "out", 7)
    journal = tmp_path / "out" / ".build" / "toy-train.tfrecord-00000-of-00009.json"
    content = journal.read_text()
    crc = str(json.loads(content)["shard"]["index"]["crc"][0])
    journal.write_text(content.replace(crc, str(int(crc) ^ 1)))
    build(tmp_path / "out", resume=True)
    assert folder_bytes(tmp_path / "out") == folder_bytes(whole)
    with pytest.raises(_BuildError):
        _build_until(tmp_path / "other", 7)
    plan = tmp_path / "other" / ".build" / "plan.json"
    plan.write_text(plan.read_text().replace('"jump"', '"jumq"'))
    with pytest.raises(ShardError, match="start over with --overwrite"):
        build(tmp_path / "other", resume=True)


# ---- what does not fit together


def test_check_sees_finished_sources_before_and_all_at_the_end(tmp_path):
    seen = []
    with pytest.raises(_BuildError):
        _build_until(tmp_path / "out", 7, check=lambda entries: seen.append(len(entries)))
    build(tmp_path / "out", resume=True, check=lambda entries: seen.append(len(entries)))
    assert seen == [6, 24]


def test_sources_that_yield_nothing_at_all_are_a_data_error(tmp_path):
    def process(pending):
        return (Outcome(source, [], "no frames") for task in pending for source in task.sources)

    with pytest.raises(DataError, match="no frames"):
        build_dataset(tmp_path / "out", make_recipe(), process)
    assert not (tmp_path / "out").exists()
    with pytest.raises(DataError, match="at least one"):
        build_dataset(tmp_path / "out", Recipe("toy", "clips", {}), process)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_outside_the_labels_is_refused(tmp_path, label):
    source = Source("a", "train", label)
    clip = Clip([b"\xff\xd8"], [0], 1, 1, 25.0, "a", label, "x")
    with pytest.raises(ShardError, match="label index below 3"):
        recipe = Recipe("toy", "clips", {"train": [[source]]}, LABELS)
        build_dataset(tmp_path / "out", recipe, lambda _: [Outcome(source, [clip])])


@pytest.mark.parametrize("edit", ["label", "hash", "version", "json", "key", "spaces"])
def test_an_edited_dataset_json_is_refused(tmp_path, edit):
    build(tmp_path / "out")
    path = tmp_path / "out" / "dataset.json"
    text = path.read_text()
    values = json.loads(text)
    if edit == "label":
        path.write_text(text.replace('"wave"', '"swim"'))
    elif edit == "hash":
        path.write_text(text.replace(values["splits"]["test"][0]["sha256"], "0" * 64))
    elif edit == "version":
        del values["checksum"]
        values["schema_version"] = 2
        path.write_text(json.dumps(values | {"checksum": checksum(values)}))
    elif edit == "json":
        path.write_text(text[:-40])
    elif edit == "key":
        del values["splits"], values["checksum"]
        path.write_text(json.dumps(values | {"checksum": checksum(values)}))
    else:
        path.write_text(json.dumps(values, indent=7))
        assert load_dataset(tmp_path / "out").labels == tuple(LABELS)
        return
    match = {"version": "newer videorep", "label": "edited", "hash": "edited"}.get(edit, "restore|rebuild")
    with pytest.raises(ShardError, match=match):
        load_dataset(tmp_path / "out")


@pytest.mark.parametrize("choice", ["resume", "overwrite"])
def test_a_build_folder_that_is_a_link_is_refused(tmp_path, choice):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "note.txt").write_text("of somebody else")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".build").symlink_to(elsewhere)
    with pytest.raises(OutputError, match="symbolic link"):
        build(tmp_path / "out", **{choice: True})
    assert [path.name for path in elsewhere.iterdir()] == ["note.txt"]
