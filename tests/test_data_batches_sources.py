"""From shards to batches: which windows, in which order, with which values."""

import itertools

import cv2
import numpy as np
import pytest
import tensorflow as tf

from videorep.config import DataConfig
from videorep.data import write_shards
from videorep.data.batches.sources import labelled_blocks, open_source
from videorep.data.batches.windows import ShuffledOrder, list_windows
from videorep.data.digits.moving_mnist import MovingMNIST
from videorep.data.shards.records import Clip, Percept
from videorep.errors import ConfigError, ShardError

FRAMES = [9, 3, 14, 6, 21, 2, 8, 11]
HEIGHT, WIDTH, FEATURES = 12, 20, 5


def write_percepts(folder, compression="", dtype=np.float16):
    """Percepts whose numbers tell record and frame apart: frame t of record n is n + t / 64 + feature * 4."""
    arrays = [
        (n + np.arange(frames)[:, None] / 64 + 4 * np.arange(FEATURES)).astype(dtype) for n, frames in enumerate(FRAMES)
    ]
    records = [
        Percept(a, f"v{n}", n % 2, "ab"[n % 2], compression=compression, frame_rate=25.0) for n, a in enumerate(arrays)
    ]
    write_shards({"train": records, "test": records[:3]}, folder, labels=["a", "b"], shards=3)
    return [array.astype(np.float32) for array in arrays]


def write_clips(folder, quality=95):
    """Smooth random clips as JPEG; returns them as OpenCV decodes them, grey and RGB."""
    rng, records, grey, colour = np.random.default_rng(0), [], [], []
    for n, frames in enumerate(FRAMES):
        pictures = [
            cv2.GaussianBlur(rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8), (5, 5), 2) for _ in range(frames)
        ]
        images = [cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes() for p in pictures]
        times = [40_000 * t for t in range(frames)]
        records.append(Clip(images, times, HEIGHT, WIDTH, 25.0, f"v{n}", n % 2, "ab"[n % 2]))
        decoded = [np.frombuffer(image, np.uint8) for image in images]
        grey.append(np.stack([cv2.imdecode(image, cv2.IMREAD_GRAYSCALE) for image in decoded])[..., None])
        colour.append(np.stack([cv2.imdecode(image, cv2.IMREAD_COLOR)[..., ::-1] for image in decoded]))
    write_shards({"train": records}, folder, labels=["a", "b"], shards=3)
    return grey, colour


@pytest.fixture(scope="module")
def percepts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("percepts") / "shards"
    return DataConfig(path=str(folder), stride=2), write_percepts(folder)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips") / "shards"
    return str(folder), *write_clips(folder)


def all_windows(arrays, length, stride):
    """Every window, by loops."""
    return [
        array[start : start + length]
        for array in arrays
        for start in range(0, len(array) - length + 1, stride)
        if len(array) >= length
    ]


def as_set(windows):
    return sorted(window.tobytes() for window in windows)


def take(batches, count, key="frames"):
    return [batch[key].numpy() for batch in batches.take(count)]


# ---- windows


@pytest.mark.parametrize(("length", "stride", "pad"), list(itertools.product([1, 3, 8], [1, 2, 5], [False, True])))
def test_windows_are_those_of_plain_loops(length, stride, pad):
    expected = []
    for record, frames in enumerate(FRAMES):
        starts = list(range(0, frames - length + 1, stride))
        expected += [(record, start) for start in (starts or ([0] if pad else []))]
    records, starts = list_windows(np.array(FRAMES), length, stride, pad)
    assert list(zip(records.tolist(), starts.tolist(), strict=True)) == expected


def test_every_epoch_is_another_order_of_all_numbers():
    order = ShuffledOrder(17, seed=3)
    stream = order.draw(0, 17 * 4).reshape(4, 17)
    assert all(sorted(epoch) == list(range(17)) for epoch in stream.tolist())
    assert len({tuple(epoch) for epoch in stream.tolist()}) == 4
    assert np.concatenate([order.draw(first, 5) for first in range(0, 65, 5)]).tolist() == stream.ravel()[:65].tolist()
    assert ShuffledOrder(17, seed=4).draw(0, 17).tolist() != stream[0].tolist()


# ---- percepts


