"""Streams of windows as tf.data: batches {"frames": (B, T, D), "window": (B,) number of the window}.

Step k of a training stream takes draws k*B to k*B + B - 1 of an endless, reshuffled order; both streams find them by
arithmetic, so that starting at step k costs no more than starting at 0.
"""

import functools

import numpy as np
import tensorflow as tf

from videorep.config import require
from videorep.data.batches.windows import ShuffledOrder, list_windows
from videorep.data.python_functions import call_python, readable
from videorep.data.sampling import make_generator
from videorep.data.shards.record_reader import RecordReader
from videorep.data.shards.statistics import FeatureStatistics
from videorep.errors import ShardError

MOST_FEATURES = 20_000
CROPS_PER_WINDOW = 8
STATISTICS_WINDOWS, STATISTICS_SEED = 500, 0
CROP_STREAM, CHOICE_STREAM = 1, 2  # keep the random numbers of crops and of choices apart from those of the order


class PerceptStream:
    """Windows of one split of percepts, float32.

    Args:
        length: T, frames of a window.
        stride: Frames between the starts of neighbouring windows.
        pad: Whether a shorter record has one window, with zeros behind its end.
        chosen: (N,) bool, the records to take; all where None.
    """

    dtype = "float32"
    frame_shape = None
    cells = 1

    def __init__(self, dataset, split, data, length, stride, pad=False, chosen=None):
        if dataset.kind == "percepts":
            require(data.patch == 0, "patch", "0 with percepts, which have no pixels", data.patch)
            require(not data.colour, "colour", "off with percepts, which have no pixels", data.colour)
        self._reader = RecordReader(dataset, split)
        self._dtype, self._length, self._statistics = dataset.dtype, length, dataset.statistics
        self.features = dataset.features if dataset.features is not None else 0
        frames = self._reader.index["frames"]
        members = slice(None) if chosen is None else np.flatnonzero(chosen)
        self.records, self.starts = list_windows(frames[members], length, stride, pad)
        if chosen is not None:
            self.records = members[self.records]
        self.short_records = int(np.sum(frames < length))
        if not len(self.records):
            longest = int(frames.max(initial=0))
            raise ShardError(
                f"expected records of at least {length} frames in split {split!r} of {dataset.folder}, received "
                f"{len(frames)} of at most {longest}; ask for fewer frames or build longer clips"
            )

    @functools.cached_property
    def valid(self):
        """How many frames of each window are of its record: (W,) int64; the others are padded."""
        return np.minimum(self._length, self._reader.index["frames"][self.records] - self.starts)

    def training(self, batch_size, seed, start_step, part=None):
        """Endless batches of `batch_size`, beginning with that of step `start_step`; of each the `part`, a range."""
        order, part = ShuffledOrder(len(self.records), seed), part or range(batch_size)

        def windows(step):
            return order.draw(int(step) * batch_size + part.start, len(part))

        def draw(step):
            return tf.ensure_shape(call_python(windows, [step], tf.int64), [len(part)])

        return self._read(tf.data.Dataset.counter(start_step).map(draw))

    def evaluation(self, items, batch_size):
        """Finite batches of the given (window, cell) numbers, `items` (N,) = window * cells + cell."""
        return self._read(tf.data.Dataset.from_tensor_slices(np.asarray(items, np.int64)).batch(batch_size))

    def statistics(self):
        """Mean and deviation of every feature, {"mean": (D,), "deviation": (D,), ...}, as the build found them."""
        return self._statistics

    def _read(self, windows):
        def read(window):
            frames = call_python(self._read_frames, [window], self._dtype)
            frames = tf.ensure_shape(frames, [window.shape[0], self._length, self.features])
            return {"frames": tf.cast(frames, tf.float32), "window": window}

        return windows.map(read, num_parallel_calls=2).prefetch(4)

    def _read_frames(self, window):
        return self._reader.percept_windows(self.records[window], self.starts[window], self._length)


