"""What `videorep inspect` tells of shards."""

import numpy as np
import pytest
from shard_building import LABELS, LEFT_OUT, build, make_sources

from videorep.data import write_shards
from videorep.data.shards.records import Percept
from videorep.data.shards.summary import count_classes, summarize_dataset

RATE = 25.0


@pytest.fixture(scope="module", params=["clips", "percepts"])
def folder(request, tmp_path_factory):
    """The small dataset: video n has 3 + n frames, every fourth is in test, classes take turns, one is left out."""
    path = tmp_path_factory.mktemp("summary") / "shards"
    build(path, request.param)
    return path


def expected_amounts(split, label=None):
    numbers = [n for n, s in enumerate(make_sources()) if s.split == split and n != LEFT_OUT]
    numbers = [n for n in numbers if label is None or n % len(LABELS) == label]
    frames = sum(3 + n for n in numbers)
    return {"videos": len(numbers), "frames": frames, "hours": round(frames / RATE / 3600, 4)}


def test_the_summary_counts_what_is_there(folder):
    facts = summarize_dataset(folder)
    assert facts["classes"] == 3 and facts["left_out"] == {"no frames": 1}
    assert facts["bytes"] == sum(path.stat().st_size for path in folder.glob("toy-*"))
    for split, shards in (("train", 9), ("test", 3)):
        amounts = expected_amounts(split)
        assert facts["splits"][split] == {"shards": shards, "records": amounts["videos"]} | amounts
    assert facts["frame_rate"] == RATE and facts["made"]["command"] == "test"
    assert facts["frame"] in ("24 x 32 pixels, RGB", "6 x float16")


def test_the_summary_tells_the_spread_of_percepts(tmp_path):
    frames = np.array([[0, 1, 5], [0, 3, 5], [0, 0, 5]], "float32")
    write_shards([Percept(frames, "a", frame_rate=RATE)], tmp_path / "shards", split="train")
    assert summarize_dataset(tmp_path / "shards")["statistics"] == {
        "of_split": "train",
        "frames": 3,
        "mean": "0 to 5, median 1.333",
        "deviation": "0 to 1.247, median 0",
        "zeros": "44.4% of the values",
        "features_always_zero": 1,
    }


def test_every_class_has_its_videos_and_hours(folder):
    rows = count_classes(folder)
    assert [row["class"] for row in rows] == LABELS
    for label, row in enumerate(rows):
        for split in ("train", "test"):
            amounts = expected_amounts(split, label)
            assert (row[f"{split} videos"], row[f"{split} hours"]) == (amounts["videos"], amounts["hours"])
