"""`search` against a loop in NumPy; its sheet of frames shows what was found."""

import dataclasses

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from generated_videos import read_number
from live_building import call

from videorep.cli.main import videorep_command
from videorep.live import search_videos
from videorep.live.embeddings import Embeddings, read_embeddings, write_embeddings
from videorep.live.search import rank_videos, read_middle_frames
from videorep.runs import load_run


@pytest.fixture(scope="module")
def embedded(live_chain, tmp_path_factory):
    """{"video", "block", "frame": file of the embeddings of all videos}."""
    folder = tmp_path_factory.mktemp("embedded")
    for per in ("video", "block", "frame"):
        call("embed", live_chain / "pretrained", live_chain / "VIDEOS", "--per", per, "--out", folder / f"{per}.npz")
    return {per: folder / f"{per}.npz" for per in ("video", "block", "frame")}


def test_the_ranking_equals_a_loop():
    generator = np.random.default_rng(0)
    paths = ["a", "b", "c", "b", "a", "b", "null"]
    values = generator.normal(size=(7, 5)).astype(np.float32)
    values[-1] = 0
    query = generator.normal(size=5).astype(np.float32)
    ranked = rank_videos(query, Embeddings(values, paths, list("AbcBaBn"), "", "block"))
    expected = {}
    for path in paths:
        mean = np.mean([value for value, name in zip(values, paths, strict=True) if name == path], axis=0)
        length = np.sqrt((mean**2).sum() * (query**2).sum())
        expected[path] = (mean * query).sum() / length if length else 0
    assert [row["path"] for row in ranked] == sorted(expected, key=lambda path: -expected[path])
    assert {row["path"]: row["similarity"] for row in ranked} == pytest.approx(expected, abs=1e-6)
    assert {row["path"]: row["label"] for row in ranked} == {"a": "A", "b": "b", "c": "c", "null": "n"}


@pytest.mark.parametrize("per", ["video", "block", "frame"])
def test_a_video_finds_itself_first(live_chain, embedded, per):
    run = load_run(live_chain / "pretrained")
    for video in list((live_chain / "VIDEOS").rglob("*.avi"))[::4]:
        found, reason = search_videos(run, video, embedded[per], top=3)
        assert found[0]["path"] == str(video) and found[0]["similarity"] == pytest.approx(1, abs=1e-6)
        assert len(found) == 3 and not reason


def test_middle_frames_are_those_halfway(live_chain, tmp_path):
    videos = sorted((live_chain / "VIDEOS").rglob("*.avi"))
    (tmp_path / "noise.avi").write_bytes(bytes(range(256)) * 40)
    frames = read_middle_frames([*map(str, videos), str(tmp_path / "noise.avi"), str(tmp_path / "missing.avi"), "/"])
    assert list(frames) == [str(video) for video in videos]
    for path, frame in frames.items():
        number = int(path.rsplit("/v", 1)[1].removesuffix(".avi"))
        assert abs(read_number(frame) - (90 * number + (30 + number) // 2)) <= 1


def test_the_table_and_the_sheet_show_what_was_found(live_chain, embedded, tmp_path):
    video, out = next((live_chain / "VIDEOS").rglob("*.avi")), tmp_path / "found.png"
    words = ["search", live_chain / "pretrained", video, embedded["video"], "--top", "4", "--out", out]
    head, first, *others = CliRunner().invoke(videorep_command, [str(word) for word in words]).stdout.splitlines()
    assert head.split() == ["similarity", "path", "label"] and first.split() == ["1", str(video), "-"]
    assert len(others) == 4 and others[-1] == f"Wrote {out}"
    sheet = cv2.imread(str(out))
    frame = read_middle_frames([str(video)])[str(video)]
    tile = cv2.resize(frame, (300, 180), interpolation=cv2.INTER_NEAREST)
    for left in (6, 312):  # the query, and itself
        np.testing.assert_array_equal(sheet[42:222, left : left + 300], tile)


def refused(*words):
    result = CliRunner().invoke(videorep_command, [str(word) for word in words])
    assert result.exit_code in (1, 2) and "Traceback" not in result.output
    return result.output


def test_what_cannot_be_searched_is_refused_in_one_sentence(live_chain, embedded, tmp_path):
    video, file = live_chain / "whole.mp4", embedded["video"]
    assert "another model made" in refused("search", live_chain / "rgb", video, file)
    narrow = dataclasses.replace(read_embeddings(file), values=np.ones((10, 1), np.float32))
    write_embeddings(tmp_path / "narrow.npz", narrow)
    assert "expected embeddings of 3 numbers" in refused(
        "search", live_chain / "pretrained", video, tmp_path / "narrow.npz"
    )
    assert "videorep embed wrote" in refused("search", live_chain / "rgb", video, video)
    run = live_chain / "pretrained"
    assert "no such file" in refused("search", run, tmp_path / "missing.mp4", file)
    assert "received 10 in" in refused("search", run, live_chain / "VIDEOS", file)
    assert "'--out'" in refused("search", run, video, file, "--out", "x.jpg")
    (tmp_path / "old.png").touch()
    assert "which exists" in refused("search", run, video, file, "--out", tmp_path / "old.png")
