"""From shards to batches: every window once, in an order that position and seed decide, with the right values."""

import numpy as np
import pytest
import tensorflow as tf
from batch_shards import FEATURES, HEIGHT, WIDTH, all_windows, as_set, take, write_percepts

from videorep.config import DataConfig
from videorep.data import write_shards
from videorep.data.batches.moving_mnist import GeneratedSource
from videorep.data.batches.several import SeveralSources
from videorep.data.batches.sources import open_source
from videorep.errors import ConfigError, ShardError
from videorep.training.feeding import ScheduledSource


def test_an_epoch_of_percepts_is_every_window_once(stored_percepts):
    data, arrays = stored_percepts
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
def test_the_position_decides_the_batch(stored_percepts, stored_clips, step):
    for data in (
        stored_percepts[0],
        DataConfig(path=stored_clips[0], stride=2),
        DataConfig(path=stored_clips[0], stride=2, patch=6),
    ):
        source = open_source(data, "train", 4)
        whole = take(source.training(5, seed=9), step + 2)[step:]
        resumed = take(open_source(data, "train", 4).training(5, 9, start_step=step), 2)
        np.testing.assert_array_equal(whole, resumed)
        other = take(source.training(5, seed=10, start_step=step), 2)
        assert not np.array_equal(whole, other)


@pytest.mark.parametrize("step", [0, 5])
def test_parts_make_up_the_whole(stored_percepts, stored_clips, step):
    """Batches shared out among three workers, unevenly; of crops eight come of a window, over the ends of parts."""
    sources = [open_source(stored_percepts[0], "train", 4), GeneratedSource(DataConfig("moving-mnist"), "train", 4)]
    sources += [open_source(DataConfig(stored_clips[0], stride=2, patch=patch), "train", 4) for patch in (0, 6)]
    sources.append(SeveralSources([sources[0], sources[0]]))
    for source in [*sources, ScheduledSource(sources[0], 4, 100)]:
        for key in source.training(11, 9).element_spec:
            whole = take(source.training(11, 9, step), 4, key)
            parts = [take(source.training(11, 9, step, part), 4, key) for part in map(range, (0, 3, 7), (3, 7, 11))]
            np.testing.assert_array_equal(whole, [np.concatenate(each) for each in zip(*parts, strict=True)])


@pytest.mark.parametrize(("compression", "dtype"), [("gzip", np.float16), ("", np.float32), ("gzip", np.float32)])
def test_how_percepts_are_stored_does_not_change_the_stream(tmp_path, stored_percepts, compression, dtype):
    write_percepts(tmp_path / "other", compression, dtype)
    other = open_source(DataConfig(path=str(tmp_path / "other"), stride=2), "train", 4)
    source = open_source(stored_percepts[0], "train", 4)
    np.testing.assert_array_equal(take(other.training(5, 0), 9), take(source.training(5, 0), 9))


def test_training_batches_are_full_and_of_static_shape(stored_percepts, stored_clips):
    source = open_source(stored_percepts[0], "train", 4)
    assert source.training(5, 0).element_spec == {"frames": tf.TensorSpec((5, 4, FEATURES), tf.float32)}
    source = open_source(DataConfig(path=stored_clips[0], stride=2, patch=6), "train", 4)
    assert source.training(3, 0).element_spec == {"frames": tf.TensorSpec((3, 4, 36), tf.uint8)}
    huge = open_source(stored_percepts[0], "test", 4).training(100, 0)
    assert take(huge, 1)[0].shape == (100, 4, FEATURES)


def test_evaluation_sees_all_windows_in_order_or_a_seeded_choice(stored_percepts):
    data, arrays = stored_percepts
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


@pytest.mark.parametrize("colour", [False, True])
def test_an_epoch_of_clips_is_every_window_once(stored_clips, colour):
    path, grey, rgb = stored_clips
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


def test_training_crops_come_from_everywhere_in_the_frames(stored_clips):
    path, grey, _ = stored_clips
    source = open_source(DataConfig(path=path, stride=3, patch=6), "train", 4)
    assert source.frame_shape == (6, 6, 1) and source.features == 36
    known = crops_of(all_windows(grey, 4, 3), 6)
    places = [known[crop.tobytes()] for batch in take(source.training(8, seed=0), 60) for crop in batch]
    windows, tops, lefts = zip(*places, strict=True)
    assert set(windows) == set(range(source.windows))
    assert set(tops) == set(range(HEIGHT - 5)) and set(lefts) == set(range(WIDTH - 5))


def test_evaluation_crops_are_the_cells_of_a_grid(stored_clips):
    path, grey, _ = stored_clips
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
def test_statistics_of_pixels_are_those_of_each_channel(stored_clips, settings):
    path, grey, colour = stored_clips
    statistics = open_source(DataConfig(path=path, stride=3, **settings), "train", 4).statistics()
    windows = np.stack(all_windows(colour if "colour" in settings else grey, 4, 3)) / 255
    if "patch" in settings:
        top, left = HEIGHT % 6 // 2, WIDTH % 6 // 2
        windows = windows[:, :, top : top + HEIGHT // 6 * 6, left : left + WIDTH // 6 * 6]
    pixels = windows.reshape(-1, windows.shape[-1])
    features = open_source(DataConfig(path=path, stride=3, **settings), "train", 4).features
    for name, expected in (("mean", pixels.mean(axis=0)), ("deviation", pixels.std(axis=0))):
        np.testing.assert_allclose(statistics[name], np.tile(expected, features // len(expected)), rtol=1e-9)


def test_settings_that_do_not_fit_are_told(stored_clips, stored_percepts, tmp_path):
    with pytest.raises(ConfigError, match="at most 12"):
        open_source(DataConfig(path=stored_clips[0], patch=13), "train", 4)
    with pytest.raises(ShardError, match=r"at least 22 frames.*at most 21"):
        open_source(stored_percepts[0], "train", 22)
    with pytest.raises(ShardError, match="only train"):
        open_source(DataConfig(path=stored_clips[0]), "validation", 4)
    big = {"frames": np.zeros((4, 120, 170, 1), np.uint8)}
    write_shards([big], tmp_path / "big")
    with pytest.raises(ConfigError, match="--patch"):
        open_source(DataConfig(path=str(tmp_path / "big")), "train", 4)
    write_shards([big, {"frames": np.zeros((4, 16, 16, 1), np.uint8)}], tmp_path / "mixed")
    with pytest.raises(ShardError, match="--size"):
        open_source(DataConfig(path=str(tmp_path / "mixed"), patch=8), "train", 4)


def test_crops_of_percepts_are_refused(tmp_path):
    write_shards([{"frames": np.zeros((4, 3), np.float32)}], tmp_path / "percepts")
    with pytest.raises(ConfigError, match="no pixels"):
        open_source(DataConfig(path=str(tmp_path / "percepts"), patch=2), "train", 2)
