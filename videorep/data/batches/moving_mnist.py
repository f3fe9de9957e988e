"""Moving MNIST as sources of sequences: made on the fly without end, or the community's test file."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from videorep.config import require
from videorep.data.array_files import GARBLED
from videorep.data.digits.moving_mnist import MovingMNIST
from videorep.data.python_functions import ReadableDataset, call_python
from videorep.errors import DataError

FILE_FRAMES, FILE_SIDE = 20, 64


class GeneratedSource:
    """Moving MNIST made on the fly; attributes and methods as in `ShardSource`."""

    dtype = "uint8"
    labels = ()

    def __init__(self, data, split, frames):
        _require_whole_grey(data)
        self._data, self._split, self._frames = data, split, frames
        example = self._generator(0)
        self.frame_shape = (example.size, example.size, 1)
        self.features = example.size**2
        self.provenance = {key: value for key, value in example.provenance.items() if key != "seed"}
        self.provenance["frame_shape"] = list(self.frame_shape)

    def statistics(self):
        """None: digits keep their [0, 1]."""

    def _generator(self, seed):
        data = self._data
        return MovingMNIST(data.digits, data.num_digits, self._frames, seed=seed, split=self._split, speed=data.speed)

    def training(self, batch_size, seed, start_step=0, part=None):
        """Endless full batches {"frames": (B, T, D) uint8}, beginning with that of `start_step`; `part` as there."""
        shape = (len(part or range(batch_size)), self._frames, self.features)
        batches = self._generator(seed).dataset(batch_size, start_step, part)
        return batches.map(lambda frames: {"frames": tf.reshape(frames, shape)})

    def evaluation(self, batch_size, limit, seed=0):
        """Finite batches {"frames": (b, T, D) uint8} of the first `limit` sequences; the last may be short."""
        generator = self._generator(seed)

        def read(first, end):
            return generator.sequences(first, end - first)

        return _in_order(read, limit, batch_size, (self._frames, self.features))


class FileSource:
    """The community's test set, `mnist_test_seq.npy`; attributes and methods as in `ShardSource`.

    uint8 (20, N, 64, 64), time first. The file is mapped into memory: only what is looked at is read.
    """

    dtype = "uint8"
    labels = ()
    frame_shape = (FILE_SIDE, FILE_SIDE, 1)
    features = FILE_SIDE**2

    def __init__(self, data, split, frames):
        _require_whole_grey(data)
        require(split == "test", f"the split of {data.path}", "test, which is all it has", split, "train on other data")
        name = f"frames of a sequence of {data.path}"
        require(frames <= FILE_FRAMES, name, f"at most {FILE_FRAMES}", frames, "lower --horizon")
        self._array, self._frames = _map_sequences(data.path), frames
        self.windows = self._array.shape[1]

    def evaluation(self, batch_size, limit=None, seed=0):
        """Finite batches {"frames": (b, T, D) uint8} of all sequences or the first `limit`; the last may be short."""

        def read(first, end):
            return np.swapaxes(self._array[: self._frames, first:end], 0, 1)

        count = min(limit or self.windows, self.windows)
        return _in_order(read, count, batch_size, (self._frames, self.features))


def _require_whole_grey(data):
    require(data.patch == 0, "patch", "0 with moving-mnist", data.patch)
    require(not data.colour, "colour", "off with moving-mnist", data.colour)


def _in_order(read, count, batch_size, shape):
    """Finite batches {"frames": (b, T, D) uint8} of sequences 0 to count - 1, which `read(first, end)` gives."""

    def sequences(first):
        return read(int(first), min(int(first) + batch_size, count)).reshape(-1, *shape)

    def draw(first):
        return {"frames": tf.ensure_shape(call_python(sequences, [first], tf.uint8), [None, *shape])}

    return ReadableDataset(tf.data.Dataset.range(0, count, batch_size).map(draw).prefetch(2))


def _map_sequences(path):
    """The array (20, N, 64, 64) uint8 of a file, mapped into memory; nothing in it can be run (no pickles)."""
    shape = f"({FILE_FRAMES}, N, {FILE_SIDE}, {FILE_SIDE})"
    wanted = f"expected uint8 frames {shape}, time first, as mnist_test_seq.npy has, in {path}"
    if not Path(path).is_file():
        raise DataError(f"{wanted}, received no file; check the path")
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except GARBLED as error:
        raise DataError(f"{wanted}, received what is no such file: {error}; fetch it again") from error
    frames, sequences, *sides = array.shape if array.ndim == 4 else (0, 0)
    fits = array.dtype == np.uint8 and sequences and [frames, *sides] == [FILE_FRAMES, FILE_SIDE, FILE_SIDE]
    if not fits:
        raise DataError(f"{wanted}, received {array.dtype} {array.shape}; bring the axes into this order, as bytes")
    return array