def test_an_epoch_of_percepts_is_every_window_once(percepts):
    data, arrays = percepts
    source = open_source(data, "train", 4)
    expected = all_windows(arrays, 4, 2)
    assert (source.features, source.dtype, source.frame_shape, source.windows) == (
        FEATURES,
        "float32",
        None,
        len(expected),
    )
    assert source.labels == ("a", "b") and source.provenance["short_records"] == 2
    assert source.provenance["shards"].keys() == {
        f"data-{split}.tfrecord-{n:05d}-of-00003" for split in ("train", "test") for n in range(3)
    }
    batches = take(source.training(len(expected), seed=1), 2)
    assert as_set(batches[0]) == as_set(batches[1]) == as_set(expected)
    assert batches[0].tobytes() != batches[1].tobytes() != np.stack(expected).tobytes()


@pytest.mark.parametrize("step", [0, 1, 7, 40])
def test_the_position_decides_the_batch(percepts, clips, step):
    for data in (percepts[0], DataConfig(path=clips[0], stride=2), DataConfig(path=clips[0], stride=2, patch=6)):
        source = open_source(data, "train", 4)
        whole = take(source.training(5, seed=9), step + 2)[step:]
        resumed = take(open_source(data, "train", 4).training(5, 9, start_step=step), 2)
        np.testing.assert_array_equal(whole, resumed)
        other = take(source.training(5, seed=10, start_step=step), 2)
        assert not np.array_equal(whole, other)


@pytest.mark.parametrize(("compression", "dtype"), [("gzip", np.float16), ("", np.float32), ("gzip", np.float32)])
def test_how_percepts_are_stored_does_not_change_the_stream(tmp_path, percepts, compression, dtype):
    write_percepts(tmp_path / "other", compression, dtype)
    other = open_source(DataConfig(path=str(tmp_path / "other"), stride=2), "train", 4)
    source = open_source(percepts[0], "train", 4)
    np.testing.assert_array_equal(take(other.training(5, 0), 9), take(source.training(5, 0), 9))


def test_training_batches_are_full_and_of_static_shape(percepts, clips):
    source = open_source(percepts[0], "train", 4)
    assert source.training(5, 0).element_spec == {"frames": tf.TensorSpec((5, 4, FEATURES), tf.float32)}
    source = open_source(DataConfig(path=clips[0], stride=2, patch=6), "train", 4)
    assert source.training(3, 0).element_spec == {"frames": tf.TensorSpec((3, 4, 36), tf.uint8)}
    huge = open_source(percepts[0], "test", 4).training(100, 0)
    assert take(huge, 1)[0].shape == (100, 4, FEATURES)


def test_evaluation_sees_all_windows_in_order_or_a_seeded_choice(percepts):
    data, arrays = percepts
    source = open_source(data, "train", 4)
    expected = np.stack(all_windows(arrays, 4, 2))
    np.testing.assert_array_equal(np.concatenate(take(source.evaluation(5), 99)), expected)
    batches = take(source.evaluation(5, limit=12, seed=1), 99)
    assert [len(batch) for batch in batches] == [5, 5, 2]
    again = take(open_source(data, "train", 4).evaluation(5, limit=12, seed=1), 99)
    np.testing.assert_array_equal(np.concatenate(batches), np.concatenate(again))
    other = np.concatenate(take(source.evaluation(5, limit=12, seed=2), 99))
    assert as_set(other) != as_set(np.concatenate(batches))
    assert len(set(as_set(np.concatenate(batches)))) == 12


# ---- clips


@pytest.mark.parametrize("colour", [False, True])
def test_an_epoch_of_clips_is_every_window_once(clips, colour):
    path, grey, rgb = clips
    source = open_source(DataConfig(path=path, stride=3, colour=colour), "train", 4)
    shape = (HEIGHT, WIDTH, 3 if colour else 1)
    assert (source.features, source.dtype, source.frame_shape) == (int(np.prod(shape)), "uint8", shape)
    expected = [w.reshape(4, -1) for w in all_windows(rgb if colour else grey, 4, 3)]
    np.testing.assert_array_equal(np.concatenate(take(source.evaluation(4), 99)), expected)
    (epoch,) = take(source.training(len(expected), seed=0), 1)
    assert as_set(epoch) == as_set(expected) and not np.array_equal(epoch, expected)


