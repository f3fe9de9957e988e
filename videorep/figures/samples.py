"""Some records of a folder of shards, read to be drawn."""

import cv2
import numpy as np

from videorep.data.percepts.flow import estimate_flow
from videorep.data.sampling import spread
from videorep.data.shards.guards import require_files
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.record_reader import RecordReader
from videorep.errors import ShardError

PERCEPTS, MOST_MEANS = 6, 2000
FLOW_CLIPS, FLOW_FIELDS = 4, 6


def open_records(path, split=None):
    """The `Dataset` and a `RecordReader` of one of its splits; of the first one where None."""
    dataset = load_dataset(path)
    split = next(iter(dataset.splits)) if split is None else split
    require_files(dataset, split)
    return dataset, RecordReader(dataset, split)


def sample_percepts(path, split=None):
    """Reads a few percepts, as many classes as can be, and the mean frame of up to 2,000 clips at even distances.

    Returns:
        dict: "arrays" ({title: (T, D) float32}), "means" (N, D) float32, "labels" (N,), each the number of a class or
        -1, and "names", those of the classes.
    """
    dataset, reader = open_records(path, split)
    index = reader.index

    def read(number):
        return reader.percept_windows([number], [0], int(index[number]["frames"]))[0].astype(np.float32)

    chosen = spread(len(index), MOST_MEANS)
    return {
        "arrays": {describe_record(dataset, index[n]): read(n) for n in choose_records(index["label"], PERCEPTS)},
        "means": np.stack([read(number).mean(axis=0) for number in chosen]),
        "labels": index["label"][chosen],
        "names": list(dataset.labels),
    }


def sample_flow(path, split=None):
    """Estimates the optical flow at a few moments of a few clips, as many classes as can be.

    Returns:
        {title: (frames, fields)}: lists of (H, W, 3) uint8 RGB and of (H, W, 2) float32, displacement in pixels to the
        frame that follows.
    Raises:
        ShardError: they are no clips, or see `read_shards`.
    """
    dataset, reader = open_records(path, split)
    if dataset.kind != "clips":
        raise ShardError(f"expected clips in {path}, whose flow can be seen, received {dataset.kind}; name clip shards")
    clips = {}
    for number in choose_records(reader.index["label"], FLOW_CLIPS):
        row = reader.index[number]
        starts = spread(max(1, int(row["frames"]) - 1), FLOW_FIELDS)
        pairs = [reader.clip_frames(number, (start, start + 1)) for start in starts]
        greys = [[cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in pair] for pair in pairs]
        fields = [estimate_flow(pair[0], pair[-1]) for pair in greys]
        clips[describe_record(dataset, row)] = [pair[0] for pair in pairs], fields
    return clips


def describe_record(dataset, row):
    """Class, path and length of a record, given by its row of the index."""
    title = f"{dataset.sources[row['source']]['path']}, {row['frames']} frames"
    return f"{dataset.labels[row['label']]}: {title}" if row["label"] >= 0 else title


def choose_records(labels, most):
    """Numbers of up to `most` records: the first of every class in turn, classes at even distances."""
    turn = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        turn[members] = np.arange(len(members))
    order = np.lexsort([labels, turn])
    first = order[turn[order] == 0]
    if len(first) > most:
        return first[spread(len(first), most)]
    return order[:most]
