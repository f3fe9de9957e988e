"""What `videorep inspect` tells of shards, and its contact sheet."""

import cv2
import numpy as np
import pytest
from shard_building import LABELS, LEFT_OUT, build, make_sources

from videorep.data import write_shards
from videorep.data.records import Percept
from videorep.data.summary import count_classes, summarize_dataset, write_contact_sheet
from videorep.errors import OutputError, ShardError

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


def test_the_contact_sheet_of_clips_shows_their_frames(tmp_path):
    """Three classes in three plain colours: each row has its colour, and every class a row."""
    colours = {"red": (250, 0, 0), "green": (0, 250, 0), "blue": (0, 0, 250)}
    records = [
        {"frames": np.full((9, 48, 64, 3), colour, np.uint8), "label": name}
        for name, colour in colours.items()
        for _ in range(4)
    ]
    write_shards(records, tmp_path / "shards")
    write_contact_sheet(tmp_path / "shards", tmp_path / "sheet.png")
    sheet = cv2.imread(str(tmp_path / "sheet.png"))[..., ::-1]
    rows = {name: (sheet == colour).all(-1).sum(1) for name, colour in colours.items()}
    for name, count in rows.items():
        assert (count > 0).sum() >= 2 * 96, name
        assert count.max() == 8 * 128


def test_a_sheet_that_cannot_be_drawn_or_written_is_told(tmp_path):
    build(tmp_path / "shards")  # its images are no images
    with pytest.raises(ShardError, match="do not decode"):
        write_contact_sheet(tmp_path / "shards", tmp_path / "sheet.png")
    write_shards([{"frames": np.ones((2, 48, 64, 3), np.uint8)}], tmp_path / "clips")
    with pytest.raises(OutputError, match="expected"):
        write_contact_sheet(tmp_path / "clips", tmp_path / "none" / "sheet.png")
