"""Damage is found, named and kept away from training."""

import hashlib
import json
import shutil
import struct

import numpy as np
import pytest
import tensorflow as tf
from shard_building import build

from videorep.config import DataConfig
from videorep.data.batches.sources import LabelledBlocks, open_source
from videorep.data.shards.hashes import checksum
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.verify import require_sound, verify_dataset
from videorep.errors import ShardError

SHARD = "toy-train.tfrecord-00004-of-00009"


@pytest.fixture(scope="module", params=["clips", "percepts"])
def whole(request, tmp_path_factory):
    """A sound dataset of either kind."""
    folder = tmp_path_factory.mktemp("sound") / "shards"
    build(folder, request.param, per_shard=2)
    return folder


@pytest.fixture
def damaged(whole, tmp_path):
    """A copy to damage."""
    shutil.copytree(whole, tmp_path / "shards")
    return tmp_path / "shards"


def record_bounds(path):
    """[(first byte, end)] of the frames of every record, from the file's lengths alone."""
    content, bounds, offset = path.read_bytes(), [], 0
    while offset < len(content):
        end = offset + 16 + struct.unpack_from("<Q", content, offset)[0]
        bounds.append((offset, end))
        offset = end
    return bounds


def flip(path, position, bit):
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)


def expect_named(folder, record, file=SHARD):
    """`verify` names file and record in its first problem, and so does the refusal to train."""
    problems = verify_dataset(folder)
    assert problems and problems[0].startswith(f"{file}: record {record}: "), problems
    assert all(problem.startswith(file) for problem in problems)
    with pytest.raises(ShardError, match=rf"{file}.*record {record}\b"):
        open_source(DataConfig(path=str(folder), patch=8), "train", 2)


def test_sound_shards_have_no_problems(whole):
    assert verify_dataset(whole) == []
    require_sound(load_dataset(whole), "train")


def test_a_flipped_bit_in_any_of_fifty_places_is_named(damaged):
    path = damaged / SHARD
    bounds, content = record_bounds(path), path.read_bytes()
    rng = np.random.default_rng(0)
    places = rng.choice(len(content), 50 - 12 * len(bounds[:2]), replace=False).tolist()
    places += [first + n for first, _ in bounds[:2] for n in range(12)]
    for place in places:
        flip(path, place, int(rng.integers(8)))
        problems = verify_dataset(damaged)
        (record,) = [n for n, (first, end) in enumerate(bounds) if first <= place < end]
        assert problems and problems[0].startswith(f"{SHARD}: record {record}: "), (place, problems)
        with pytest.raises(ShardError, match=rf"{SHARD}.*record {record}\b"):
            require_sound(load_dataset(damaged), "train")
        path.write_bytes(content)


def test_two_damaged_records_are_both_named_where_their_lengths_hold(damaged):
    (_, first_end), (_, second_end) = record_bounds(damaged / SHARD)
    flip(damaged / SHARD, first_end - 20, 0)
    flip(damaged / SHARD, second_end - 20, 0)
    problems = verify_dataset(damaged)
    assert [problem.split(":")[1].strip() for problem in problems] == ["record 0", "record 1"]


def test_training_refuses_before_it_starts(damaged):
    flip(damaged / SHARD, 40, 3)
    expect_named(damaged, 0)
    with pytest.raises(ShardError, match=SHARD):
        LabelledBlocks(DataConfig(path=str(damaged)), "train", 2, 2)
    patch = 8 if load_dataset(damaged).kind == "clips" else 0
    open_source(DataConfig(path=str(damaged), patch=patch), "test", 2)


@pytest.mark.parametrize("cut", ["in the data", "in the length", "between records", "to nothing"])
def test_a_truncated_shard_is_named(damaged, cut):
    path = damaged / SHARD
    (_, first_end), (_, second_end) = record_bounds(path)
    size, record = {
        "in the data": (second_end - 9, 1),
        "in the length": (first_end + 5, 1),
        "between records": (first_end, 1),
        "to nothing": (0, 0),
    }[cut]
    path.write_bytes(path.read_bytes()[:size])
    problems = verify_dataset(damaged)
    assert problems and problems[0].startswith(f"{SHARD}: record {record}: "), problems
    with pytest.raises(ShardError, match=SHARD):
        require_sound(load_dataset(damaged), "train")


def test_bytes_behind_the_last_record_are_named(damaged):
    content = (damaged / SHARD).read_bytes()
    (damaged / SHARD).write_bytes(content + b"more")
    assert "record 2" in verify_dataset(damaged)[0]
    (damaged / SHARD).write_bytes(content + content)
    problems = verify_dataset(damaged)
    assert "record 2" in problems[0] and "record 3" in problems[1]


