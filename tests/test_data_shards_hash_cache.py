"""What was hashed once is known again: in the process, in the cache, and never where the file may have changed."""

import json
import os
import time

import pytest
from shard_building import build

from videorep.data.shards import hash_cache
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.verify import require_sound, verify_dataset
from videorep.errors import ShardError


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(hash_cache, "_known", {})
    return tmp_path / "cache"


@pytest.fixture
def hashed(monkeypatch):
    """The names of the files that were hashed since."""
    names, real = [], hash_cache.hash_file
    monkeypatch.setattr(hash_cache, "hash_file", lambda path: names.append(path.name) or real(path))
    return names


@pytest.fixture
def old(tmp_path, cache, monkeypatch):
    """Shards that lie there for a while already."""
    dataset = build(tmp_path / "shards", "percepts", per_shard=8)
    later = time.time_ns() + 10 * hash_cache.FRESH
    monkeypatch.setattr(time, "time_ns", lambda: later)
    return dataset


def forget_the_process():
    hash_cache._known.clear()


def test_a_file_is_hashed_once_in_a_process_and_once_in_all_processes(old, hashed):
    require_sound(old, "train")
    count = len(old.paths("train"))
    assert len(hashed) == count
    require_sound(old, "train")
    forget_the_process()
    require_sound(old, "train")
    assert len(hashed) == count
    require_sound(old, "test")
    assert len(hashed) == count + len(old.paths("test"))


def test_a_changed_file_is_hashed_again_though_size_and_time_of_modification_are_as_before(old, hashed):
    path = old.paths("train")[0]
    require_sound(old, "train")
    status, content = path.stat(), bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    for _ in range(2):
        with pytest.raises(ShardError, match=path.name):
            require_sound(old, "train")
        forget_the_process()
    assert hashed.count(path.name) == 3


def test_a_file_that_changed_just_before_it_was_hashed_is_not_trusted(tmp_path, cache, hashed):
    dataset = build(tmp_path / "shards", "percepts", per_shard=8)
    require_sound(dataset, "train")
    require_sound(dataset, "train")
    assert len(hashed) == 2 * len(dataset.paths("train"))
    assert not any(entry for file in cache.rglob("*.json") for entry in json.loads(file.read_text())["files"])


def test_verify_reads_every_byte_whatever_is_known(old):
    require_sound(old, "train")
    path = old.paths("train")[0]
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    status = os.stat(path)
    hash_cache._known[str(path)] = [
        hash_cache.identify(status),
        status.st_ctime_ns,
        old.shards("train")[0].sha256,
        True,
    ]
    require_sound(old, "train")  # what the cache says is believed
    assert verify_dataset(old.folder)[0].startswith(path.name)


DAMAGES = [b"", b"{", b"[]", b"\xff", b"[" * 5000, b'{"version": 1, "folder": 3, "files": []}']


@pytest.mark.parametrize("damage", DAMAGES, ids=range(len(DAMAGES)))
def test_a_damaged_cache_is_as_none(old, cache, hashed, damage):
    require_sound(old, "train")
    (file,) = cache.rglob("*.json")
    file.write_bytes(damage)
    forget_the_process()
    require_sound(old, "train")
    assert len(hashed) == 2 * len(old.paths("train"))
    assert json.loads(file.read_text())["folder"] == str(old.folder)


@pytest.mark.parametrize("entry", [None, [], [1, 2, 3, 4], [["a"] * 4, 1, "", True], [[1, 2, 3, 4], 1, 5, True]])
def test_entries_of_another_form_are_left_out(old, cache, hashed, entry):
    require_sound(old, "train")
    (file,) = cache.rglob("*.json")
    plain = json.loads(file.read_text())
    file.write_text(json.dumps(plain | {"files": dict.fromkeys(plain["files"], entry)}))
    forget_the_process()
    require_sound(old, "train")
    assert len(hashed) == 2 * len(old.paths("train"))


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(old, hashed, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    require_sound(old, "train")
    forget_the_process()
    require_sound(old, "train")
    assert len(hashed) == 2 * len(old.paths("train"))


def test_a_second_writer_of_the_cache_keeps_what_the_first_wrote(old, cache):
    require_sound(old, "train")
    forget_the_process()
    require_sound(old, "test")
    (file,) = cache.rglob("*.json")
    assert len(json.loads(file.read_text())["files"]) == len(old.paths("train")) + len(old.paths("test"))
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_dry_run_hashes_nothing_and_still_looks_for_every_file(old, hashed):
    require_sound(old, "train", hashed=False)
    assert not hashed
    os.truncate(old.paths("train")[0], 10)
    with pytest.raises(ShardError, match="bytes"):
        require_sound(load_dataset(old.folder), "train", hashed=False)
