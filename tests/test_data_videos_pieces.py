"""videorep.data.videos.pieces: where the random pieces of long videos lie."""

import dataclasses
import itertools

import numpy as np
import pytest

from videorep.data.videos.pieces import sample_pieces
from videorep.errors import DataError


@dataclasses.dataclass(frozen=True)
class Video:
    name: str
    start: float | None = None
    end: float | None = None
    reason: str = ""


def names_and_pieces(found):
    return [(video.name, video.start, video.end) for video in found if not video.reason]


def test_pieces_lie_within_their_videos_and_never_overlap():
    lengths = [100.0, 35.5, 10.0, 9.9]
    found = sample_pieces([Video(name) for name in "abcd"], lengths, 10.0, 10 * 10 / 3600, seed=1)
    pieces = names_and_pieces(found)
    assert len(pieces) == 10
    for name, length in zip("abcd", lengths, strict=True):
        own = [(start, end) for other, start, end in pieces if other == name]
        assert all(abs(end - start - 10) < 1e-9 and start >= 0 and end <= length for start, end in own)
        assert all(end <= start + 1e-3 for (_, end), (start, _) in itertools.pairwise(own))
    assert {video.name: video.reason for video in found if video.reason}["d"] == "not sampled: 9.9 s long"


def test_without_hours_as_many_as_fit_are_taken():
    found = sample_pieces([Video("a"), Video("b")], [100.0, 35.5], 10.0, None, seed=0)
    assert [name for name, _, _ in names_and_pieces(found)] == ["a"] * 10 + ["b"] * 3
    assert names_and_pieces(found)[:10] == [("a", 10.0 * k, 10.0 * k + 10) for k in range(10)]


def test_the_seed_decides():
    draw = [
        names_and_pieces(sample_pieces([Video("a"), Video("b")], [600.0, 60.0], 5.0, 0.02, seed)) for seed in (0, 0, 1)
    ]
    assert draw[0] == draw[1] != draw[2]


def test_every_moment_of_every_video_is_equally_likely():
    videos, lengths = [Video("a"), Video("b")], [300.0, 100.0]
    starts = []
    for seed in range(600):
        starts += names_and_pieces(sample_pieces(videos, lengths, 10.0, 40 / 3600, seed))
    share = sum(name == "a" for name, _, _ in starts) / len(starts)
    assert share == pytest.approx(0.75, abs=0.03)
    places = np.array([start for name, start, _ in starts if name == "a"])
    counts, _ = np.histogram(places, bins=5, range=(0, 290))
    assert (abs(counts / counts.mean() - 1) < 0.2).all()


def test_given_pieces_are_sampled_within():
    found = names_and_pieces(sample_pieces([Video("a", 50.0, 80.0)], [70.0], 10.0, None, seed=0))
    assert [start for _, start, _ in found] == [50.0, 60.0]


def test_unusable_videos_keep_their_reason_and_too_much_is_refused():
    videos = [Video("a"), Video("b", reason="unreadable: x")]
    assert sample_pieces(videos, [20.0, 0.0], 10.0, None, seed=0)[-1].reason == "unreadable: x"
    with pytest.raises(DataError, match=r"that hold 1 hours of clips of 10 s, received 2 that hold 0\.00556 hours"):
        sample_pieces(videos, [20.0, 0.0], 10.0, 1.0, seed=0)
    with pytest.raises(DataError, match="a clip of 10 s"):
        sample_pieces(videos, [5.0, 0.0], 10.0, None, seed=0)