def crops_of(windows, size):
    """Every crop of every window: {bytes: (window, top, left)}."""
    return {
        window[:, top : top + size, left : left + size].tobytes(): (number, top, left)
        for number, window in enumerate(windows)
        for top in range(HEIGHT - size + 1)
        for left in range(WIDTH - size + 1)
    }


def test_training_crops_come_from_everywhere_in_the_frames(clips):
    path, grey, _ = clips
    source = open_source(DataConfig(path=path, stride=3, patch=6), "train", 4)
    assert source.frame_shape == (6, 6, 1) and source.features == 36
    known = crops_of(all_windows(grey, 4, 3), 6)
    places = [known[crop.tobytes()] for batch in take(source.training(8, seed=0), 60) for crop in batch]
    windows, tops, lefts = zip(*places, strict=True)
    assert set(windows) == set(range(source.windows))
    assert set(tops) == set(range(HEIGHT - 5)) and set(lefts) == set(range(WIDTH - 5))


def test_evaluation_crops_are_the_cells_of_a_grid(clips):
    path, grey, _ = clips
    data = DataConfig(path=path, stride=3, patch=5)
    crops = np.concatenate(take(open_source(data, "train", 4).evaluation(7), 999))
    expected = [
        window[:, top : top + 5, left : left + 5].reshape(4, -1)
        for window in all_windows(grey, 4, 3)
        for top in (1, 6)
        for left in (0, 5, 10, 15)
    ]
    np.testing.assert_array_equal(crops, expected)
    chosen = [np.concatenate(take(open_source(data, "train", 4).evaluation(7, 20, seed=3), 9)) for _ in range(2)]
    np.testing.assert_array_equal(*chosen)
    assert len(chosen[0]) == 20 and set(as_set(chosen[0])) <= set(as_set(expected))


