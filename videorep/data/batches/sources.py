"""How shards, or generated sequences, become training arrays (tf.data).

The position (seed, step) decides a batch, so that a run resumed at step k sees what an uninterrupted one would have
seen; `videorep.data.batches.streams` says how.
"""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from videorep.config import DIGITS, MOVING_MNIST, are_shards, require
from videorep.data.batches.moving_mnist import FileSource, GeneratedSource
from videorep.data.batches.several import TRAIN, SeveralSources, require_no_leak
from videorep.data.batches.streams import choose_items, open_stream
from videorep.data.python_functions import ReadableDataset
from videorep.data.sampling import make_generator
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.read import read_frame_labels
from videorep.data.shards.verify import require_sound
from videorep.errors import ShardError

VIDEO_STREAM = 3  # keeps the random numbers of video subsets apart from those of videorep.data.batches.streams


def inputs_of(config):
    """Where a run's configuration has it read: {argument or option: path or URL, "" where there is none}."""
    data, generated = config.data, config.data.path == MOVING_MNIST
    digits = data.digits if generated and data.digits not in DIGITS else ""
    inputs = {"DATA": "" if generated else data.path, "--digits": digits, "--init": getattr(config, "init", "")}
    return inputs | {f"DATA {number}": path for number, path in enumerate(data.also, 2)}


def open_source(data, split, frames, hashed=True):
    """Opens a source of unlabelled sequences.

    Args:
        data: `DataConfig`.
        split: Name of the split; generated data has "train", "validation" and "test".
        frames: Positive int T, frames of one sequence.
        hashed: False leaves the comparison of hashes out, for a dry run.
    Returns:
        `ShardSource`, `GeneratedSource` where `data.path` is "moving-mnist", `FileSource` where it is the community's
        file of it, or `SeveralSources` to train on `data.also` too.
    Raises:
        ShardError: no such shards, damaged ones (see `require_sound`), or no record of T frames; a folder trains on
            what another tests on.
        DataError: the file is not as it should be.
        ConfigError: the frames do not fit the settings.
    """
    folders = [data.path, *data.also]
    require(len(folders) == 1 or all(map(are_shards, folders)), "DATA", "moving-mnist alone, or shards", folders)
    require(len(folders) == len(set(folders)), "DATA", "different folders", folders)
    if data.path == MOVING_MNIST:
        return GeneratedSource(data, split, frames)
    if not are_shards(data.path):
        return FileSource(data, split, frames)
    if not data.also or split != TRAIN:
        return ShardSource(data, split, frames, hashed)
    require_no_leak(folders)
    return SeveralSources(
        [ShardSource(dataclasses.replace(data, path=path, also=()), split, frames, hashed) for path in folders]
    )


class ShardSource:
    """Sequences of T frames from one split of a folder of shards.

    Attributes:
        features: D, numbers per frame; for pixels height * width * channels of `frame_shape`.
        dtype: Of the batches: "uint8" (pixels) or "float32" (percepts).
        frame_shape: (H, W, C) of a frame or crop; None for percepts.
        labels: Class names.
        windows: How many sequences an epoch has.
        provenance: What a run records of the data: shards by hash, split, shape of a frame,
            sequences, records that were too short.
    """

    def __init__(self, data, split, frames, hashed=True):
        dataset = load_dataset(data.path)
        require_sound(dataset, split, hashed)
        self._stream = open_stream(dataset, split, data, frames, data.stride)
        self.features, self.dtype = self._stream.features, self._stream.dtype
        self.frame_shape, self.labels = self._stream.frame_shape, dataset.labels
        self.windows = len(self._stream.records)
        counts = {"split": split, "windows": self.windows, "short_records": self._stream.short_records}
        self.provenance = dataset.provenance | {"frame_shape": self.frame_shape and list(self.frame_shape)} | counts

    def statistics(self):
        """{"mean": (D,), "deviation": (D,)} of the features: of percepts as stored, of pixels in [0, 1] by channel."""
        return self._stream.statistics()

    def training(self, batch_size, seed, start_step=0, part=None):
        """Endless full batches {"frames": (B, T, D)}, beginning with that of step `start_step`.

        `part` is the range of places in every batch that are wanted, all where None: B is its length. The parts of
        several workers make up the batches that one would get.
        """
        return ReadableDataset(self._stream.training(batch_size, seed, start_step, part).map(_only_frames))

    def evaluation(self, batch_size, limit=None, seed=0):
        """Finite batches {"frames": (b, T, D)}: all sequences or a seeded choice of `limit`; the last may be short."""
        items = choose_items(self.windows * self._stream.cells, limit, seed)
        return ReadableDataset(self._stream.evaluation(items, batch_size).map(_only_frames))


def _only_frames(batch):
    return {"frames": batch["frames"]}