class ClipStream(PerceptStream):
    """Windows of one split of clips, uint8 pixels: whole frames, or crops of `data.patch` pixels a side.

    With crops, every window that is decoded for training gives `CROPS_PER_WINDOW` of them; evaluation divides the frame
    into a grid of crops, its cells.
    """

    dtype = "uint8"

    def __init__(self, dataset, split, data, length, stride, pad=False, chosen=None):
        super().__init__(dataset, split, data, length, stride, pad, chosen)
        height, width = dataset.height, dataset.width
        if None in (height, width):
            raise ShardError(
                f"expected percepts, or clips of one size, in {dataset.folder}, received clips of several; build "
                "percepts from them (videorep build-shards percepts), or build them again with --size HxW"
            )
        self._size, self._patch = (height, width), data.patch
        require(
            data.patch <= min(height, width), "patch", f"at most {min(height, width)}, the side of a frame", data.patch
        )
        side = (data.patch, data.patch) if data.patch else (height, width)
        self.frame_shape = (*side, 3 if data.colour else 1)
        self.features = int(np.prod(self.frame_shape))
        require(
            self.features <= MOST_FEATURES,
            f"a frame of {dataset.folder}",
            f"at most {MOST_FEATURES:,} numbers (build percepts from the clips with videorep build-shards percepts, or "
            "build clips of a smaller --size, or pretrain on --patch N)",
            self.features,
        )
        self._grid = _grid(height, width, data.patch)
        self.cells = len(self._grid)

    def training(self, batch_size, seed, start_step, part=None):
        """As of percepts. A clip of which nothing is in the `part` is not decoded."""
        order, part = ShuffledOrder(len(self.records), seed), part or range(batch_size)
        share, first = CROPS_PER_WINDOW if self._patch else 1, start_step * batch_size

        def is_wanted(group, places):
            sequences = group * share + places
            in_batch = sequences % batch_size
            return (sequences >= first) & (in_batch >= part.start) & (in_batch < part.stop)

        def draw(group):
            room = np.array(self._size) - self.frame_shape[:2] + 1
            crops = make_generator(seed, CROP_STREAM, group).integers(0, room, (share, 2))
            return order.draw(int(group))[0], crops[is_wanted(int(group), np.arange(share))]

        groups = tf.data.Dataset.counter(first // share)
        if len(part) < batch_size:
            groups = groups.filter(lambda group: tf.reduce_any(is_wanted(group, tf.range(share, dtype=tf.int64))))
        return self._read(groups, draw).batch(len(part), drop_remainder=True).prefetch(4)

    def evaluation(self, items, batch_size):
        """Finite batches of the given (window, cell) numbers, `items` (N,) = window * cells + cell."""

        def draw(item):
            return item // self.cells, self._grid[[item % self.cells]]

        items = tf.data.Dataset.from_tensor_slices(np.asarray(items, np.int64))
        return self._read(items, draw).batch(batch_size).prefetch(2)

    def statistics(self):
        """Mean, deviation and share of zeros of pixels in [0, 1], one for each channel, repeated for every feature.

        From the frames of at most `STATISTICS_WINDOWS` windows or crops, always the same ones.
        """
        channels, statistics = self.frame_shape[-1], FeatureStatistics()
        items = choose_items(len(self.records) * self.cells, STATISTICS_WINDOWS, STATISTICS_SEED)
        for batch in readable(self.evaluation(items, batch_size=16)):
            is_frame = np.arange(self._length) < self.valid[batch["window"].numpy()][:, None]
            statistics.add(batch["frames"].numpy()[is_frame].reshape(-1, channels) / 255)
        return {name: np.tile(values, self.features // channels) for name, values in statistics.moments().items()}

    def _read(self, numbers, draw):
        """One sequence per element, decoded in parallel and in order; `draw(number)` gives a window and its crops."""

        def read(number):
            window, crops = draw(number)
            first = self.starts[window]
            places = range(first, first + self._length)
            frames = self._reader.clip_frames(self.records[window], places, self.frame_shape[-1])
            return frames, window, crops

        def fetch(number):
            frames, window, crops = call_python(read, [number], (tf.uint8, tf.int64, tf.int64))
            frames = tf.ensure_shape(frames, [None, *self._size, self.frame_shape[-1]])
            return self._cut(frames, tf.ensure_shape(window, []), tf.ensure_shape(crops, [None, 2]))

        return numbers.map(fetch, num_parallel_calls=tf.data.AUTOTUNE).unbatch()

    def _cut(self, frames, window, crops):
        height, width, _ = self.frame_shape

        def cut(corner):
            return frames[:, corner[0] : corner[0] + height, corner[1] : corner[1] + width]

        sequences = tf.map_fn(cut, crops, fn_output_signature=tf.uint8) if self._patch else frames[None]
        count = tf.shape(frames)[0]
        sequences = tf.reshape(sequences, [-1, count, self.features])
        sequences = tf.pad(sequences, [[0, 0], [0, self._length - count], [0, 0]])
        sequences = tf.ensure_shape(sequences, [None, self._length, self.features])
        return {"frames": sequences, "window": tf.repeat(window, tf.shape(crops)[0])}


def open_stream(dataset, *args, **kwargs):
    """The stream class that fits the dataset's kind."""
    return (ClipStream if dataset.kind == "clips" else PerceptStream)(dataset, *args, **kwargs)


def choose_items(count, limit, seed):
    """Numbers 0..count-1 in order, or where there are more than `limit` a seeded choice of them, in order."""
    if limit is None or count <= limit:
        return np.arange(count)
    return np.sort(make_generator(seed, CHOICE_STREAM).choice(count, limit, replace=False))


def _grid(height, width, patch):
    """(top, left) of the cells of a centred grid of crops: (cells, 2); the corner alone without crops."""
    if not patch:
        return np.zeros((1, 2), np.int64)
    tops = np.arange(height // patch) * patch + height % patch // 2
    lefts = np.arange(width // patch) * patch + width % patch // 2
    return np.stack(np.meshgrid(tops, lefts, indexing="ij"), -1).reshape(-1, 2)
