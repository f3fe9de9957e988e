"""The sheet of clips that `videorep inspect` draws."""

import cv2
import numpy as np
import pytest
from shard_building import build

from videorep.data import write_shards
from videorep.errors import OutputError, ShardError
from videorep.figures.contact_sheet import write_contact_sheet


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
