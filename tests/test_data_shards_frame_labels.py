"""A class for every frame: through shards of one's own, read back, verified, cut into blocks."""

import numpy as np
import pytest
import tensorflow as tf

from videorep.comparison.videos import load_videos
from videorep.config import DataConfig
from videorep.data import read_shards, write_shards
from videorep.data.batches.sources import LabelledBlocks
from videorep.data.shards import encode
from videorep.data.shards.verify import verify_dataset
from videorep.errors import ConfigError, DataError, ShardError

LENGTHS = (5, 3, 12, 7)
NAMES = ["background", "run", "jump"]


def make_records(kind):
    """Frame t of record n holds 10 n + t; its class is (n + t) modulo 3."""
    for number, length in enumerate(LENGTHS):
        values = 10 * number + np.arange(length)
        frames = np.tile(values[:, None] / np.float32(1), 4) if kind == "percepts" else np.zeros((length, 2, 2, 1))
        if kind == "clips":
            frames = (frames + values[:, None, None, None]).astype(np.uint8)
        yield {"frames": frames, "path": f"v{number}", "frame_labels": classes_of(number, length)}


def classes_of(number, length):
    return [NAMES[(number + t) % 3] for t in range(length)]


@pytest.fixture(scope="module", params=["clips", "percepts"])
def folder(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("frames") / "shards"
    write_shards(make_records(request.param), out, labels=NAMES, shards=2)
    return out


def test_they_are_read_back(folder):
    read = list(read_shards(folder))
    for number, record in enumerate(read):
        names = [NAMES[label] for label in record["frame_labels"].numpy()]
        assert names == classes_of(number, LENGTHS[number]) and record["label"] == -1
    assert len(read) == len(LENGTHS) and verify_dataset(folder) == []


def test_records_without_them_have_none(stored_percepts, stored_clips):
    for path in (stored_percepts[0].path, stored_clips[0]):
        assert all(record["frame_labels"].shape == (0,) for record in read_shards(path))


def test_tensorflow_reads_them_with_mediapipes_key(folder):
    (record, *_) = tf.data.TFRecordDataset(sorted(map(str, folder.glob("*.tfrecord-*"))))
    if "clips" in (folder / "dataset.json").read_text():
        features = {"image/label/index": tf.io.FixedLenSequenceFeature([], tf.int64)}
        _, read = tf.io.parse_single_sequence_example(record, {}, features)
    else:
        read = tf.io.parse_single_example(record, {"percept/label/index": tf.io.FixedLenFeature([5], tf.int64)})
    (labels,) = read.values()
    assert labels.numpy().tolist() == [0, 1, 2, 0, 1]


@pytest.mark.parametrize("kind", ["clips", "percepts"])
@pytest.mark.parametrize(
    ("labels", "fault"),
    [([0, 1], "2 labels of frames where dataset.json says 5"), ([0, 1, 3, 0, 0], "label 3 of frame 2 outside 0 to 2")],
)
def test_wrong_ones_are_found_and_not_trained_on(tmp_path, monkeypatch, kind, labels, fault):
    monkeypatch.setattr(encode, "_frame_labels", lambda record: labels)
    write_shards(list(make_records(kind))[:1], tmp_path / "out", labels=NAMES)
    (problem,) = verify_dataset(tmp_path / "out")
    assert "record 0" in problem and fault in problem
    with pytest.raises(ShardError, match=r"record 0.*labels of frames"):
        LabelledBlocks(DataConfig(path=str(tmp_path / "out")), "train", 2, 2)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"frame_labels": ["run"] * 4}, "5 names or numbers"),
        ({"frame_labels": [0.5] * 5}, r"with \[0.5\]"),
        ({"frame_labels": [["run"], ["run", "run"], [], [], []]}, "one per frame"),
        ({"label": "run"}, "no label beside"),
        ({"frame_labels": ["fly"] * 5}, "received 'fly'"),
    ],
)
def test_what_is_no_class_per_frame_is_refused(tmp_path, changes, match):
    record = next(make_records("percepts")) | changes
    with pytest.raises(DataError, match=match):
        write_shards([record], tmp_path / "out", labels=NAMES)
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_blocks_have_the_classes_of_their_frames(folder):
    blocks = LabelledBlocks(DataConfig(path=str(folder)), "train", 5, 2)
    seen = []
    for batch in blocks.evaluation(3):
        assert batch["label"].dtype == tf.int32 and batch["label"].shape[1] == 5
        rows = zip(*(batch[key].numpy() for key in ("video", "frames", "mask", "label")), strict=True)
        for video, frames, mask, label in rows:
            for t in np.flatnonzero(mask):
                assert label[t] == (video + frames[t, 0] - 10 * video) % 3
            seen.append((video, frames[0, 0] - 10 * video, mask.sum()))
    assert seen == [(0, 0, 5), (1, 0, 3), *((2, start, 5) for start in (0, 2, 4, 6)), (3, 0, 5), (3, 2, 5)]
    trained = blocks.training(4, 0)
    assert trained.element_spec["label"].shape == next(iter(trained))["label"].shape == (4, 5)


def test_what_asks_for_a_class_per_video_is_refused(folder, tmp_path):
    with pytest.raises(ConfigError, match=r"videos_per_class.*0 where every frame"):
        LabelledBlocks(DataConfig(path=str(folder)), "train", 5, 2, videos_per_class=1)
    write_shards({split: make_records("percepts") for split in ("train", "test")}, tmp_path / "both", labels=NAMES)
    with pytest.raises(ShardError, match="one class per video to compare"):
        load_videos(DataConfig(path=str(tmp_path / "both")))
