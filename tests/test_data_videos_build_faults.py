"""A folder of 30 bad files beside 30 good ones: all accounted for, the good ones complete, no process left behind."""

import collections
import os
import random
import shutil
import subprocess
from pathlib import Path

import cv2
import pytest
from generated_videos import numbered_frame, read_number, write_video
from live_building import save_net
from shard_building import count_outcomes, with_options

from videorep.build_config import ClipsConfig, PerceptsConfig
from videorep.data.percepts.direct import build_percepts_of_videos
from videorep.data.shards.read import read_shards
from videorep.data.shards.verify import verify_dataset
from videorep.data.videos import build
from videorep.errors import DataError

build_clips = with_options(build.build_clips, ClipsConfig)

FRAMES = 25

# Put before everything that a worker imports: a decoder that crashes or hangs on files of certain names.
SABOTAGE = """
import ctypes, cv2, time
genuine = cv2.VideoCapture
def capture(path, *settings):
    if path.rsplit("/", 1)[-1].startswith("segfault"):
        ctypes.string_at(0)
    if path.rsplit("/", 1)[-1].startswith("hang"):
        time.sleep(3600)
    return genuine(path, *settings)
cv2.VideoCapture = capture
"""


def make_good(folder):
    """30 sound videos of 25 numbered frames: odd names, headers that lie, a link; {name: number of the first frame}."""
    names = [f"{number}{suffix}" for number in range(4) for suffix in (".avi", ".mp4", ".mkv", ".mov")]
    names += [
        "a b.mp4",
        "quote'\".mp4",
        "new\nline.mp4",
        "ünï漢字.mp4",
        "-dash.avi",
        "%03d.mp4",
        "UPPER.MP4",
        "a;b&c$d.avi",
    ]
    for number, name in enumerate(names):
        path = folder / f"temporary{Path(name).suffix.lower()}"
        write_video(path, FRAMES, first=30 * number)
        path.rename(folder / name)
    firsts = {name: 30 * number for number, name in enumerate(names)}
    for name, suffix in [("really-mkv.avi", ".mkv"), ("really-avi.mp4", ".avi")]:
        firsts[name] = 30 * len(firsts)
        write_video(folder / f"temporary{suffix}", FRAMES, first=firsts[name]).rename(folder / name)
    for name, fields in [
        ("zero-fps.avi", [(b"avih", 0), (b"strh", 24)]),
        ("zero-frames.avi", [(b"avih", 16), (b"strh", 32)]),
    ]:
        firsts[name] = 30 * len(firsts)
        path = write_video(folder / name, FRAMES, first=firsts[name])
        data = bytearray(path.read_bytes())
        for tag, offset in fields:
            at = data.index(tag) + 8 + offset
            data[at : at + 4] = bytes(4)
        path.write_bytes(data)
    firsts["odd-size.avi"] = None
    planes = bytes([150]) * (17 * 33) + bytes([128]) * (9 * 17 * 2)
    (folder / "odd-size.avi").write_bytes(
        b"YUV4MPEG2 W33 H17 F25:1 Ip A1:1 C420jpeg\n" + (b"FRAME\n" + planes) * FRAMES
    )
    outside = folder.parent / "outside.mp4"
    firsts["link.mp4"] = 30 * len(firsts)
    (folder / "link.mp4").symlink_to(write_video(outside, FRAMES, first=firsts["link.mp4"]))
    return firsts


