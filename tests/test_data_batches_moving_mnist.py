"""Moving MNIST as a source: drawn on the fly, and the community's file of it."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from videorep.config import DataConfig
from videorep.data.batches.sources import open_source
from videorep.data.digits.moving_mnist import MovingMNIST
from videorep.errors import ConfigError, DataError


def take(dataset, count):
    return [batch["frames"].numpy() for batch in dataset.take(count)]


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


def test_digits_may_be_of_another_speed():
    source = open_source(DataConfig(speed=(0.02, 0.3)), "test", 4)
    expected = MovingMNIST(frames=4, split="test", speed=(0.02, 0.3)).sequences(0, 3).reshape(3, 4, 4096)
    np.testing.assert_array_equal(take(source.evaluation(3, 3), 1)[0], expected)
    assert source.provenance["speed"] == [0.02, 0.3]
    assert DataConfig(speed=(0.2,)).speed == (0.2, 0.2)
    for wrong in ((0.3, 0.1), (-0.1, 0.1), (0.1, 1.1), (float("nan"),), (), (0.1, 0.1, 0.1)):
        with pytest.raises(ConfigError, match="speed"):
            DataConfig(speed=wrong)


@pytest.fixture
def sequences():
    """A small file in the community's layout: time first."""
    return np.random.default_rng(0).integers(0, 256, (20, 7, 64, 64), np.uint8)


def save(path, array, **options):
    np.save(path, array, **options)
    return DataConfig(path=str(path))


@pytest.mark.parametrize("fortran", [False, True])
def test_the_file_gives_its_first_sequences_whatever_the_batches(sequences, tmp_path, fortran):
    data = save(tmp_path / "mnist_test_seq.npy", np.asfortranarray(sequences) if fortran else sequences)
    source = open_source(data, "test", 12)
    assert (source.windows, source.features, source.frame_shape) == (7, 4096, (64, 64, 1))
    expected = sequences.swapaxes(0, 1)[:, :12].reshape(7, 12, 4096)
    assert [len(batch) for batch in take(source.evaluation(3), 99)] == [3, 3, 1]
    for size in (1, 3, 50):
        np.testing.assert_array_equal(np.concatenate(take(source.evaluation(size), 99)), expected)
        np.testing.assert_array_equal(np.concatenate(take(source.evaluation(size, 5), 99)), expected[:5])
    assert isinstance(source._array, np.memmap), "800 MB are never read at once"


def test_what_is_no_such_file_is_refused_in_a_sentence(sequences, tmp_path):
    path = tmp_path / "other.npy"
    wrong = [
        sequences.swapaxes(0, 1),
        sequences.astype(np.float32),
        sequences[:10],
        sequences[..., :32],
        sequences[:, :, 0],
        np.zeros(3, np.uint8),
    ]
    for array in wrong:
        with pytest.raises(DataError, match=r"uint8 frames \(20, N, 64, 64\), time first.*received"):
            open_source(save(path, array), "test", 20)
    objects = np.empty((20, 1, 64, 64), object)
    with pytest.raises(DataError, match="Python objects"):
        open_source(save(path, objects, allow_pickle=True), "test", 20)
    whole = save(path, sequences) and path.read_bytes()
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (20, %d, 64, 64), }" % 10**30
    promise = whole[:8] + len(header + b"\n").to_bytes(2, "little") + header + b"\n"
    for content in (b"", whole[:5], whole[:100], whole[:-1], b"PK\3\4" + whole[4:], promise, b"\x80" * 200):
        path.write_bytes(content)
        with pytest.raises(DataError, match="fetch it again"):
            open_source(DataConfig(path=str(path)), "test", 20)
    for missing in (tmp_path / "none.npy", tmp_path):
        with pytest.raises(DataError, match="check the path"):
            open_source(DataConfig(path=f"{missing}{'' if missing.suffix else '/x.NPY'}"), "test", 20)


def test_the_file_is_for_tests_of_grey_whole_frames_and_ends(sequences, tmp_path):
    data = save(tmp_path / "mnist_test_seq.npy", sequences[:, :1])
    with pytest.raises(ConfigError, match="train on other data"):
        open_source(data, "train", 20)
    with pytest.raises(ConfigError, match="--horizon"):
        open_source(data, "test", 21)
    for change in ({"patch": 8}, {"colour": True}):
        with pytest.raises(ConfigError, match="moving-mnist"):
            open_source(dataclasses.replace(data, **change), "test", 20)
    with pytest.raises(ConfigError, match="alone"):
        open_source(dataclasses.replace(data, also=("shards",)), "train", 20)
