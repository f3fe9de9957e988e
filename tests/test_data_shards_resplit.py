"""Percepts with other splits and labels hold the same values, and tell what made them."""

import numpy as np
import pytest

from videorep.data import read_shards, write_shards
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.resplit import resplit_percepts
from videorep.data.shards.verify import require_sound
from videorep.errors import DataError

CHOSEN = {"b.avi": ("wave", "test"), "c.avi": ("bow", "train"), "a.avi": ("wave", "train")}


@pytest.fixture
def percepts(tmp_path):
    generator = np.random.default_rng(0)
    frames = {f"{name}.avi": generator.random((3 + n, 4), np.float32) for n, name in enumerate("abcd")}
    write_shards([{"frames": each, "path": path, "frame_rate": 25.0} for path, each in frames.items()], tmp_path / "in")
    return tmp_path / "in", frames


def test_values_stay_and_labels_and_splits_are_those_chosen(percepts, tmp_path):
    folder, frames = percepts
    dataset = resplit_percepts(folder, tmp_path / "out", CHOSEN)
    read = {
        each["path"].decode(): (each["label_text"].decode(), split, each["frames"], float(each["frame_rate"]))
        for split in ("train", "test")
        for each in read_shards(tmp_path / "out", split).as_numpy_iterator()
    }
    assert {path: each[:2] for path, each in read.items()} == CHOSEN and dataset.labels == ("bow", "wave")
    for path, (_, _, array, rate) in read.items():
        np.testing.assert_array_equal(array, frames[path])
        assert rate == 25.0
    require_sound(dataset, "train")
    assert dataset.made["settings"] == load_dataset(folder).made.get("settings")
    assert [source["path"] for source in dataset.sources] == ["a.avi", "c.avi", "b.avi"]


def test_percepts_of_other_videos_are_refused(percepts, tmp_path):
    with pytest.raises(DataError, match=r"expected percepts of 1 videos .* received none of these"):
        resplit_percepts(percepts[0], tmp_path / "out", {"x.avi": ("bow", "train")})
    assert not (tmp_path / "out").exists()
