"""Unlabelled sequences out of several folders of shards at once, none of which may show what another tests on."""

import itertools

import tensorflow as tf

from videorep.bounds import require
from videorep.data.python_functions import ReadableDataset
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.statistics import pool_moments
from videorep.data.video_names import find_shared, ucf_group
from videorep.errors import ShardError

TRAIN = "train"


class SeveralSources:
    """Sequences of several `ShardSource` of one kind; every batch holds of each as large a share as it has sequences.

    Attributes and methods as there, those of the first where they are equal.
    """

    def __init__(self, sources):
        first, *others = self._sources = sources
        self.features, self.dtype, self.frame_shape = first.features, first.dtype, first.frame_shape
        self.labels, self.windows = first.labels, sum(source.windows for source in sources)
        for source in others:
            kinds = [(each.dtype, each.frame_shape, each.features) for each in (first, source)]
            path, like = source.provenance["path"], first.provenance["path"]
            what = [" ".join(map(str, (shape or f"{features} features", dtype))) for dtype, shape, features in kinds]
            require(kinds[0] == kinds[1], f"the frames of {path}", f"like those of {like}, {what[0]}", what[1])
        self.provenance = first.provenance | {"also": [source.provenance for source in others]}

    def statistics(self):
        """As `ShardSource.statistics`, over all sources, each weighted by its sequences."""
        return pool_moments([source.statistics() for source in self._sources], [each.windows for each in self._sources])

    def training(self, batch_size, seed, start_step=0, part=None):
        """Endless full batches {"frames": (B, T, D)}, beginning with that of step `start_step`; `part` as there."""
        part, first, streams = part or range(batch_size), 0, []
        for source, share in zip(self._sources, self._shares(batch_size), strict=True):
            own = range(max(part.start - first, 0), min(part.stop - first, share))
            if own:
                streams.append(source.training(share, seed, start_step, own))
            first += share
        joined = tf.data.Dataset.zip(tuple(streams)).map(
            lambda *batches: {"frames": tf.concat([batch["frames"] for batch in batches], 0)}
        )
        return ReadableDataset(joined)

    def _shares(self, batch_size):
        """How many examples of a batch each source gives: at least one."""
        most = len(self._sources)
        require(batch_size >= most, "batch_size", f"at least {most}, one example per folder", batch_size)
        room, shares = batch_size - most, []
        total = sum(source.windows for source in self._sources)
        for number, source in enumerate(self._sources):
            upto = sum(each.windows for each in self._sources[: number + 1])
            shares.append(1 + round(room * upto / total) - round(room * (upto - source.windows) / total))
        return shares


def require_no_leak(folders):
    """Raises a ShardError where a folder trains on what another tests on: the same video, or another of its recording.

    Of each folder of shards the split "train" is trained on, every other one is not.
    """
    datasets = [load_dataset(folder) for folder in folders]
    tested = {key for key, *_ in _members(datasets, False)}
    members = itertools.chain(_members(datasets, False), _members(datasets, True))
    shared = find_shared(member for member in members if member[0] in tested)
    if shared:
        key, names = next(iter(shared.items()))
        what = "the same video" if len(key) == 64 else f"the recording {key}"
        raise ShardError(
            f"expected nothing of a test or validation split to be trained on, received {what} in {names[True]} and "
            f"{names[False]}, and {len(shared) - 1} more such; leave them out of one folder"
        )


def _members(datasets, trained_on):
    """What a video must not share with another, whether it is trained on, and what to call it: one side's videos."""
    for dataset in datasets:
        for split in dataset.splits:
            if (split == TRAIN) == trained_on:
                for source in dataset.written(split):
                    for key in filter(None, (source.get("sha256"), ucf_group(source["path"]))):
                        yield key, trained_on, f"{source['path']} ({dataset.folder}, {split})"
