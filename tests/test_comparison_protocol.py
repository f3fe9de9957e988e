"""The protocol of comparisons: what is drawn, what settings are chosen by, and that no test video reaches training."""

import numpy as np
import pytest
from comparison_videos import make_videos

from videorep.comparison.protocol import draw_videos, list_counts, make_folds, measure
from videorep.comparison_config import CompareConfig


class Memory:
    """A contender that remembers what it was trained on and asked for; right only with the setting "good"."""

    def __init__(self, videos):
        self.videos, self.calls = videos, []

    def trials(self, generator, count):
        return [{"rate": "bad"}, {"rate": "good"}][:count]

    def fit(self, train, test, trial, seed):
        self.calls.append((tuple(train), tuple(test), trial["rate"], seed))
        right = np.eye(len(self.videos.classes))[self.videos.labels[list(test)]]
        for steps in (1, 2):
            is_good = trial["rate"] == "good" and steps == 1
            yield {"steps": steps}, right if is_good else np.roll(right, 1, axis=1)


def run(videos, count=2, **changes):
    contender = Memory(videos)
    config = CompareConfig("shards", **{"draws": 3, "trials": 2, **changes})
    return contender, measure(contender, videos, count, config, lambda steps: None)


def test_counts_double_as_far_as_every_class_has_videos():
    assert list_counts(make_videos(per_class=(5, 9))) == [1, 2, 4, 0]
    assert list_counts(make_videos(per_class=(8, 9))) == [1, 2, 4, 8, 0]
    assert list_counts(make_videos(per_class=(8, 8))) == [1, 2, 4, 0]
    assert list_counts(make_videos(per_class=(5, 9)), (1, 3, 5, 8)) == [1, 3, 5, 0]


@pytest.mark.parametrize("seed", range(3))
def test_draws_are_of_equal_size_nested_and_differ(seed):
    videos = make_videos(per_class=(6, 7, 9))
    draws = {
        (count, n): set(draw_videos(videos, videos.training, count, seed, n)) for count in (1, 2, 4) for n in (0, 1)
    }
    for (count, n), chosen in draws.items():
        assert np.bincount(videos.labels[sorted(chosen)]).tolist() == [count] * 3
        assert draws[1, n] <= chosen and not videos.is_test[sorted(chosen)].any()
    assert draws[4, 0] != draws[4, 1]


def test_folds_keep_recordings_together_and_cover_all_training_videos():
    videos = make_videos(per_class=(8, 8), per_group=2)
    folds = make_folds(videos, seed=0)
    assert len(folds) == 3
    assert sorted(np.concatenate([held for _, held in folds])) == videos.training.tolist()
    for train, held in folds:
        assert not set(videos.groups[train]) & set(videos.groups[held])
        assert not videos.is_test[train].any() and not videos.is_test[held].any()


def test_one_recording_gives_no_fold_and_the_usual_settings():
    videos = make_videos(per_class=(4, 4), per_group=4)
    assert make_folds(videos, 0) == []
    contender, measured = run(videos)
    assert measured["settings"] == {"rate": "bad"} and measured["choice_accuracy"] is None
    assert {call[2] for call in contender.calls} == {"bad"}


def test_settings_are_chosen_on_the_folds_and_then_used_on_every_draw():
    videos = make_videos()
    contender, measured = run(videos)
    assert measured["settings"] == {"rate": "good", "steps": 1} and measured["choice_accuracy"] == 1.0
    labels = videos.labels[videos.test]
    assert (measured["probabilities"].argmax(-1) == labels).all()
    assert [call[2] for call in contender.calls[-3:]] == ["good"] * 3


@pytest.mark.parametrize("count", [1, 2, 0])
def test_no_test_video_and_none_of_its_recording_is_trained_on(count):
    videos = make_videos(per_class=(8, 8), per_group=2)
    contender, _ = run(videos, count)
    for train, asked, _, _ in contender.calls:
        assert not videos.is_test[list(train)].any()
        assert not set(videos.groups[list(train)]) & set(videos.groups[list(asked)])
    choosing = contender.calls[:-3]
    assert choosing and not any(videos.is_test[list(asked)].any() for _, asked, _, _ in choosing)


def test_what_is_measured_depends_on_the_seed_alone():
    videos = make_videos()
    calls = [run(videos, seed=seed)[0].calls for seed in (0, 0, 1)]
    assert calls[0] == calls[1] != calls[2]