def make_bad(folder):
    """30 files that are of no use; {name: the kinds of reason that may be given for it}."""
    generator = random.Random(4)
    broken = {"damaged", "unreadable", "no frames", "too short"}
    kinds = {}
    for number in range(8):
        name = f"cut{number}" + (".avi" if number % 2 else ".mp4")
        path = write_video(folder / name, 60, first=40 * number)
        path.write_bytes(path.read_bytes()[: generator.randrange(100, int(path.stat().st_size * 0.9))])
        kinds[name] = broken
    for number in range(6):
        name = f"{'wiped' if number % 2 else 'flipped'}{number}.mp4"
        path = write_video(folder / name, 60, first=40 * number)
        data = bytearray(path.read_bytes())
        at = generator.randrange(2000, len(data) - 4000)
        for place in range(at, at + 1000, 1 if number % 2 else 10):
            data[place] = 0 if number % 2 else data[place] ^ 1 << generator.randrange(8)
        path.write_bytes(data)
        kinds[name] = broken
    for number in range(3):
        write_video(folder / f"one-frame{number}.mp4", 1, first=number)
        kinds[f"one-frame{number}.mp4"] = {"too short"}
    for name, content in [("text.mp4", b"hello\n" * 50), ("zeros.avi", bytes(9999)), ("locked.mkv", b"no entry\n")]:
        (folder / name).write_bytes(content)
        kinds[name] = {"unreadable"}
    (folder / "locked.mkv").chmod(0)
    (folder / "empty.mp4").touch()
    (folder / "picture.mp4").write_bytes(cv2.imencode(".jpg", numbered_frame(5))[1].tobytes())
    (folder / "x.mp4").mkdir()
    (folder / "dangling.mp4").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.mp4")
    for number, name in enumerate(["segfault.mp4", "segfault.avi", "hang.mp4"]):
        write_video(folder / name, FRAMES, first=900 + 30 * number)
    shutil.copy(folder / "0.mp4", folder / "twin.mp4")
    shutil.copy(folder / "hang.mp4", folder / "notes.txt")
    kinds |= {"empty.mp4": {"unreadable"}, "picture.mp4": {"too short"}, "twin.mp4": {"duplicate"}}
    kinds |= {name: {"not a regular file"} for name in ("x.mp4", "dangling.mp4", "pipe.mp4")}
    kinds |= {"segfault.mp4": {"decoder crashed"}, "segfault.avi": {"decoder crashed"}, "hang.mp4": {"timed out"}}
    return kinds | {"notes.txt": {"not a video"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """(folder, {name of a good one: its first frame's number}, {name of a bad one: kinds})."""
    root = tmp_path_factory.mktemp("faults")
    videos = root / "videos"
    videos.mkdir()
    (root / "sabotage").mkdir()
    (root / "sabotage" / "sitecustomize.py").write_text(SABOTAGE)
    good, bad = make_good(videos), make_bad(videos)
    assert len(good) == len(bad) == 30 and len(os.listdir(videos)) == 60
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(root / "sabotage"))
        yield videos, good, bad


def children():
    """The worker processes of this process that are there, dead or alive."""
    listed = subprocess.run(
        ["ps", "-o", "args=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=False
    )
    return [line for line in listed.stdout.splitlines() if "videorep.data.videos.workers" in line or "defunct" in line]


def test_all_sixty_are_accounted_for_and_the_good_ones_are_complete(folder, tmp_path, capfd):
    videos, good, bad = folder
    dataset = build_clips(videos, tmp_path / "out", workers=2, timeout=4.0)
    entries = {source["path"]: source for source in dataset.sources}
    assert len(dataset.sources) == len(entries) == 60 and set(entries) == set(good) | set(bad)
    for name, kinds in bad.items():
        assert entries[name]["status"] == "left out" and entries[name]["reason"].split(":")[0] in kinds, entries[name]
    for name in good:
        assert (entries[name]["status"], entries[name]["reason"], entries[name]["frames"]) == ("written", "", FRAMES)
    seen = collections.Counter()
    for clip in read_shards(tmp_path / "out").as_numpy_iterator():
        name = clip["path"].decode()
        seen[name] += 1
        assert len(clip["frames"]) == FRAMES
        if good[name] is not None:
            assert [read_number(frame) for frame in clip["frames"]] == list(range(good[name], good[name] + FRAMES))
    assert seen == dict.fromkeys(good, 1)
    assert verify_dataset(tmp_path / "out") == []
    assert children() == [] and capfd.readouterr().err == ""


@pytest.mark.parametrize("keep_partial", [False, True])
def test_straight_to_percepts_all_sixty_have_the_account_of_clips(folder, tmp_path, keep_partial):
    choices = {"workers": 2, "timeout": 4.0, "keep_partial": keep_partial}
    clips = build_clips(folder[0], tmp_path / "clips", **choices)
    save_net(tmp_path / "net.keras", 3)
    config = PerceptsConfig(str(tmp_path / "net.keras"))
    percepts = build_percepts_of_videos(folder[0], tmp_path / "percepts", config, ClipsConfig(**choices))
    shards = {shard.file.replace("clips", "percepts"): shard.index["frames"] for shard in clips.shards("train")}
    assert {shard.file: shard.index["frames"] for shard in percepts.shards("train")} == shards
    sources = [dict(entry, shard=entry["shard"] and f"percepts{entry['shard'][5:]}") for entry in clips.sources]
    assert list(percepts.sources) == sources and len(sources) == 60
    assert children() == []


def test_partial_frames_of_damaged_ones_are_kept_only_on_demand_and_counted(folder, tmp_path):
    videos, good, bad = folder
    dataset = build_clips(videos, tmp_path / "out", workers=2, timeout=4.0, keep_partial=True)
    partial = [source for source in dataset.sources if source["records"] and source["reason"]]
    assert count_outcomes(dataset)["partial"] == len(partial) >= 5
    assert all(source["path"] in bad and 2 <= source["frames"] <= 60 for source in partial)
    assert {source["path"] for source in dataset.sources if source["records"]} == set(good) | {
        s["path"] for s in partial
    }


def test_the_build_gives_up_at_the_share_that_is_asked_for(folder, tmp_path):
    with pytest.raises(DataError, match="at most 10% of 58 videos to be bad, received 6 so far"):
        build_clips(folder[0], tmp_path / "out", workers=2, timeout=4.0, max_bad_fraction=0.1)
    assert children() == [] and not (tmp_path / "out").exists()


def test_real_damaged_videos_are_accounted_for(tmp_path, shared_data):
    dataset = build_clips(shared_data / "videos", tmp_path / "out", size=(24, 32), workers=2)
    assert count_outcomes(dataset) == {"written": 4, "partial": 0, "left_out": {"damaged": 1}}
    frames = {source["path"]: source.get("frames") for source in dataset.sources}
    assert frames["Megamind.avi"] == frames["Megamind_bugy.avi"] == 270 and frames["decord_corrupted.mp4"] is None
