"""The labelled videos that contenders are compared on: every frame read once, kept in memory."""

import dataclasses
import itertools

import numpy as np

from videorep.bounds import require
from videorep.data.batches.sources import LabelledBlocks
from videorep.data.batches.windows import list_windows
from videorep.data.video_names import find_shared, ucf_group
from videorep.errors import RunError
from videorep.models.pixels import to_unit_range
from videorep.training.forecast import memory

READ_FRAMES = 1024


@dataclasses.dataclass(frozen=True)
class LabelledVideos:
    """The videos of a training and a test split, those of training first, each side sorted by path.

    Args:
        folder: Where the shards lie.
        classes: K names.
        paths: Of the V videos.
        labels: (V,) whole numbers.
        is_test: (V,) bool.
        groups: (V,) names of the recordings that they were cut from.
        frames: (N, D) float32, the frames of all videos one after another.
        lengths: Of each video the frames of each of its records, in the order of `frames`.
    """

    folder: str
    classes: tuple
    paths: list
    labels: np.ndarray
    is_test: np.ndarray
    groups: np.ndarray
    frames: np.ndarray
    lengths: list

    @property
    def training(self):
        """Numbers of the training videos."""
        return np.flatnonzero(~self.is_test)

    @property
    def test(self):
        """Numbers of the test videos."""
        return np.flatnonzero(self.is_test)

    def spans(self):
        """First frame of each video, and one past the last of all: (V + 1,)."""
        return np.concatenate([[0], np.cumsum([sum(each) for each in self.lengths])])

    def pooled(self, parts=1):
        """The means of each video's frames, of one part of it after another: (V, parts * D) float64."""
        return np.stack([_means(self.frames[a:b], parts) for a, b in itertools.pairwise(self.spans())])

    def blocks(self, length, stride):
        """Blocks of frames within records; a shorter record is one block, padded.

        Returns:
            rows: (B, T) numbers of frames; N, one past the last, stands for padding.
            video: (B,) numbers of the videos.
        """
        counts = np.array([count for each in self.lengths for count in each])
        owner = np.repeat(np.arange(len(self.paths)), [len(each) for each in self.lengths])
        records, starts = list_windows(counts, length, stride, pad=True)
        places = starts[:, None] + np.arange(length)
        first = np.concatenate([[0], np.cumsum(counts)])[records]
        rows = np.where(places < counts[records][:, None], first[:, None] + places, len(self.frames))
        return rows, owner[records]


def load_videos(data, train="train", test="test"):
    """Reads both sides of labelled shards.

    Args:
        data: `DataConfig`.
        train, test: Names of the splits.
    Returns:
        LabelledVideos.
    Raises:
        ShardError: no such shards or splits, damaged ones, or records without label.
        ConfigError: their frames do not fit into memory.
        RunError: a video, or another clip of its recording, is on both sides.
    """
    sides = [LabelledBlocks(data, split, 1, 1) for split in (train, test)]
    for side in sides:
        side.require_video_labels("to compare classifiers")
    needed = sum(side.blocks for side in sides) * sides[0].features * 4
    room = memory()
    require(
        needed <= room / 2,
        f"the frames of {data.path}",
        f"at most half of the memory of {room / 2**30:.1f} GiB (compare fewer videos, or shorter ones)",
        f"{needed / 2**30:.1f} GiB",
    )
    read = [_read(side) for side in sides]
    paths = [path for side in read for path in side["paths"]]
    groups = np.array([ucf_group(path) or path for path in paths])
    is_test = np.repeat([False, True], [len(side["paths"]) for side in read])
    _require_recordings_apart(paths, groups, is_test)
    return LabelledVideos(
        str(data.path),
        tuple(sides[0].labels),
        paths,
        np.concatenate([side["labels"] for side in read]),
        is_test,
        groups,
        np.concatenate([side["frames"] for side in read]),
        [lengths for side in read for lengths in side["lengths"]],
    )


def _means(frames, parts):
    """Means of equal parts of a video, end to end; a part has at least one frame."""
    edges = np.arange(parts + 1) * len(frames) // parts
    return np.concatenate([frames[a : max(b, a + 1)].mean(0, dtype=np.float64) for a, b in itertools.pairwise(edges)])


def _read(blocks):
    """Frames, paths and labels of a split by path, a frame being a block; the lengths of each video's records."""
    frames = np.empty((blocks.blocks, blocks.features), np.float32)
    video, done = np.empty(blocks.blocks, np.int64), 0
    for batch in blocks.evaluation(READ_FRAMES):
        count = len(batch["video"])
        frames[done : done + count] = to_unit_range(batch["frames"])[:, 0]
        video[done : done + count] = batch["video"].numpy()
        done += count
    by_path = sorted(range(blocks.videos), key=lambda number: blocks.video_paths[number])
    members = [np.flatnonzero(video == number) for number in by_path]
    return {
        "frames": frames[np.concatenate(members)],
        "paths": [blocks.video_paths[number] for number in by_path],
        "labels": np.asarray(blocks.video_labels)[by_path],
        "lengths": [np.unique(blocks.block_records[each], return_counts=True)[1].tolist() for each in members],
    }


def _require_recordings_apart(paths, groups, is_test):
    if shared := find_shared(zip(groups, is_test, paths, strict=True)):
        group, names = min(shared.items())
        raise RunError(
            f"expected every recording on one side, received {names[False]} (training) and {names[True]} (test), both "
            f"of {group}, and {len(shared) - 1} more such; build the shards with splits that keep recordings together"
        )