def test_a_missing_shard_is_named(damaged):
    (damaged / SHARD).unlink()
    (problem,) = verify_dataset(damaged)
    assert problem.startswith(f"{SHARD}: missing")
    with pytest.raises(ShardError, match=SHARD):
        require_sound(load_dataset(damaged), "train")


def test_a_shard_from_another_build_is_named_though_every_record_is_whole(damaged):
    shutil.copy(damaged / "toy-train.tfrecord-00005-of-00009", damaged / SHARD)
    problems = verify_dataset(damaged)
    assert problems[0].startswith(f"{SHARD}: record 0: whole, but not the one")
    with pytest.raises(ShardError, match=SHARD):
        require_sound(load_dataset(damaged), "train")


def test_two_records_that_changed_places_are_named(damaged):
    path = damaged / SHARD
    (first, middle), (_, end) = record_bounds(path)
    content = path.read_bytes()
    path.write_bytes(content[middle:end] + content[first:middle])
    expect_named(damaged, 0)


def test_a_file_that_is_no_shard_of_the_dataset_is_named(damaged):
    shutil.copy(damaged / SHARD, damaged / "toy-train.tfrecord-00000-of-00003")
    (problem,) = verify_dataset(damaged)
    assert problem.startswith("toy-train.tfrecord-00000-of-00003: not a shard of this dataset")


def test_an_edited_dataset_json_is_named_and_damage_beside_it_too(damaged):
    path = damaged / "dataset.json"
    path.write_text(path.read_text().replace('"wave"', '"swim"'))
    flip(damaged / SHARD, 40, 3)
    problems = verify_dataset(damaged)
    assert problems[0].startswith("dataset.json: ") and problems[1].startswith(f"{SHARD}: record 0: ")
    with pytest.raises(ShardError, match=r"dataset\.json"):
        open_source(DataConfig(path=str(damaged), patch=8), "train", 2)


def test_records_that_disagree_with_dataset_json_are_named(damaged):
    """A manifest whose checksum holds, but which tells of other labels and frames than the records."""
    path = damaged / "dataset.json"
    values = json.loads(path.read_text())
    index = values["splits"]["train"][4]["index"]
    index["frames"][1] += 1
    index["label"][0] = (index["label"][0] + 1) % 3
    values["labels"] = ["jump", "run", "wade"]
    del values["checksum"]
    path.write_text(json.dumps(values | {"checksum": checksum(values)}))
    problems = verify_dataset(damaged)
    assert any(problem.startswith(f"{SHARD}: record 0: label") for problem in problems)
    assert any(problem.startswith(f"{SHARD}: record 1: ") and "frames" in problem for problem in problems)
    assert any("wave" in problem and "wade" in problem for problem in problems)


def test_a_record_of_another_kind_does_not_keep_the_schema(damaged):
    """Whole by CRC and hash, but no record of ours."""
    path = damaged / "dataset.json"
    values = json.loads(path.read_text())
    sizes = [end - first - 16 for first, end in record_bounds(damaged / SHARD)]
    with tf.io.TFRecordWriter(str(damaged / SHARD)) as writer:
        for size in sizes:
            writer.write(b"\x0a\x00" * (size // 2) + b"\x0a" * (size % 2))
    del values["checksum"]
    shard = values["splits"]["train"][4]
    shard["sha256"] = hashlib.sha256((damaged / SHARD).read_bytes()).hexdigest()
    path.write_text(json.dumps(values | {"checksum": checksum(values)}))
    problems = verify_dataset(damaged)
    assert problems[0].startswith(f"{SHARD}: record 0: does not keep the schema")


def test_a_missing_folder_is_a_shard_error(tmp_path):
    with pytest.raises(ShardError, match="build-shards"):
        verify_dataset(tmp_path / "none")
    with pytest.raises(ShardError, match="empty folder"):
        verify_dataset(tmp_path)
    (tmp_path / "data-train.tfrecord-00000-of-00001").touch()
    with pytest.raises(ShardError, match="unfinished"):
        verify_dataset(tmp_path)
    (tmp_path / "config.json").touch()
    with pytest.raises(ShardError, match="folder of a run"):
        verify_dataset(tmp_path)


def test_a_folder_of_videos_is_called_that_and_not_an_unfinished_build(tmp_path):
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "a.mp4").touch()
    with pytest.raises(
        ShardError, match=f"a folder of videos; make shards of it: videorep build-shards clips {tmp_path}"
    ):
        verify_dataset(tmp_path)
    with pytest.raises(ShardError, match="a video; make shards of its folder"):
        verify_dataset(tmp_path / "class" / "a.mp4")
