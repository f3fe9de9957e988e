"""The folder that a build writes into: what is refused, who writes there, what --overwrite may remove."""

import json
import os

import pytest
from shard_building import BuildError, build, build_until, folder_bytes

from videorep.data.shards import build_folder
from videorep.data.shards.manifest import load_dataset
from videorep.errors import ConfigError, OutputError, ShardError
from videorep.locking import exclusive


def test_resuming_with_another_plan_is_refused(tmp_path):
    with pytest.raises(BuildError):
        build_until(tmp_path / "out", 7)
    with pytest.raises(ShardError, match="--overwrite"):
        build(tmp_path / "out", per_shard=3, resume=True)
    build(tmp_path / "out", per_shard=3, overwrite=True)
    assert len(load_dataset(tmp_path / "out").shards("train")) == 6
    with pytest.raises(ShardError, match="--overwrite"):
        build(tmp_path / "out", resume=True)


def test_nothing_is_overwritten_unasked(tmp_path, whole_build):
    build(tmp_path / "out", per_shard=3)
    before = folder_bytes(tmp_path / "out")
    with pytest.raises(OutputError, match=r"--resume .*--overwrite"):
        build(tmp_path / "out")
    with pytest.raises(ConfigError, match="both"):
        build(tmp_path / "out", resume=True, overwrite=True)
    assert folder_bytes(tmp_path / "out") == before
    (tmp_path / "out" / "notes.txt").write_text("mine")
    build(tmp_path / "out", overwrite=True)
    assert folder_bytes(tmp_path / "out") == folder_bytes(whole_build) | {"notes.txt": b"mine"}


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


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_a_build_where_another_process_writes_is_refused_and_changes_nothing(tmp_path, options):
    out = tmp_path / "out"
    with pytest.raises(BuildError):
        build_until(out, 7)
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


def test_overwrite_removes_the_shards_that_are_named_and_no_other(tmp_path, whole_build):
    out = tmp_path / "out"
    build(out, per_shard=3)
    mine = {"toy-train.tfrecord-00000-of-00099": b"mine", "other-train.tfrecord-00000-of-00001": b"mine", "a.txt": b"a"}
    for name, content in mine.items():
        (out / name).write_bytes(content)
    build(out, overwrite=True)
    assert folder_bytes(out) == folder_bytes(whole_build) | mine


def test_overwrite_of_an_unfinished_build_removes_its_shards(tmp_path, whole_build):
    with pytest.raises(BuildError):
        build_until(tmp_path / "out", 7)
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
