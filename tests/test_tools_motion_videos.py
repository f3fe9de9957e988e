"""tools/motion_videos.py: time alone tells its classes apart."""

import sys
from pathlib import Path

import cv2
import numpy as np
from generated_videos import make_classes

from videorep.data import read_shards

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import motion_videos
from live_building import call


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["motion_videos.py", *map(str, words)])
    motion_videos.main()


def frames_of(path):
    film, frames = cv2.VideoCapture(str(path)), []
    while (read := film.read())[0]:
        frames.append(read[1].astype(np.float32))
    return np.stack(frames)


def test_digits_move_where_their_folder_says(tmp_path, monkeypatch):
    run(monkeypatch, "digits", "--out", tmp_path, "--train", 8, "--test", 4, "--digits", "rendered")
    assert len(list((tmp_path / "test").rglob("*.avi"))) == 4
    for name, axis, sign in (("right", 1, 1), ("left", 1, -1), ("down", 0, 1), ("up", 0, -1)):
        for path in (tmp_path / "train" / name).iterdir():
            frames = frames_of(path).mean(-1)
            assert frames.shape == (30, 64, 64)
            places = np.arange(64) - 31.5
            travel = [(frames.sum(1 + 1 - which) * places).sum(-1) / frames.sum((1, 2)) for which in (0, 1)]
            moved = [each[-1] - each[0] for each in travel]
            assert sign * moved[axis] > 3 and abs(moved[1 - axis]) < 1.5


def test_clips_are_played_both_ways(tmp_path, monkeypatch):
    make_classes(tmp_path / "videos", videos=2)
    call("build-shards", "clips", tmp_path / "videos", "--out", tmp_path / "clips", "--labels", "folders")
    run(monkeypatch, "reverse", tmp_path / "clips", "--out", tmp_path / "both")
    records = list(read_shards(tmp_path / "clips").as_numpy_iterator())
    assert len(list((tmp_path / "both/train/forward").iterdir())) == len(records) == 6
    for record in records:
        name = record["path"].decode().replace("/", "-").removesuffix(".mp4")
        forward, backward = (
            frames_of(tmp_path / "both/train" / way / f"{name}.avi") for way in ("forward", "backward")
        )
        np.testing.assert_array_equal(forward, backward[::-1])
        assert abs(forward[..., ::-1] - record["frames"]).mean() < 5