class LabelledBlocks:
    """Blocks of T frames of one split with the label of their video; a shorter video is one block, padded and masked.

    A video is one source path: several records of one path (pieces of a long video) count as one. Where every frame has
    a class of its own, "label" in the batches is (B, T), the class of each step.

    Args:
        data: `DataConfig`; its `stride` is not used.
        split: Name of the split.
        block_frames: T.
        stride: Frames between the starts of neighbouring blocks of a video.
        seed: Decides which videos belong to a subset.
        videos_per_class: Size of a subset with the same number of videos of every class; 0 for all videos.
        hashed: False leaves the comparison of hashes out, for a dry run.
    Attributes:
        features, dtype, frame_shape, labels, provenance, statistics(): As in `ShardSource`.
        videos: How many videos there are.
        video_labels: (videos,) int32, their labels, numbered like "video" in the batches.
        frame_labels: (frames of the split,) int32, record by record; None where videos have one label each.
        video_paths: Their paths, in the same order.
        blocks: How many blocks an epoch has.
        block_records: (blocks,) numbers of the records that they are cut from.
    Raises:
        ShardError: no such shards, damaged ones, records without a label, or a class with too few videos.
        ConfigError: `videos_per_class` where every frame has a class of its own.
    """

    def __init__(self, data, split, block_frames, stride, *, seed=0, videos_per_class=0, hashed=True):
        require(data.path != MOVING_MNIST, "data", "a folder of labelled shards", data.path)
        dataset = load_dataset(data.path)
        require_sound(dataset, split, hashed)
        index = dataset.index(split)
        self.frame_labels = _read_frame_labels(dataset, split) if lacks_labels(dataset, split) else None
        fits = self.frame_labels is None or not videos_per_class
        require(fits, "videos_per_class", "0 where every frame has a class of its own", videos_per_class)
        first, video = _number(index["video"])
        labels = np.zeros(len(first), np.int32)
        labels[video] = index["label"]
        chosen = _subset(labels, dataset.labels, videos_per_class, seed)
        renumbered = np.cumsum(chosen) - 1
        stream = open_stream(dataset, split, data, block_frames, stride, pad=True, chosen=chosen[video])
        self._stream, self._length = stream, block_frames
        self._video = renumbered[video[stream.records]].astype(np.int32)
        if self.frame_labels is not None:
            self._first = (np.cumsum(index["frames"]) - index["frames"])[stream.records] + stream.starts
        self.features, self.dtype, self.frame_shape = stream.features, stream.dtype, stream.frame_shape
        self.labels, self.videos, self.blocks = dataset.labels, int(chosen.sum()), len(stream.records)
        self.block_records, self.video_labels = stream.records, labels[chosen]
        self._sources, self._named_by = dataset.sources, index["source"][first[chosen]]
        counts = {"split": split, "videos": self.videos, "blocks": self.blocks, "videos_per_class": videos_per_class}
        self.provenance = dataset.provenance | {"frame_shape": self.frame_shape and list(self.frame_shape)} | counts

    @functools.cached_property
    def video_paths(self):
        return [self._sources[number]["path"] for number in self._named_by.tolist()]

    def statistics(self):
        return self._stream.statistics()

    def training(self, batch_size, seed, start_step=0, part=None):
        """Endless full batches {"frames": (B, T, D), "mask": (B, T) bool, "label": (B,) int32, "video": (B,) int32}.

        One block per draw, every block once per epoch, in an order that (seed, epoch) decides; `part` as of
        `ShardSource`.
        """
        return ReadableDataset(self._stream.training(batch_size, seed, start_step, part).map(self._label))

    def evaluation(self, batch_size):
        """Finite batches of the same dict: every block of every video, in order; the last may be short."""
        middle = self._stream.cells // 2
        items = np.arange(self.blocks) * self._stream.cells + middle
        return ReadableDataset(self._stream.evaluation(items, batch_size).map(self._label))

    def _label(self, batch):
        window = batch["window"]
        valid, video = tf.gather(self._stream.valid, window), tf.gather(self._video, window)
        return {
            "frames": batch["frames"],
            "mask": tf.range(self._length, dtype=tf.int64)[None] < valid[:, None],
            "label": tf.gather(self.video_labels, video) if self.frame_labels is None else self._frame_labels(window),
            "video": video,
        }

    def _frame_labels(self, window):
        """(B, T) int32, the classes of the frames of windows; padded steps repeat the last."""
        step = tf.minimum(tf.range(self._length, dtype=tf.int64), tf.gather(self._stream.valid, window)[:, None] - 1)
        return tf.gather(self.frame_labels, tf.gather(self._first, window)[:, None] + step)

    def require_video_labels(self, purpose):
        """Raises a ShardError where every frame has a class of its own."""
        if self.frame_labels is not None:
            raise ShardError(
                f"expected one class per video {purpose}, received {self.provenance['path']} with a class per frame; "
                "name shards that were built with other --labels, or measure one run with videorep evaluate"
            )


def lacks_labels(dataset, split):
    """Whether a split has records without a label, whose frames may have labels instead."""
    return bool((dataset.index(split)["label"] < 0).any())


def _read_frame_labels(dataset, split):
    """The class of every frame, record by record: (N,) int32."""
    labels = read_frame_labels(dataset, split) if dataset.labels else []
    if not labels or not all(map(len, labels)):
        index = dataset.index(split)
        raise ShardError(
            f"expected a label with every record of split {split!r} in {dataset.folder}, received "
            f"{int((index['label'] < 0).sum())} of {len(index)} without; build the shards with --labels"
        )
    return np.concatenate(labels)


def _number(videos):
    """The first record of each video, in order, and the number of each record's video in that order."""
    first = np.empty(videos.max(initial=-1) + 1, np.int64)
    first[videos[::-1]] = np.arange(len(videos))[::-1]  # of what is assigned to one place the last stays
    first = first[videos]
    is_first = first == np.arange(len(videos))
    return np.flatnonzero(is_first), (np.cumsum(is_first) - 1)[first]


def _subset(labels, names, videos_per_class, seed):
    """Which videos belong to a seeded subset with equally many of every class: (videos,) bool."""
    if not videos_per_class:
        return np.ones(len(labels), bool)
    chosen, order = np.zeros(len(labels), bool), np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[order], np.arange(len(names) + 1))
    for label, name in enumerate(names):
        members = order[bounds[label] : bounds[label + 1]]
        if len(members) < videos_per_class:
            raise ShardError(
                f"expected at least {videos_per_class} videos of class {name!r}, received {len(members)}; "
                "lower --videos-per-class"
            )
        picks = make_generator(seed, VIDEO_STREAM, label).choice(len(members), videos_per_class, replace=False)
        chosen[members[picks]] = True
    return chosen
