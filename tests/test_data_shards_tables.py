"""A large dataset, whose sources and index lie in tables beside dataset.json, reads as a small one that lists them."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner
from shard_building import BuildError, build, build_until, folder_bytes

from videorep.cli.main import videorep_command
from videorep.config import DataConfig
from videorep.data import write_shards
from videorep.data.batches.several import require_no_leak
from videorep.data.batches.sources import LabelledBlocks, open_source
from videorep.data.shards import manifest
from videorep.data.shards.dataset import MANIFEST
from videorep.data.shards.hashes import checksum, hash_file
from videorep.data.shards.manifest import load_dataset, read_manifest, save_dataset
from videorep.data.shards.manifest_schema import LINES, RECORDS, SOURCES, TABLES, TABLES_VERSION
from videorep.data.shards.read import read_shards
from videorep.data.shards.summary import count_classes, summarize_dataset
from videorep.data.shards.verify import verify_dataset
from videorep.errors import ShardError, VideorepError

KINDS = pytest.mark.parametrize("kind", ["clips", "percepts"])


@pytest.fixture
def both(tmp_path, monkeypatch):
    """Of a kind the folders of the same records, listed and in tables."""

    def make(kind):
        folders = tmp_path / f"listed-{kind}", tmp_path / f"stored-{kind}"
        build(folders[0], kind)
        monkeypatch.setattr(manifest, "MOST_LISTED", 0)
        build(folders[1], kind)
        return folders

    return make


@KINDS
def test_both_forms_say_the_same(both, kind):
    listed, stored = map(load_dataset, both(kind))
    assert stored.schema_version == TABLES_VERSION and "index" not in (stored.folder / MANIFEST).read_text()
    assert list(stored.sources) == list(listed.sources) and len(stored.sources) == len(listed.sources) == 24
    assert [stored.sources[number] for number in (0, 5, 23, -1)] == [listed.sources[n] for n in (0, 5, 23, -1)]
    assert list(stored.flawed()) == list(listed.flawed()) == [s for s in listed.sources if s["reason"]]
    for split in ("train", "test"):
        assert list(stored.written(split)) == list(listed.written(split))
        assert list(listed.written(split)) == [s for s in listed.sources if s["split"] == split and s["records"]]
        assert np.array_equal(stored.index(split), listed.index(split))
        for one, other in zip(stored.shards(split), listed.shards(split), strict=True):
            assert dict(one.index) == other.index
            assert dataclasses.replace(one, index=0) == dataclasses.replace(other, index=0)


def test_the_index_is_what_the_sources_say(both):
    for folder in both("percepts"):
        dataset = load_dataset(folder)
        for split in dataset.splits:
            index = dataset.index(split)
            entries = [dataset.sources[number] for number in index["source"]]
            assert [each["label_index"] for each in entries] == index["label"].tolist()
            assert [each["shard"] for each in entries] == [dataset.shards(split)[n].file for n in index["shard"]]
            paths = list(dict.fromkeys(each["path"] for each in dataset.sources))
            assert [paths[number] for number in index["video"]] == [each["path"] for each in entries]


@KINDS
def test_everything_reads_both_forms_alike(both, kind):
    folders = both(kind)
    for split in ("train", "test") if kind == "percepts" else ():  # those clips hold no images
        records = [list(read_shards(folder, split).as_numpy_iterator()) for folder in folders]
        for one, other in zip(*records, strict=True):
            assert one["path"] == other["path"] and np.array_equal(one["frames"], other["frames"])
    assert count_classes(folders[0]) == count_classes(folders[1])
    ignored = {"folder", "schema_version"}
    facts = [{k: v for k, v in summarize_dataset(folder).items() if k not in ignored} for folder in folders]
    assert facts[0] == facts[1] and facts[1]["left_out"] == {"no frames": 1}
    assert verify_dataset(folders[0]) == verify_dataset(folders[1]) == []


def test_batches_are_the_same(both):
    folders = both("percepts")
    data = [DataConfig(path=str(folder)) for folder in folders]
    streams = [open_source(each, "train", 3).training(4, seed=1).take(5) for each in data]
    for one, other in zip(*streams, strict=True):
        np.testing.assert_array_equal(one["frames"], other["frames"])
    few = [LabelledBlocks(each, "train", 4, 2, seed=3, videos_per_class=2) for each in data]
    assert few[0].video_paths == few[1].video_paths and len(set(few[0].video_paths)) == few[0].videos == 6
    for one, other in zip(few[0].evaluation(8), few[1].evaluation(8), strict=True):
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])


def test_leaks_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "MOST_LISTED", 0)
    names = {"a": ("g01_c01", "g02_c01"), "b": ("g03_c01", "g01_c02"), "c": ("g04_c01", "g05_c01")}
    for folder, (train, test) in names.items():
        records = {
            split: [{"frames": np.ones((4, 3), np.float32), "path": f"v_Wave_{name}.avi"}]
            for split, name in (("train", train), ("test", test))
        }
        write_shards(records, tmp_path / folder)
    require_no_leak([tmp_path / "a", tmp_path / "c"])
    with pytest.raises(ShardError, match=r"the recording v_Wave_g01 in .*g01_c01.*/a, train.* and .*g01_c02.*/b, test"):
        require_no_leak([tmp_path / "a", tmp_path / "b"])


def test_a_build_that_was_interrupted_has_the_same_bytes_and_overwriting_leaves_no_table(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "MOST_LISTED", 0)
    build(tmp_path / "whole")
    with pytest.raises(BuildError):
        build_until(tmp_path / "cut", 15)
    build(tmp_path / "cut", resume=True)
    assert folder_bytes(tmp_path / "cut") == folder_bytes(tmp_path / "whole")
    assert set(TABLES) < folder_bytes(tmp_path / "whole").keys()
    monkeypatch.undo()
    build(tmp_path / "listed")
    build(tmp_path / "whole", overwrite=True)
    assert folder_bytes(tmp_path / "whole") == folder_bytes(tmp_path / "listed")


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("damage", ["gone", "shorter", "another byte", "a link elsewhere", "a folder"])
def test_damaged_tables_are_told_and_restored_ones_are_read(both, tmp_path, name, damage):
    folder = both("percepts")[1]
    path, content = folder / name, (folder / name).read_bytes()
    path.unlink()
    if damage == "shorter":
        path.write_bytes(content[:-1])
    elif damage == "another byte":
        path.write_bytes(content[:-20] + bytes([content[-20] ^ 1]) + content[-19:])
    elif damage == "a link elsewhere":
        (tmp_path / name).write_bytes(content)
        path.symlink_to(tmp_path / name)
    elif damage == "a folder":
        path.mkdir()
    result = CliRunner().invoke(videorep_command, ["verify", str(folder)])
    assert result.exit_code == 1 and isinstance(result.exception, (SystemExit, VideorepError)), result.output
    said = f"{result.output} {result.exception}"
    assert name in said and "restore" in said
    path.rmdir() if damage == "a folder" else path.unlink(missing_ok=True)
    path.write_bytes(content)
    assert verify_dataset(folder) == []


WRONG = {
    RECORDS: [
        ("offset", 0, 1),
        ("offset", 1, -5),
        ("offset", 1, 2**62),
        ("size", 2, 7),
        ("size", 0, -16),
        ("size", -1, 2**31 - 1),
        ("frames", 3, 0),
        ("frames", 2, 2**31 - 1),
        ("label", 0, 3),
        ("label", 0, -2),
        ("frame_rate", 0, np.nan),
        ("frame_rate", 0, -1.0),
        ("payload", 0, 3),
        ("payload", 0, 2**40),
    ],
    SOURCES: [
        ("end", 0, 0),
        ("end", 3, 2**50),
        ("end", -1, 10**6),
        ("video", 2, -1),
        ("video", 2, 24),
        ("records", 0, 2),
        ("records", 0, -1),
        ("shard", 0, 99),
        ("shard", 0, 5),
        ("shard", 0, -1),
        ("shard", 5, 0),
    ],
}


@pytest.mark.parametrize(("name", "change"), [(name, each) for name, changes in WRONG.items() for each in changes])
def test_tables_that_say_what_cannot_be_are_refused(both, name, change):
    folder = both("percepts")[1]
    table, (column, row, value) = np.load(folder / name), change
    table[column][row] = value
    np.save(folder / name, table)
    sign(folder, name)
    with pytest.raises(ShardError, match=r"expected .* received .*dataset\.json"):
        load_dataset(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (SOURCES, np.zeros(24, np.int64)),
        (SOURCES, np.zeros(24, object)),
        (RECORDS, np.zeros(3)),
        (RECORDS, b"no table"),
        (RECORDS, b""),
    ],
)
def test_other_tables_are_refused(both, name, content):
    folder = both("percepts")[1]
    if isinstance(content, bytes):
        (folder / name).write_bytes(content)
    else:
        np.save(folder / name, content)
    sign(folder, name)
    with pytest.raises(ShardError, match=f"expected .*{name}.*, received another"):
        load_dataset(folder)


@pytest.mark.parametrize("line", [b"{}", b"nothing", b"[" * 100, b'{"path": 3}', b"\xff"])
def test_lines_that_are_no_sources_are_refused(both, line):
    folder = both("percepts")[1]
    lines = (folder / LINES).read_bytes().splitlines(keepends=True)
    lines[2] = line.ljust(len(lines[2]) - 1) + b"\n"
    (folder / LINES).write_bytes(b"".join(lines))
    sign(folder, LINES)
    dataset = load_dataset(folder)
    for read in (lambda: list(dataset.sources), lambda: dataset.sources[2]):
        with pytest.raises(ShardError, match=r"expected line 3 of .* received another"):
            read()
    assert dataset.sources[1]["records"] == 1


def test_tables_that_went_while_they_were_read_are_told(both):
    folder = both("percepts")[1]
    dataset = load_dataset(folder)
    for name in TABLES:
        (folder / name).unlink()
    for read in (
        lambda: list(dataset.sources),
        lambda: dataset.sources[2],
        lambda: dataset.index("train"),
        lambda: dataset.shards("test")[0].index["crc"],
    ):
        with pytest.raises(ShardError, match=r"expected a readable .* restore it"):
            read()


def sign(folder, name):
    """Has dataset.json say that a table is as it was written."""
    plain = json.loads((folder / MANIFEST).read_text())
    del plain["checksum"]
    plain["sources"]["files"][name] = {
        "bytes": (folder / name).stat().st_size,
        "sha256": hash_file(folder / name),
    }
    (folder / MANIFEST).write_text(json.dumps(plain | {"checksum": checksum(plain)}))


def test_only_large_datasets_have_tables(tmp_path, monkeypatch):
    listed = build(tmp_path / "listed")
    monkeypatch.setattr(manifest, "MOST_LISTED", 24)
    save_dataset(listed)
    assert not set(TABLES) & folder_bytes(tmp_path / "listed").keys() and read_manifest(tmp_path / "listed")[1]
    monkeypatch.setattr(manifest, "MOST_LISTED", 23)
    save_dataset(listed)
    assert set(TABLES) < folder_bytes(tmp_path / "listed").keys() and read_manifest(tmp_path / "listed")[1]
    assert list(load_dataset(tmp_path / "listed").sources) == list(listed.sources)
