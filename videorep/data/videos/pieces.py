"""Chooses random pieces of long videos: how the paper cut its 300 hours out of Sports-1M. No TensorFlow."""

import dataclasses

import numpy as np

from videorep.errors import DataError


def sample_pieces(videos, lengths, seconds, hours, seed):
    """Places clips of `seconds` at random in the videos; none overlaps another, and each moment is equally likely.

    Args:
        videos: Objects with `start`, `end` (None: the whole) and `reason`.
        lengths: Seconds of each, 0 where unknown.
        hours: How much to take in all, or None for as many clips as fit.
    Returns:
        The videos, each replaced by its pieces in order of time; one that gives none has the reason.
    Raises:
        DataError: the videos do not hold so many clips.
    """
    starts = np.array([video.start or 0.0 for video in videos])
    ends = [
        length if video.end is None else min(video.end, length) for video, length in zip(videos, lengths, strict=True)
    ]
    spans = np.where([bool(video.reason) for video in videos], 0.0, np.maximum(0.0, ends - starts))
    room = np.floor(spans / seconds + 1e-6).astype(np.int64)
    wanted = int(room.sum()) if hours is None else round(hours * 3600 / seconds)
    if wanted == 0 and hours is not None:
        raise DataError(
            f"expected time for a clip of {seconds:g} s, received {hours:g} hours; raise --total-hours or lower "
            "--sample-seconds"
        )
    if not 1 <= wanted <= room.sum():
        hold = room.sum() * seconds / 3600
        raise DataError(
            f"expected videos that hold {'a clip' if hours is None else f'{hours:g} hours of clips'} of {seconds:g} s, "
            f"received {len(videos)} that hold {hold:.3g} hours; lower --total-hours or --sample-seconds"
        )
    generator = np.random.default_rng(seed)
    counts = generator.multivariate_hypergeometric(room, wanted)
    pieces = []
    for video, start, span, count in zip(videos, starts, spans, counts, strict=True):
        if count == 0:
            reason = video.reason or f"not sampled: {span:.1f} s long"
            pieces.append(dataclasses.replace(video, reason=reason))
        gaps = np.sort(generator.uniform(0.0, max(0.0, span - count * seconds), count))
        for place in start + gaps + seconds * np.arange(count):
            begin = int(place * 1000) / 1000
            pieces.append(dataclasses.replace(video, start=begin, end=round(begin + seconds, 3)))
    return pieces
