"""Folders of shards from Python: reading them, and writing one's own."""

import os
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
from shard_building import build, folder_bytes

from videorep.data import read_shards, write_shards
from videorep.data.shards.records import Percept
from videorep.data.shards.verify import verify_dataset
from videorep.errors import DataError, ShardError


def test_missing_folders_and_splits_are_told(tmp_path):
    with pytest.raises(ShardError, match="nothing there"):
        read_shards(tmp_path / "none")
    with pytest.raises(ShardError, match=r"dataset\.json"):
        read_shards(tmp_path)
    build(tmp_path / "out")
    with pytest.raises(ShardError, match="only train, test"):
        read_shards(tmp_path / "out", "validation")


def test_reading_tells_of_a_missing_or_a_cut_shard(tmp_path):
    build(tmp_path / "out")
    shard = tmp_path / "out" / "toy-train.tfrecord-00003-of-00009"
    os.truncate(shard, 10)
    with pytest.raises(ShardError, match="00003-of-00009"):
        read_shards(tmp_path / "out")
    shard.unlink()
    with pytest.raises(ShardError, match="00003-of-00009"):
        read_shards(tmp_path / "out")
    read_shards(tmp_path / "out", "test")


# ---- one's own records


def test_written_frames_are_read_back_as_they_were(tmp_path):
    rng = np.random.default_rng(0)
    records = [
        {"frames": rng.integers(0, 256, (2 + n, 8, 10, 3), np.uint8), "label": "ba"[n % 2], "path": f"v{n}"}
        for n in range(7)
    ]
    dataset = write_shards(records, tmp_path / "out", name="mine", shards=3)
    assert dataset.labels == ("a", "b")
    assert (tmp_path / "out" / "mine-train.tfrecord-00002-of-00003").is_file()
    read = list(read_shards(tmp_path / "out", "train"))
    assert len(read) == 7
    for written, clip in zip(records, read, strict=True):
        np.testing.assert_array_equal(clip["frames"], written["frames"])
        assert clip["label_text"].numpy().decode() == written["label"]
        assert "ab"[int(clip["label"])] == written["label"] and clip["path"].numpy().decode() == written["path"]


def test_grey_frames_and_several_splits(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (3, 6, 5, 1), np.uint8)
    write_shards({"train": [{"frames": frames}], "test": [{"frames": frames[:2]}]}, tmp_path / "out")
    for split, count in (("train", 3), ("test", 2)):
        (clip,) = read_shards(tmp_path / "out", split)
        np.testing.assert_array_equal(clip["frames"], frames[:count])
        assert int(clip["label"]) == -1


@pytest.mark.parametrize("compression", ["", "gzip"])
def test_percepts_are_read_back_as_float32(tmp_path, compression):
    arrays = [np.random.default_rng(n).normal(size=(n + 1, 4)).astype(np.float16) for n in range(5)]
    write_shards([Percept(a, f"v{n}", compression=compression) for n, a in enumerate(arrays)], tmp_path / "out")
    read = list(read_shards(tmp_path / "out"))
    for array, percept in zip(arrays, read, strict=True):
        assert percept["frames"].dtype == tf.float32
        np.testing.assert_array_equal(percept["frames"], array.astype(np.float32))


def test_labels_may_be_given_by_number_where_their_names_are(tmp_path):
    frames = np.zeros((1, 4), np.float32)
    dataset = write_shards([{"frames": frames, "label": 1}], tmp_path / "out", labels=["x", "y"])
    assert dataset.index("train")["label"].tolist() == [1]
    with pytest.raises(DataError, match="'z'"):
        write_shards([{"frames": frames, "label": "z"}], tmp_path / "other", labels=["x", "y"])


FEATURES = np.zeros((1, 4), np.float32)


@pytest.mark.parametrize("given", [[1, 0], ["a", 1], [True], [2.5], [("a",)]])
def test_labels_that_are_no_names_need_the_names(tmp_path, given):
    records = [{"frames": FEATURES, "label": label} for label in given]
    with pytest.raises(DataError, match="give the classes' names"):
        write_shards(records, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_and_numbers_may_be_mixed_where_the_names_are_given(tmp_path):
    records = [{"frames": FEATURES, "label": label} for label in ("y", 0, None, np.int64(1))]
    dataset = write_shards(records, tmp_path / "out", labels=["x", "y"])
    assert dataset.index("train")["label"].tolist() == [1, 0, -1, 1]
    assert [clip["label_text"].numpy() for clip in read_shards(tmp_path / "out")] == [b"y", b"x", b"", b"y"]


@pytest.mark.parametrize("label", [2, -1, True, 1.0, "z"])
def test_labels_beyond_those_given_are_refused(tmp_path, label):
    with pytest.raises(DataError, match="expected a label"):
        write_shards([{"frames": FEATURES, "label": label}], tmp_path / "out", labels=["x", "y"])


@pytest.mark.parametrize("labels", ["xy", ["x", "x"], [0, 1]])
def test_names_of_classes_are_different_texts(tmp_path, labels):
    with pytest.raises(DataError, match="different names"):
        write_shards([{"frames": FEATURES, "label": 0}], tmp_path / "out", labels=labels)


def test_percepts_with_names_get_the_numbers_of_the_sorted_names(tmp_path):
    records = [Percept(FEATURES, "one", 0, "b"), Percept(FEATURES, "two", 1, "a")]
    dataset = write_shards(records, tmp_path / "out")
    assert dataset.labels == ("a", "b") and dataset.index("train")["label"].tolist() == [1, 0]
    assert verify_dataset(tmp_path / "out") == []


@pytest.mark.parametrize("rate", [0, -1.0, np.nan, np.inf, "fast"])
def test_impossible_frame_rates_are_a_data_error(tmp_path, rate):
    with pytest.raises(DataError, match="frame_rate"):
        write_shards([{"frames": np.zeros((2, 3, 3, 1), np.uint8), "frame_rate": rate}], tmp_path / "out")


def test_an_iterable_is_taken_once_and_never_held_in_memory(tmp_path):
    """30 clips of 1 MB from a generator; the same bytes as from a list."""

    def records(count=30):
        for seed in range(count):
            yield {"frames": np.random.default_rng(seed).random((256, 1024), np.float32), "label": "ab"[seed % 2]}

    tracemalloc.start()
    write_shards({"train": records(), "test": records(2)}, tmp_path / "streamed", shards=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 << 20
    write_shards({"train": list(records()), "test": list(records(2))}, tmp_path / "listed", shards=3)
    assert folder_bytes(tmp_path / "streamed") == folder_bytes(tmp_path / "listed")


@pytest.mark.parametrize("record", [3, {}, {"frames": np.zeros((2, 3, 4), np.uint8)}, {"frames": np.zeros((0, 4))}])
def test_records_of_no_known_form_are_a_data_error(tmp_path, record):
    with pytest.raises(DataError, match="expected"):
        write_shards([record], tmp_path / "out")
    assert not (tmp_path / "out").exists()
