"""dataset.json from anybody: whatever it says, it is refused as a ShardError or means what it says."""

import copy
import json
import math
import os
import shutil
import time
from pathlib import Path

import pytest
from shard_building import LABELS, build

from videorep.data.shards.guards import require_files
from videorep.data.shards.hashes import checksum
from videorep.data.shards.json_types import MismatchError
from videorep.data.shards.manifest import load_dataset, to_plain
from videorep.data.shards.manifest_schema import require_schema
from videorep.errors import ShardError

GOLDEN = Path(__file__).resolve().parents[1] / "tfrecords" / "golden"
DEEP = []
for _ in range(200):
    DEEP = [DEEP]
VALUES = [None, True, False, "", "text", "../../etc/passwd", [], {}, [None], {"a": 1}, 0, -1, 1, 2**62, 2**70, 10**300]
VALUES += [-(2**70), 0.5, 1e300, math.nan, math.inf, -math.inf, DEEP, [0] * 1000]


def places(value, path=()):
    """The path of every value inside, lists' first and last entries."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list) and value:
        for position in {0, len(value) - 1}:
            yield from places(value[position], (*path, position))


def changed(plain, path, change):
    """A copy in which `change(parent, key)` was done at a path."""
    plain = copy.deepcopy(plain)
    parent = plain
    for key in path[:-1]:
        parent = parent[key]
    change(parent, path[-1])
    return plain


def put(value):
    def change(parent, key):
        parent[key] = value

    return change


def lengthened(parent, key):
    parent[key] = parent[key] * 2


def cut(parent, key):
    parent[key] = parent[key][:-1]


def remove(parent, key):
    del parent[key]


def renamed(parent, key):
    parent["other"] = parent.pop(key)


def mutations(plain):
    for path in list(places(plain))[1:]:
        value = plain
        for key in path:
            value = value[key]
        yield path, "removed", changed(plain, path, remove)
        if isinstance(path[-1], str):
            yield path, "renamed", changed(plain, path, renamed)
        if isinstance(value, (list, str)):
            yield path, "twice", changed(plain, path, lengthened)
            yield path, "cut", changed(plain, path, cut)
        for other in VALUES:
            yield path, repr(other)[:20], changed(plain, path, put(other))


def write(folder, plain):
    """A dataset.json whose checksum holds, whatever it says."""
    plain = {key: value for key, value in plain.items() if key != "checksum"}
    (folder / "dataset.json").write_text(json.dumps(plain | {"checksum": checksum(plain)}))


@pytest.fixture
def copied(tmp_path):
    shutil.copytree(GOLDEN, tmp_path / "golden")
    return tmp_path / "golden"


def plain_of(folder):
    plain = json.loads((folder / "dataset.json").read_text())
    del plain["checksum"]
    return plain


@pytest.mark.parametrize("kind", ["clips", "percepts"])
def test_every_mutation_is_refused_or_means_what_it_says(copied, kind):
    """More than 924 of each kind; those that load say other words, never another place, size or number of anything."""
    folder, original = copied / kind, plain_of(copied / kind)
    index, slowest, harmless = load_dataset(folder).index("train").tolist(), 0.0, set()
    count = 0
    for path, how, plain in mutations(original):
        began, count = time.perf_counter(), count + 1
        try:
            require_schema(plain)
            write(folder, plain)
            dataset = load_dataset(folder)
            require_files(dataset, "train")
        except (MismatchError, ShardError) as error:
            assert str(error).startswith("expected ") and len(str(error)) < 1500
        else:
            rows = dataset.index("train").tolist()
            if rows != index:  # a label, a rate or the CRC that `verify` compares; or the class that a source has
                assert path[:1] == ("splits",) and path[-2] in ("label", "frame_rate", "crc", "frames", "payload"), path
            harmless.add(path[0])
            assert to_plain(dataset).keys() == original.keys(), (path, how)
        slowest = max(slowest, time.perf_counter() - began)
    assert count > 924 and slowest < 1
    assert "format" not in harmless and "name" not in harmless and "kind" not in harmless


NO_OBJECTS = ["", "[]", "3", '"text"', "null", "NaN", "\xed\xa0\x80", "[" * 100_000, '{"a":' * 50_000]
NO_DATASETS = ["{}", '{"schema_version": 1, "kind": []}', '{"schema_version": ' + "9" * 6000 + "}"]


@pytest.mark.parametrize("content", NO_OBJECTS + NO_DATASETS, ids=lambda content: content[:20])
def test_what_is_no_dataset_json_is_a_shard_error(copied, content):
    (copied / "clips" / "dataset.json").write_text(content, encoding="latin-1")
    with pytest.raises(ShardError, match=r"dataset\.json"):
        load_dataset(copied / "clips")


def test_a_newer_schema_asks_for_a_newer_videorep(copied):
    write(copied / "clips", plain_of(copied / "clips") | {"schema_version": 3, "surprise": 1})
    with pytest.raises(ShardError, match="newer videorep"):
        load_dataset(copied / "clips")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "..", "golden-test.tfrecord-00000-of-00001", "a/b", "dataset.json"]
)
def test_other_names_of_shards_are_refused(copied, name):
    plain = plain_of(copied / "clips")
    plain["splits"]["train"][0]["file"] = plain["sources"][0]["shard"] = plain["sources"][1]["shard"] = name
    write(copied / "clips", plain)
    with pytest.raises(ShardError, match="file"):
        load_dataset(copied / "clips")


def test_a_shard_that_is_a_link_out_of_the_folder_is_refused_and_a_linked_folder_is_not(copied, tmp_path):
    (shard,) = load_dataset(copied / "clips").paths("train")
    (tmp_path / "link").symlink_to(copied / "clips")
    assert load_dataset(tmp_path / "link").labels == ("run", "wave")
    os.replace(shard, tmp_path / "elsewhere")
    shard.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ShardError, match="leads out"):
        load_dataset(copied / "clips")


WRONG = {"label": [99, 2, -2], "offset": [5000, 10], "frames": [0, 10**6], "payload": [0, 620, 10**9]}


@pytest.mark.parametrize("column", WRONG)
def test_records_beyond_their_file_or_classes_are_refused(copied, column):
    for value in WRONG[column]:
        plain = plain_of(copied / "percepts")
        plain["splits"]["train"][0]["index"][column][1] = value
        write(copied / "percepts", plain)
        with pytest.raises(ShardError, match=r"splits\.train\[0\]\.index"):
            load_dataset(copied / "percepts")


def test_a_gzip_array_cannot_claim_more_than_its_bytes_can_hold(copied):
    plain = plain_of(copied / "percepts") | {"compression": "gzip"}
    write(copied / "percepts", plain)
    load_dataset(copied / "percepts")
    plain["splits"]["train"][0]["index"]["frames"][1] = 10**6
    write(copied / "percepts", plain)
    with pytest.raises(ShardError, match="frames"):
        load_dataset(copied / "percepts")


def test_sizes_beyond_the_file_are_refused_before_reading(copied):
    (shard,) = load_dataset(copied / "clips").paths("train")
    os.truncate(shard, shard.stat().st_size - 1)
    with pytest.raises(ShardError, match="bytes"):
        require_files(load_dataset(copied / "clips"), "train")


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
        values["schema_version"] = 3
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
