"""Shards from anybody, and shards that change while they are read: a ShardError with file, record and frame."""

import hashlib
import itertools
import json
import os
import shutil
import struct
import tracemalloc

import click.testing
import numpy as np
import pytest
import tensorflow as tf
from pictures import jpeg, with_size

from videorep.cli.verify import verify as verify_command
from videorep.config import DataConfig
from videorep.data import read_shards, write_shards
from videorep.data.batches.sources import LabelledBlocks, open_source
from videorep.data.batches.stacks import LabelledStacks
from videorep.data.shards.guards import require_framing
from videorep.data.shards.hashes import checksum
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.record_reader import RecordReader, inflate
from videorep.data.shards.records import Clip, Percept
from videorep.data.shards.verify import require_sound, verify_dataset
from videorep.errors import DataError, ShardError, VideorepError

HEIGHT, WIDTH = 24, 32


def clip(images, path="v", label=0):
    times = [40_000 * number for number in range(len(images))]
    return Clip(images, times, HEIGHT, WIDTH, 25.0, path, label, "ab"[label])


@pytest.fixture
def percepts(tmp_path):
    rng = np.random.default_rng(0)
    records = [Percept(rng.normal(size=(40, 6)).astype(np.float16), f"v{n}", n % 2, "ab"[n % 2]) for n in range(4)]
    write_shards(records, tmp_path / "percepts", shards=1)
    return tmp_path / "percepts"


@pytest.fixture
def clips(tmp_path):
    write_shards(
        [clip([jpeg(n + t) for t in range(6)], f"v{n}", n % 2) for n in range(4)], tmp_path / "clips", shards=1
    )
    return tmp_path / "clips"


def resign(folder, change=lambda plain: None):
    """Makes dataset.json agree with the shards as they are, as an attacker would."""
    plain = json.loads((folder / "dataset.json").read_text())
    del plain["checksum"]
    change(plain)
    for shards in plain["splits"].values():
        for shard in shards:
            content = (folder / shard["file"]).read_bytes()
            shard |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "dataset.json").write_text(json.dumps(plain | {"checksum": checksum(plain)}))


def streams(folder):
    """Every way in which training and evaluation read a folder."""
    data = DataConfig(path=str(folder), stride=1, patch=0 if load_dataset(folder).kind == "percepts" else 8)
    source, blocks = open_source(data, "train", 3), LabelledBlocks(data, "train", 3, 3)
    yield source.training(4, 0)
    yield source.evaluation(4)
    yield blocks.training(4, 0)
    yield blocks.evaluation(4)
    if data.patch:
        for stack in (0, 1):
            stacks = LabelledStacks(folder, "train", 16, stack)
            yield stacks.training(2, 0)
            yield stacks.evaluation(2)


