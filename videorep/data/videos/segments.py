"""From the labelled segments of long videos to a class for every frame. No TensorFlow."""

import dataclasses
import itertools
import math

import numpy as np

from videorep.data.shards.keys import BACKGROUND
from videorep.errors import DataError


def gather_segments(rows):
    """One video per file, with the segments of all its rows, `Video`s with a label; no start is 0, no end the video's.

    Returns:
        List of `Video`s without a label, whose `segments` are (start, end, label): first the background, from the
        beginning to the end, then what lies upon it.
    Raises:
        DataError: a row has no label, or two segments overlap.
    """
    files = {}
    for row in rows:
        if row.label is None:
            raise DataError(f"expected path,start,end,label of every segment, received no label for {row.file.name}")
        end = math.inf if row.end is None else row.end
        files.setdefault(row.file.path, []).append((row.start or 0.0, end, row))
    return [_gather(sorted(members, key=lambda member: member[:2])) for members in files.values()]


def _gather(members):
    first = members[0][2]
    for (_, end, one), (start, _, other) in itertools.pairwise(members):
        if start < end:
            raise DataError(
                f"expected segments of {first.file.name} that do not overlap, received {one.label!r} until {end:g} s "
                f"and {other.label!r} from {start:g} s; end one where the other begins"
            )
    segments = [(start, end, row.label) for start, end, row in members]
    return dataclasses.replace(
        first, label=None, start=None, end=None, segments=((0.0, math.inf, BACKGROUND), *segments)
    )


def label_frames(timestamps, segments):
    """The label, a whole number, of the last segment [start, end) that holds a frame's time.

    Timestamps are microseconds from the start of the video, segments (start, end, label) in seconds, of which one holds
    every frame. Gives the labels, one per frame, and the segments that hold no frame.
    """
    times, labels, empty = np.array(timestamps), np.zeros(len(timestamps), np.int64), []
    for start, end, label in segments:
        held = (times >= np.round(start * 1e6)) & (times < np.round(end * 1e6))
        labels[held] = label
        if not held.any():
            empty.append((start, end, label))
    return labels.tolist(), empty
