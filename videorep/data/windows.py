"""Windows of frames cut from records: their list, their shuffled endless order, and reading them by position.

dataset.json says where every record lies, so draw d of a stream is found by arithmetic: nothing is read to skip. A
window of percepts is read alone, a window of a clip with its record (the images outside are not decoded).
"""

import functools
import os
import zlib

import numpy as np

from videorep.data.dataset import HEADER_BYTES
from videorep.data.schema import extract_images
from videorep.storage import fetch

GZIP_WINDOW_BITS = 31


def list_windows(frames, length, stride, pad=False):
    """Every window of `length` frames that begins at a multiple of `stride`.

    Args:
        frames: (N,) frames of each record.
        length, stride: Positive ints.
        pad: Whether a record shorter than `length` has one window all the same.
    Returns:
        (record, start): two (W,) int64 arrays, in the order of the records.
    """
    counts = np.where(frames >= length, (frames - length) // stride + 1, int(pad))
    record = np.repeat(np.arange(len(frames)), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    return record, (np.arange(len(record)) - first) * stride


class ShuffledOrder:
    """The numbers 0..count-1 over and over, each time in a new order that (seed, epoch) decides."""

    def __init__(self, count, seed):
        self._count, self._seed = count, seed
        self._order = functools.lru_cache(maxsize=2)(self._shuffle)

    def _shuffle(self, epoch):
        return make_generator(self._seed, epoch).permutation(self._count)

    def draw(self, first, count=1):
        """Draws `first` to `first + count - 1` of the stream: (count,) int64."""
        epochs, places = np.divmod(np.arange(first, first + count), self._count)
        drawn = np.empty(count, np.int64)
        for epoch in range(epochs[0], epochs[-1] + 1):
            drawn[epochs == epoch] = self._order(epoch)[places[epochs == epoch]]
        return drawn


def make_generator(*entropy):
    """A NumPy generator that whole numbers of at least 0 decide."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


class RecordReader:
    """Reads one split's records, or frames of percepts, by number. A shard at a URL is copied here when first read.

    Args:
        dataset: `Dataset`.
        split: Name of the split.
    """

    def __init__(self, dataset, split):
        self.index = dataset.index(split)
        self._paths = dataset.paths(split)
        self._compression = dataset.compression
        if dataset.kind == "percepts":
            self.dtype = np.dtype(dataset.dtype).newbyteorder("<")
            self._row = dataset.features * self.dtype.itemsize
            self._features = dataset.features

    def clip_images(self, number, start, length):
        """The encoded images of frames `start` to `start + length - 1` of one clip, fewer at its end: (n,) bytes."""
        row = self.index[number]
        with open(fetch(self._paths[row["shard"]]), "rb", buffering=0) as file:
            serialized = os.pread(file.fileno(), row["size"], row["offset"] + HEADER_BYTES)
        return np.array(extract_images(serialized, int(start), length), object)

    def percept_windows(self, records, starts, length):
        """Frames `start` to `start + length - 1` of each percept, zeros behind its end: (B, length, D), as stored."""
        windows = np.zeros((len(records), length, self._features), self.dtype)
        for window, number, start in zip(windows, records, starts, strict=True):
            count = min(length, int(self.index[number]["frames"]) - int(start))
            self._read_frames(window[:count], number, int(start))
        return windows

    def _read_frames(self, frames, number, start):
        row = self.index[number]
        with open(fetch(self._paths[row["shard"]]), "rb", buffering=0) as file:
            if not self._compression:
                os.preadv(file.fileno(), [frames.reshape(-1).view(np.uint8)], row["payload"] + start * self._row)
                return
            end = row["offset"] + HEADER_BYTES + row["size"]
            packed = os.pread(file.fileno(), end - row["payload"], row["payload"])
        raw = zlib.decompressobj(GZIP_WINDOW_BITS).decompress(packed, (start + len(frames)) * self._row)
        frames[...] = np.frombuffer(raw, self.dtype).reshape(-1, self._features)[start:]


def spread(count, most):
    """At most `most` of the numbers 0..count-1, evenly spread, ends included."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
