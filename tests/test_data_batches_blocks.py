"""Labelled blocks: all of every video, padded where short, as many of every class as asked for."""

import numpy as np
import pytest
import tensorflow as tf
from batch_shards import FRAMES, as_set, take

from videorep.config import DataConfig
from videorep.data import write_shards
from videorep.data.batches.sources import LabelledBlocks
from videorep.errors import ConfigError, ShardError


@pytest.mark.parametrize("kind", ["percepts", "clips"])
def test_evaluation_holds_every_block_of_every_video_and_pads_short_ones(stored_percepts, stored_clips, kind):
    arrays = stored_percepts[1] if kind == "percepts" else [array.reshape(len(array), -1) for array in stored_clips[1]]
    data = stored_percepts[0] if kind == "percepts" else DataConfig(path=stored_clips[0])
    blocks = LabelledBlocks(data, "train", 8, 3)
    batches = list(blocks.evaluation(4))
    rows = [{key: batch[key].numpy()[n] for key in batch} for batch in batches for n in range(len(batch["label"]))]
    expected = []
    for video, array in enumerate(arrays):
        for start in range(0, max(1, len(array) - 8 + 1), 3):
            part = array[start : start + 8]
            frames = np.zeros((8, array.shape[1]), array.dtype)
            frames[: len(part)] = part
            expected.append((frames, np.arange(8) < len(part), video % 2, video))
    assert len(rows) == len(expected) == blocks.blocks and blocks.videos == len(FRAMES)
    for row, (frames, mask, label, video) in zip(rows, expected, strict=True):
        np.testing.assert_array_equal(row["frames"], frames)
        np.testing.assert_array_equal(row["mask"], mask)
        assert (row["label"], row["video"]) == (label, video)
    assert blocks.video_labels.tolist() == [0, 1] * 4


def test_training_draws_every_block_once_per_epoch_with_its_label(stored_percepts):
    blocks = LabelledBlocks(stored_percepts[0], "train", 8, 3)
    (epoch,) = blocks.training(blocks.blocks, seed=2).take(1)
    evaluated = next(iter(blocks.evaluation(blocks.blocks)))
    assert as_set(epoch["frames"].numpy()) == as_set(evaluated["frames"].numpy())
    np.testing.assert_array_equal(epoch["frames"].numpy()[:, 0, 0].astype(int), epoch["video"])
    np.testing.assert_array_equal(epoch["video"].numpy() % 2, epoch["label"])
    assert epoch["mask"].dtype == tf.bool and epoch["label"].dtype == epoch["video"].dtype == tf.int32
    resumed = take(blocks.training(4, 2, start_step=3), 2)
    np.testing.assert_array_equal(resumed, take(blocks.training(4, 2), 5)[3:])


def test_a_subset_has_as_many_videos_of_every_class(stored_percepts):
    whole = LabelledBlocks(stored_percepts[0], "train", 4, 2)
    subsets = []
    for seed in range(6):
        subset = LabelledBlocks(stored_percepts[0], "train", 4, 2, seed=seed, videos_per_class=2)
        assert subset.videos == 4 and sorted(subset.video_labels) == [0, 0, 1, 1]
        (batch,) = subset.evaluation(999)
        assert sorted(set(batch["video"].numpy())) == [0, 1, 2, 3]
        records = batch["frames"].numpy()[:, 0, 0].astype(int)
        subsets.append(frozenset(records))
        assert len(subsets[-1]) == 4 and (records % 2 == batch["label"].numpy()).all()
    assert len(set(subsets)) > 1
    again = LabelledBlocks(stored_percepts[0], "train", 4, 2, seed=0, videos_per_class=2)
    (batch,) = again.evaluation(999)
    assert frozenset(batch["frames"].numpy()[:, 0, 0].astype(int)) == subsets[0]
    assert whole.videos == 8
    with pytest.raises(ShardError, match=r"at least 5 videos of class 'a'.*4"):
        LabelledBlocks(stored_percepts[0], "train", 4, 2, videos_per_class=5)


def test_pieces_of_one_path_are_one_video(tmp_path):
    piece = np.ones((6, 3), np.float32)
    paths = ["x", "y", "x", "z", "y"]
    records = [{"frames": piece * n, "path": path, "label": path} for n, path in enumerate(paths)]
    write_shards(records, tmp_path / "out", shards=2)
    blocks = LabelledBlocks(DataConfig(path=str(tmp_path / "out")), "train", 4, 4)
    (batch,) = blocks.evaluation(9)
    assert blocks.videos == 3 and batch["video"].numpy().tolist() == [0, 1, 0, 2, 1]
    assert batch["label"].numpy().tolist() == [0, 1, 0, 2, 1]


def test_unlabelled_records_cannot_train_a_classifier(tmp_path):
    write_shards([{"frames": np.ones((6, 3), np.float32)}], tmp_path / "out")
    with pytest.raises(ShardError, match="--labels"):
        LabelledBlocks(DataConfig(path=str(tmp_path / "out")), "train", 4, 4)
    with pytest.raises(ConfigError, match="labelled"):
        LabelledBlocks(DataConfig(), "train", 4, 4)