@pytest.mark.parametrize("kind", ["percepts", "clips"])
@pytest.mark.parametrize("change", ["cut", "replaced", "removed", "overwritten"])
def test_a_shard_that_changes_during_training_ends_it_with_a_shard_error(request, kind, change):
    folder = request.getfixturevalue(kind)
    (path,) = load_dataset(folder).paths("train")
    opened = list(streams(folder))[::3]  # one of each kind
    if change == "cut":
        os.truncate(path, path.stat().st_size // 4)
    elif change == "replaced":
        shutil.copy(path, path.with_suffix(".copy"))
        os.replace(path.with_suffix(".copy"), path)
    elif change == "removed":
        path.unlink()
    else:
        with open(path, "r+b") as file:
            file.seek(path.stat().st_size // 2)
            file.write(b"\0\0\0\0")
    for batches in opened:
        with pytest.raises(ShardError, match=rf"{path.name}.*(changed since|No such file)"):
            for _ in itertools.islice(batches, 60):
                pass


def test_a_file_that_gives_fewer_bytes_than_it_has_is_a_shard_error(percepts, monkeypatch):
    reader = RecordReader(load_dataset(percepts), "train")
    real = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, buffers, place: real(file, [memoryview(buffers[0])[:7]], place))
    whole = reader.percept_windows([1], [2], 5)  # read bit by bit
    monkeypatch.undo()
    np.testing.assert_array_equal(whole, reader.percept_windows([1], [2], 5))
    monkeypatch.setattr(os, "preadv", lambda file, buffers, place: 0)
    with pytest.raises(ShardError, match="changed since"):
        reader.percept_windows([1], [2], 5)


def test_a_record_of_immense_length_is_told_and_not_read(clips, percepts):
    for folder in (clips, percepts):
        (path,) = load_dataset(folder).paths("train")
        content = path.read_bytes()
        scratch = folder.parent / "scratch"
        with tf.io.TFRecordWriter(str(scratch)) as writer:
            writer.write(b"")
        length = struct.pack("<Q", 2**60)
        crc = masked_crc(length)
        path.write_bytes(length + struct.pack("<I", crc) + content[12:])
        resign(folder)
        assert "record 0" in verify_dataset(folder)[0]
        with pytest.raises(ShardError, match=f"{path.name}: record 0.*{2**60:,}"):
            list(read_shards(folder))
        with pytest.raises(ShardError, match="record 0"):
            require_sound(load_dataset(folder), "train")
        (folder / "dataset.json").write_text((folder / "dataset.json").read_text().replace('"v0"', '"v9"'))
        assert "cut off" in verify_dataset(folder)[1] or "no record can be" in verify_dataset(folder)[1]


def masked_crc(data):
    """CRC-32C, bit by bit, masked as TFRecords are."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_the_framing_of_sound_shards_holds(clips):
    dataset = load_dataset(clips)
    require_framing(*dataset.paths("train"), *dataset.shards("train"))


@pytest.mark.parametrize(
    ("image", "received"),
    [
        (with_size(jpeg(), 60_000, 60_000), "60000x60000"),
        (jpeg(0, HEIGHT, WIDTH + 1), "24x33"),
        (jpeg()[:300], "do not decode"),
        (b"\xff\xd8 no image", "do not decode"),
    ],
)
def test_images_that_lie_are_named_by_file_record_and_frame_wherever_they_are_read(tmp_path, image, received):
    frames = [jpeg(t) for t in range(6)]
    records = [clip(frames, "v0"), clip([*frames[:4], image, frames[5]], "v1", 1)]
    dataset = write_shards(records, tmp_path / "shards", shards=1)
    (path,) = dataset.paths("train")
    assert verify_dataset(tmp_path / "shards") == []
    assert any("record 1: frame 4: " in problem for problem in verify_dataset(tmp_path / "shards", decode=True))
    result = click.testing.CliRunner().invoke(verify_command, [str(tmp_path / "shards"), "--decode"])
    assert "record 1: frame 4" in result.output and isinstance(result.exception, VideorepError)
    readers = [read_shards(tmp_path / "shards"), *list(streams(tmp_path / "shards"))[::3]]
    for batches in readers:
        with pytest.raises(ShardError, match=rf"{path.name}: record 1: frame 4.*({received})"):
            for _ in itertools.islice(batches, 60):
                pass


def test_a_label_in_a_record_that_dataset_json_does_not_state_is_refused(clips):
    resign(clips, lambda plain: plain["splits"]["train"][0]["index"].update(label=[1, 1, 0, 1]))
    with pytest.raises(ShardError, match=r"record 0.*label 0"):
        list(read_shards(clips))
    assert "label 0" in verify_dataset(clips)[0]


def test_a_window_of_a_gzip_bomb_takes_little_memory(tmp_path):
    array = np.zeros((20_000, 512), np.float16)  # 20 MB of zeros, 20 kB on disk
    write_shards([Percept(array, "bomb", compression="gzip")], tmp_path / "shards")
    reader = RecordReader(load_dataset(tmp_path / "shards"), "train")
    tracemalloc.start()
    assert not reader.percept_windows([0], [19_900], 100).any()
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_what_does_not_decompress_to_what_it_says_is_a_value_error():
    for packed in (b"", b"no gzip", b"\x1f\x8b\x08" + bytes(30)):
        with pytest.raises(ValueError, match="array"):
            inflate(packed, 0, 10)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_percepts_that_are_not_finite_are_not_written_and_told_by_verify(tmp_path, percepts, value):
    array = np.ones((5, 4), np.float32)
    array[3, 1] = value
    for record in ({"frames": array, "path": "bad clip"}, Percept(array, "bad clip")):
        with pytest.raises(DataError, match="bad clip"):
            write_shards([record], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(DataError, match="bad clip"):
        write_shards([{"frames": np.full((2, 2), 1e300), "path": "bad clip"}], tmp_path / "out")
    dataset = load_dataset(percepts)
    (path,), (shard,) = dataset.paths("train"), dataset.shards("train")
    content, place = bytearray(path.read_bytes()), shard.index["payload"][2]
    content[place + 12 : place + 14] = np.float16(value).tobytes()
    end = [*shard.index["offset"], shard.bytes][3]
    crc = masked_crc(bytes(content[shard.index["offset"][2] + 12 : end - 4]))
    content[end - 4 : end] = struct.pack("<I", crc)
    path.write_bytes(content)
    resign(percepts, lambda plain: plain["splits"]["train"][0]["index"]["crc"].__setitem__(2, crc))
    (problem,) = verify_dataset(percepts)
    assert problem.startswith(f"{path.name}: record 2: ") and "frame 1" in problem


def test_not_finite_gzip_percepts_are_told_by_verify_decode(tmp_path, monkeypatch):
    monkeypatch.setattr("numpy.isfinite", lambda values: np.ones(np.shape(values), bool))
    sound, broken = (Percept(np.full((2, 3), x, np.float16), "v", compression="gzip") for x in (1.0, np.nan))
    write_shards({"train": [sound], "test": [broken]}, tmp_path / "shards")
    monkeypatch.undo()
    assert verify_dataset(tmp_path / "shards") == []
    assert "record 0" in verify_dataset(tmp_path / "shards", decode=True)[0]