@pytest.mark.parametrize("settings", [{}, {"patch": 6}, {"colour": True}, {"patch": 6, "colour": True}])
def test_statistics_of_pixels_are_those_of_each_channel(clips, settings):
    path, grey, colour = clips
    statistics = open_source(DataConfig(path=path, stride=3, **settings), "train", 4).statistics()
    windows = np.stack(all_windows(colour if "colour" in settings else grey, 4, 3)) / 255
    if "patch" in settings:
        top, left = HEIGHT % 6 // 2, WIDTH % 6 // 2
        windows = windows[:, :, top : top + HEIGHT // 6 * 6, left : left + WIDTH // 6 * 6]
    pixels = windows.reshape(-1, windows.shape[-1])
    features = open_source(DataConfig(path=path, stride=3, **settings), "train", 4).features
    for name, expected in (("mean", pixels.mean(axis=0)), ("deviation", pixels.std(axis=0))):
        np.testing.assert_allclose(statistics[name], np.tile(expected, features // len(expected)), rtol=1e-9)


def test_settings_that_do_not_fit_are_told(clips, percepts, tmp_path):
    with pytest.raises(ConfigError, match="at most 12"):
        open_source(DataConfig(path=clips[0], patch=13), "train", 4)
    with pytest.raises(ShardError, match=r"at least 22 frames.*at most 21"):
        open_source(percepts[0], "train", 22)
    with pytest.raises(ShardError, match="only train"):
        open_source(DataConfig(path=clips[0]), "validation", 4)
    big = {"frames": np.zeros((4, 120, 170, 1), np.uint8)}
    write_shards([big], tmp_path / "big")
    with pytest.raises(ConfigError, match="--patch"):
        open_source(DataConfig(path=str(tmp_path / "big")), "train", 4)
    write_shards([big, {"frames": np.zeros((4, 16, 16, 1), np.uint8)}], tmp_path / "mixed")
    with pytest.raises(ShardError, match="--size"):
        open_source(DataConfig(path=str(tmp_path / "mixed"), patch=8), "train", 4)


# ---- labelled blocks


@pytest.mark.parametrize("kind", ["percepts", "clips"])
def test_evaluation_holds_every_block_of_every_video_and_pads_short_ones(percepts, clips, kind):
    arrays = percepts[1] if kind == "percepts" else [array.reshape(len(array), -1) for array in clips[1]]
    data = percepts[0] if kind == "percepts" else DataConfig(path=clips[0])
    blocks = labelled_blocks(data, "train", 8, 3)
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


def test_training_draws_every_block_once_per_epoch_with_its_label(percepts):
    blocks = labelled_blocks(percepts[0], "train", 8, 3)
    (epoch,) = blocks.training(blocks.blocks, seed=2).take(1)
    evaluated = next(iter(blocks.evaluation(blocks.blocks)))
    assert as_set(epoch["frames"].numpy()) == as_set(evaluated["frames"].numpy())
    np.testing.assert_array_equal(epoch["frames"].numpy()[:, 0, 0].astype(int), epoch["video"])
    np.testing.assert_array_equal(epoch["video"].numpy() % 2, epoch["label"])
    assert epoch["mask"].dtype == tf.bool and epoch["label"].dtype == epoch["video"].dtype == tf.int32
    resumed = take(blocks.training(4, 2, start_step=3), 2)
    np.testing.assert_array_equal(resumed, take(blocks.training(4, 2), 5)[3:])


def test_a_subset_has_as_many_videos_of_every_class(percepts):
    whole = labelled_blocks(percepts[0], "train", 4, 2)
    subsets = []
    for seed in range(6):
        subset = labelled_blocks(percepts[0], "train", 4, 2, seed=seed, videos_per_class=2)
        assert subset.videos == 4 and sorted(subset.video_labels) == [0, 0, 1, 1]
        (batch,) = subset.evaluation(999)
        assert sorted(set(batch["video"].numpy())) == [0, 1, 2, 3]
        records = batch["frames"].numpy()[:, 0, 0].astype(int)
        subsets.append(frozenset(records))
        assert len(subsets[-1]) == 4 and (records % 2 == batch["label"].numpy()).all()
    assert len(set(subsets)) > 1
    again = labelled_blocks(percepts[0], "train", 4, 2, seed=0, videos_per_class=2)
    (batch,) = again.evaluation(999)
    assert frozenset(batch["frames"].numpy()[:, 0, 0].astype(int)) == subsets[0]
    assert whole.videos == 8
    with pytest.raises(ShardError, match=r"at least 5 videos of class 'a'.*4"):
        labelled_blocks(percepts[0], "train", 4, 2, videos_per_class=5)


def test_pieces_of_one_path_are_one_video(tmp_path):
    piece = np.ones((6, 3), np.float32)
    paths = ["x", "y", "x", "z", "y"]
    records = [{"frames": piece * n, "path": path, "label": path} for n, path in enumerate(paths)]
    write_shards(records, tmp_path / "out", shards=2)
    blocks = labelled_blocks(DataConfig(path=str(tmp_path / "out")), "train", 4, 4)
    (batch,) = blocks.evaluation(9)
    assert blocks.videos == 3 and batch["video"].numpy().tolist() == [0, 1, 0, 2, 1]
    assert batch["label"].numpy().tolist() == [0, 1, 0, 2, 1]


def test_unlabelled_records_cannot_train_a_classifier(tmp_path):
    write_shards([{"frames": np.ones((6, 3), np.float32)}], tmp_path / "out")
    with pytest.raises(ShardError, match="--labels"):
        labelled_blocks(DataConfig(path=str(tmp_path / "out")), "train", 4, 4)
    with pytest.raises(ConfigError, match="labelled"):
        labelled_blocks(DataConfig(), "train", 4, 4)


# ---- moving digits


def test_generated_sequences_are_those_of_moving_mnist():
    source = open_source(DataConfig(num_digits=3), "test", 5)
    assert (source.features, source.dtype, source.frame_shape) == (4096, "uint8", (64, 64, 1))
    expected = MovingMNIST(num_digits=3, frames=5, seed=7, split="test").sequences(0, 30).reshape(30, 5, 4096)
    assert source.training(4, 7).element_spec == {"frames": tf.TensorSpec((4, 5, 4096), tf.uint8)}
    np.testing.assert_array_equal(np.concatenate(take(source.training(4, 7, start_step=2), 3)), expected[8:20])
    batches = take(source.evaluation(4, 10, seed=7), 99)
    assert [len(batch) for batch in batches] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate(batches), expected[:10])
    with pytest.raises(ConfigError, match="patch"):
        open_source(DataConfig(patch=8), "train", 5)


def test_crops_of_percepts_are_refused(tmp_path):
    write_shards([{"frames": np.zeros((4, 3), np.float32)}], tmp_path / "percepts")
    with pytest.raises(ConfigError, match="no pixels"):
        open_source(DataConfig(path=str(tmp_path / "percepts"), patch=2), "train", 2)
