"""The golden shards: written once by version 1 of the format, read the same for ever.

If a test here fails, the reader is wrong. The files are never made again.
"""

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from videorep.config import DataConfig
from videorep.data import read_shards
from videorep.data.batches.sources import open_source
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.verify import verify_dataset

GOLDEN = Path(__file__).resolve().parents[1] / "tfrecords" / "golden"
SHARD = "golden-train.tfrecord-00000-of-00001"
HASHES = {
    f"clips/{SHARD}": "3c258f2622f82dff90060ab7036869c4221b879cb941c0a792586fe259e794da",
    "clips/dataset.json": "a90c458f7727d0d722e275b2dbfa5dae522d2d23886e34a39377c8e7507a7e7e",
    f"percepts/{SHARD}": "54fde1121c2bc6833c0e24938be21e31f5e049a06e344d729eaa7e9226f17349",
    "percepts/dataset.json": "4008c596d4888ea8f221552d9600dbe9821dd8111b9cd0c865f04f709cb349d5",
}
# What each record is: path, label, its name, frames.
RECORDS = [("wave/first.avi", 1, "wave", (4, 5)), ("second clip.avi", -1, "", (3, 3))]
# Decoding the JPEG of a smooth picture: at most this far from the picture.
JPEG_ERROR = 8


def picture(frames):
    """The frames that both clips show: (T, 24, 32, 3) RGB."""
    t, y, x = np.meshgrid(np.arange(frames), np.arange(24), np.arange(32), indexing="ij")
    return np.stack([7 * x + t, 10 * y + t, 100 + 20 * t], axis=-1)


def percept(number, frames):
    """The numbers in percept `number` (from 1): (T, 6), exact in float16."""
    return number + np.arange(frames)[:, None] / 8 - np.arange(6) / 4


@pytest.mark.parametrize("name", HASHES)
def test_nobody_changed_a_golden_file(name):
    assert hashlib.sha256((GOLDEN / name).read_bytes()).hexdigest() == HASHES[name]


@pytest.mark.parametrize("kind", ["clips", "percepts"])
def test_golden_shards_are_sound_and_described(kind):
    assert verify_dataset(GOLDEN / kind) == []
    dataset = load_dataset(GOLDEN / kind)
    assert (dataset.kind, dataset.name, dataset.labels, dataset.frame_rate) == (kind, "golden", ("run", "wave"), 25.0)
    index = dataset.index("train")
    assert index["label"].tolist() == [1, -1] and index["frame_rate"].tolist() == [25.0, 25.0]
    assert [source["path"] for source in dataset.sources] == [path for path, _, _, _ in RECORDS]
    form = (dataset.height, dataset.width, dataset.channels, dataset.features, dataset.dtype, dataset.compression)
    assert form == ((24, 32, 3, None, None, None) if kind == "clips" else (None, None, None, 6, "float16", ""))


def test_golden_clips_are_read():
    read = list(read_shards(GOLDEN / "clips", "train"))
    assert len(read) == len(RECORDS)
    for clip, (path, label, name, (frames, _)), error in zip(read, RECORDS, (JPEG_ERROR, 0), strict=True):
        assert (clip["path"].numpy().decode(), int(clip["label"])) == (path, label)
        assert clip["label_text"].numpy().decode() == name and float(clip["frame_rate"]) == 25.0
        assert clip["timestamps"].numpy().tolist() == [40_000 * t for t in range(frames)]
        assert clip["frames"].dtype == tf.uint8
        np.testing.assert_allclose(clip["frames"].numpy().astype(int), picture(frames), atol=error)


def test_golden_percepts_are_read():
    read = list(read_shards(GOLDEN / "percepts", "train"))
    assert len(read) == len(RECORDS)
    for number, (record, (path, label, name, (_, frames))) in enumerate(zip(read, RECORDS, strict=True), 1):
        assert (record["path"].numpy().decode(), int(record["label"])) == (path, label)
        assert record["label_text"].numpy().decode() == name
        assert float(record["start"]) == [0.0, 1.5][number - 1]
        np.testing.assert_array_equal(record["frames"], percept(number, frames))


def test_golden_shards_feed_the_pipeline():
    source = open_source(DataConfig(path=str(GOLDEN / "percepts"), stride=1), "train", 3)
    windows = [percept(1, 5)[start : start + 3] for start in range(3)] + [percept(2, 3)]
    np.testing.assert_array_equal(next(iter(source.evaluation(9)))["frames"], windows)
    source = open_source(DataConfig(path=str(GOLDEN / "clips"), stride=1, colour=True), "train", 3)
    (batch,) = source.evaluation(9)
    expected = [picture(4)[:3], picture(4)[1:], picture(3)]
    np.testing.assert_allclose(batch["frames"].numpy().reshape(3, 3, 24, 32, 3), expected, atol=JPEG_ERROR)


def test_the_contract_alone_is_enough_to_read_a_window_of_a_percept():
    """With json, struct and NumPy only, as tfrecords/README.md says."""
    manifest = json.loads((GOLDEN / "percepts" / "dataset.json").read_text())
    (shard,) = manifest["splits"]["train"]
    content = (GOLDEN / "percepts" / shard["file"]).read_bytes()
    index, features = shard["index"], manifest["features"]
    for number in range(2):
        first, last = 1, index["frames"][number]
        begin = index["payload"][number] + first * features * 2
        window = np.frombuffer(content[begin : begin + (last - first) * features * 2], "<f2").reshape(-1, features)
        np.testing.assert_array_equal(window, percept(number + 1, last)[first:])
        (length,) = struct.unpack_from("<Q", content, index["offset"][number])
        assert struct.unpack_from("<I", content, index["offset"][number] + 12 + length)[0] == index["crc"][number]
    checksum = manifest.pop("checksum")
    canonical = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(canonical.encode()).hexdigest() == checksum
