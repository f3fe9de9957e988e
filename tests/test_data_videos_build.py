"""videorep.data.videos.build: from video files to shards that read back, whoever decodes and interrupts the build."""

import collections
import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from generated_videos import read_number, write_video
from shard_building import count_outcomes, with_options

from videorep.build_config import ClipsConfig
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.read import read_shards
from videorep.data.videos import build
from videorep.errors import ConfigError, DataError, OutputError
from videorep.progress import SilentProgress

build_clips = with_options(build.build_clips, ClipsConfig)


def make_classes(root, classes=("bow", "nod", "wave"), videos=4, frames=12, **options):
    """Class folders of videos, each of which begins with a number of its own."""
    for index, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for number in range(videos):
            write_video(root / name / f"{number}.mp4", frames, first=200 * index + 20 * number, **options)
    return root


def contents(folder):
    """{file: bytes} of a finished folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_class_folders_become_labelled_clips(tmp_path):
    videos = make_classes(tmp_path / "v")
    dataset = build_clips(videos, tmp_path / "out", labels="folders", workers=2)
    assert dataset.labels == ("bow", "nod", "wave") and dataset.kind == "clips"
    assert (dataset.height, dataset.width, dataset.channels, dataset.frame_rate) == (48, 80, 3, 25.0)
    clips = {clip["path"].decode(): clip for clip in read_shards(tmp_path / "out").as_numpy_iterator()}
    assert len(clips) == 12
    for index, name in enumerate(dataset.labels):
        for number in range(4):
            clip = clips[f"{name}/{number}.mp4"]
            assert clip["label"] == index and clip["label_text"] == name.encode()
            first = 200 * index + 20 * number
            assert [read_number(frame) for frame in clip["frames"]] == list(range(first, first + 12))
            red, green, _ = clip["frames"][:, 24:40].mean((0, 1, 2))
            assert red > 20 and green < 15
    for source in dataset.sources:
        assert (source["status"], source["reason"], source["frames"]) == ("written", "", 12)
        assert source["sha256"] == hashlib.sha256((videos / source["path"]).read_bytes()).hexdigest()
    paths = [source["path"] for source in dataset.sources]
    assert paths != sorted(paths), "records are shuffled, so that neighbours are of different classes"


def test_options_shape_the_clips_and_are_written_down(tmp_path):
    videos = make_classes(tmp_path / "v", frames=25)
    options = {"fps": 5, "size": (24, 40), "quality": 80, "seed": 7}
    dataset = build_clips(videos, tmp_path / "out", labels="folders", split=0.5, workers=1, **options)
    assert collections.Counter(source["split"] for source in dataset.sources) == {"train": 6, "test": 6}
    assert dataset.made["seed"] == 7 and dataset.made["settings"]["size"] == [24, 40]
    assert dataset.made["settings"]["quality"] == 80
    for clip in read_shards(tmp_path / "out", "test"):
        assert clip["frames"].shape == (5, 24, 40, 3) and clip["frame_rate"] == 5.0
        assert np.array_equal(clip["timestamps"], 200_000 * np.arange(5))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Class folders with a bad video, and what an uninterrupted build by one worker makes of them."""
    root = tmp_path_factory.mktemp("reference")
    videos = make_classes(root / "v", videos=6)
    (videos / "nod" / "2.mp4").write_bytes(b"no video")
    build_quickly(videos, root / "out", workers=1)
    return videos, contents(root / "out")


def build_quickly(videos, out, workers, **options):
    """A build of many shards of 2 clips each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "CLIPS_PER_SHARD", 2)
        return build_clips(videos, out, labels="folders", split=0.7, workers=workers, resume=True, **options)


def test_the_number_of_workers_changes_nothing(tmp_path, reference):
    videos, expected = reference
    build_quickly(videos, tmp_path / "out", workers=3)
    assert contents(tmp_path / "out") == expected
    assert len(expected) == 10, "6 + 3 shards and dataset.json"


class Interruption(SilentProgress):
    """Ctrl-C after some videos."""

    def __init__(self, after):
        self.after = after

    @contextlib.contextmanager
    def task(self, *arguments, **options):
        def advance(count, note=""):
            self.after -= count
            if self.after < 0:
                raise KeyboardInterrupt

        yield advance


@pytest.mark.parametrize("workers", [1, 2])
def test_a_build_that_is_interrupted_and_resumed_ends_with_the_same_bytes(tmp_path, reference, workers):
    videos, expected = reference
    for after in (5, 0, 3, 2):
        with pytest.raises(KeyboardInterrupt):
            build_quickly(videos, tmp_path / "out", workers, progress=Interruption(after))
        assert not (tmp_path / "out" / "dataset.json").exists()
    build_quickly(videos, tmp_path / "out", workers)
    assert contents(tmp_path / "out") == expected


SCRIPT = """
import sys
from videorep.build_config import ClipsConfig
from videorep.data.videos import build
build.CLIPS_PER_SHARD = 2
config = ClipsConfig(labels="folders", split=0.7, workers=int(sys.argv[3]))
build.build_clips(sys.argv[1], sys.argv[2], config, resume=True)
"""


def kill_and_resume(videos, out, workers, shards):
    """Kills the build when it has made that many more shards, for each number given."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", SCRIPT, videos, out, str(workers)]
    for more in shards:
        wanted = len(list(out.glob("*.tfrecord-*"))) + more
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as build:
            while build.poll() is None and len(list(out.glob("*.tfrecord-*"))) < wanted:
                time.sleep(0.001)
            build.send_signal(signal.SIGKILL)
    build_quickly(videos, out, workers)


def test_a_build_that_is_killed_and_resumed_ends_with_the_same_bytes(tmp_path, reference):
    videos, expected = reference
    kill_and_resume(videos, tmp_path / "out", 2, [3])
    assert contents(tmp_path / "out") == expected


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_build_that_is_killed_at_ten_moments_ends_with_the_same_bytes(tmp_path, reference, workers):
    videos, expected = reference
    kill_and_resume(videos, tmp_path / "out", workers, [1, 0, 1, 0, 1, 1, 0, 1, 1, 0])
    assert contents(tmp_path / "out") == expected


def test_a_bad_video_is_listed_and_nothing_takes_its_place(reference):
    dataset = load_dataset(reference[0].parent / "out")
    (bad,) = [source for source in dataset.sources if source["status"] == "left out"]
    assert bad["path"] == "nod/2.mp4" and bad["reason"].startswith("unreadable: ") and bad["records"] == 0
    assert sum(shard.records for shards in dataset.splits.values() for shard in shards) == 17
    assert count_outcomes(dataset) == {"written": 17, "partial": 0, "left_out": {"unreadable": 1}}


def test_too_many_bad_videos_end_the_build_also_when_it_is_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr("videorep.data.videos.build.CLIPS_PER_SHARD", 3)
    videos = make_classes(tmp_path / "v", videos=5)
    for number in range(8):
        (videos / "bow" / f"bad{number}.mp4").write_bytes(b"no video %d" % number)
    options = {"labels": "folders", "workers": 1}
    for _ in range(2):
        with pytest.raises(
            DataError, match=r"at most 20% of 23 videos to be bad, received [5-8] so far \([5-8] unreadable"
        ):
            build_clips(videos, tmp_path / "out", max_bad_fraction=0.2, resume=True, **options)
        assert not (tmp_path / "out" / "dataset.json").exists()
    dataset = build_clips(videos, tmp_path / "out", max_bad_fraction=0.4, resume=True, **options)
    assert count_outcomes(dataset) == {"written": 15, "partial": 0, "left_out": {"unreadable": 8}}


def test_when_all_videos_are_bad_nothing_is_left_behind(tmp_path):
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "a.mp4").write_text("no video")
    for fraction in (0.5, 1.0):
        with pytest.raises(DataError, match=r"a\.mp4"):
            build_clips(tmp_path / "v", tmp_path / "out", max_bad_fraction=fraction)
        assert not (tmp_path / "out").exists()


def test_damaged_videos_are_kept_only_on_demand_and_told(tmp_path):
    (tmp_path / "v").mkdir()
    write_video(tmp_path / "v" / "a.avi", 40)
    path = write_video(tmp_path / "v" / "b.avi", 60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    strict = build_clips(tmp_path / "v", tmp_path / "strict")
    assert count_outcomes(strict) == {"written": 1, "partial": 0, "left_out": {"damaged": 1}}
    partial = build_clips(tmp_path / "v", tmp_path / "partial", keep_partial=True)
    assert count_outcomes(partial) == {"written": 2, "partial": 1, "left_out": {}}
    (source,) = [source for source in partial.sources if source["path"] == "b.avi"]
    assert f"{source['frames']} of 60 frames decoded" in source["reason"] and 20 < source["frames"] < 40


def test_random_pieces_of_long_videos(tmp_path):
    (tmp_path / "v").mkdir()
    for name, frames, first in [("long.mp4", 500, 0), ("other.mp4", 300, 600), ("short.mp4", 20, 0)]:
        write_video(tmp_path / "v" / name, frames, first=first)
    (tmp_path / "v" / "bad.mp4").write_text("no video")
    options = {"sample_seconds": 2, "total_hours": 8 * 2 / 3600, "workers": 2}
    dataset = build_clips(tmp_path / "v", tmp_path / "out", seed=5, **options)
    starts = {}
    for clip in read_shards(tmp_path / "out").as_numpy_iterator():
        numbers = [read_number(frame) for frame in clip["frames"]]
        assert len(numbers) == 50 and np.array_equal(np.diff(numbers), np.ones(49))
        first = 600 if clip["path"] == b"other.mp4" else 0
        assert clip["timestamps"][0] == (numbers[0] - first) * 40_000
        starts[clip["path"].decode(), numbers[0] - first] = True
    assert len(starts) == 8
    written = {(s["path"], int(np.ceil(s["start"] * 25 - 0.03))) for s in dataset.sources if s["records"]}
    assert written == set(starts)
    reasons = {source["path"]: source["reason"] for source in dataset.sources if not source["records"]}
    assert reasons["short.mp4"] == "not sampled: 0.8 s long" and reasons["bad.mp4"].startswith("unreadable: ")
    again = build_clips(tmp_path / "v", tmp_path / "again", seed=5, **options | {"workers": 1})
    assert again.sources == dataset.sources
    with pytest.raises(DataError, match="raise --total-hours"):
        build_clips(tmp_path / "v", tmp_path / "less", sample_seconds=2, total_hours=1e-4)
    assert build_clips(tmp_path / "v", tmp_path / "other", seed=6, **options).sources != dataset.sources


def test_pieces_from_a_csv_with_two_labels_in_one_video(tmp_path):
    write_video(tmp_path / "a.mp4", 100)
    (tmp_path / "list.csv").write_text(
        "path,start,end,label\na.mp4,0,1,bow\na.mp4,2,3,wave\na.mp4,9,10,wave\ngone.mp4,0,1,bow\n"
    )
    dataset = build_clips(tmp_path / "list.csv", tmp_path / "out")
    got = {
        int(clip["label"]): [read_number(f) for f in clip["frames"].numpy()] for clip in read_shards(tmp_path / "out")
    }
    assert got == {0: list(range(25)), 1: list(range(50, 75))} and dataset.labels == ("bow", "wave")
    assert count_outcomes(dataset)["left_out"] == {"missing": 1, "no frames": 1}


def test_a_dry_run_counts_and_writes_nothing(tmp_path):
    videos = make_classes(tmp_path / "v")
    (videos / "notes.txt").touch()
    plan = build_clips(videos, tmp_path / "out", labels="folders", split=0.5, dry_run=True)
    assert plan["clips"] == {"train": 6, "test": 6} and plan["shards"] == {"train": 1, "test": 1}
    assert plan["classes"] == 3 and plan["left_out"] == {"not a video": 1}
    assert not (tmp_path / "out").exists()


def test_a_dry_run_refuses_the_folders_that_a_build_would_refuse(tmp_path):
    videos = make_classes(tmp_path / "v", classes=("bow",), videos=1)
    build_clips(videos, tmp_path / "out", workers=1)
    with pytest.raises(OutputError, match="finished shards"):
        build_clips(videos, tmp_path / "out", dry_run=True)
    build_clips(videos, tmp_path / "out", dry_run=True, overwrite=True)
    with pytest.raises(OutputError, match="outside"):
        build_clips(videos, videos / "shards", dry_run=True)
    assert (tmp_path / "out" / "dataset.json").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"fps": 0},
        {"fps": -5},
        {"size": (0, 10)},
        {"size": (10,)},
        {"quality": 101},
        {"sample_seconds": 0},
        {"total_hours": 1},
        {"seed": -1},
        {"workers": 0},
        {"timeout": 0},
        {"max_bad_fraction": 1.5},
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path, options):
    (option,) = options
    with pytest.raises(ConfigError, match=f"expected {option} to be"):
        build_clips(tmp_path, tmp_path / "out", **options)


def test_what_is_there_is_not_overwritten_unasked(tmp_path):
    videos = make_classes(tmp_path / "v", classes=("bow",))
    build_clips(videos, tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(OutputError, match="--overwrite"):
        build_clips(videos, tmp_path / "out", seed=1)
    assert contents(tmp_path / "out") == before
    build_clips(videos, tmp_path / "out", seed=1, overwrite=True)
    assert contents(tmp_path / "out") != before


def test_official_ucf_split_of_real_clips(tmp_path, shared_data):
    (tmp_path / "v").mkdir()
    for path in sorted((shared_data / "ucf101" / "clips").glob("*.mp4"))[::12]:
        (tmp_path / "v" / path.name).symlink_to(path)
    split = f"{shared_data}/splits/ucf101:1"
    dataset = build_clips(tmp_path / "v", tmp_path / "out", labels="ucf101", split=split, size=(30, 40), workers=2)
    groups = {source["path"]: int(source["path"].split("_g")[1][:2]) for source in dataset.sources}
    assert len(groups) == 10 and count_outcomes(dataset)["written"] == 10
    assert all((groups[s["path"]] <= 7) == (s["split"] == "test") for s in dataset.sources), (
        "list 1 tests groups 1 to 7"
    )
    assert all(dataset.labels[s["label_index"]] in s["path"] for s in dataset.sources)


@pytest.mark.parametrize("size", [24, (24, 40)])
def test_a_shorter_side_keeps_the_proportions_of_each_video(tmp_path, size):
    (tmp_path / "v").mkdir()
    write_video(tmp_path / "v" / "wide.mp4", 3, width=96, height=48)
    write_video(tmp_path / "v" / "high.mp4", 3, width=80, height=160)
    dataset = build_clips(tmp_path / "v", tmp_path / "out", size=size, workers=1)
    clips = read_shards(tmp_path / "out").as_numpy_iterator()
    shapes = {clip["path"].decode(): clip["frames"].shape[1:3] for clip in clips}
    if size == 24:
        assert shapes == {"wide.mp4": (24, 48), "high.mp4": (48, 24)} and dataset.height is None
    else:
        assert set(shapes.values()) == {(24, 40)}


def test_a_dry_run_tells_about_how_many_bytes_the_shards_take(tmp_path):
    videos = make_classes(tmp_path / "v", videos=3, frames=30)
    plans = [build_clips(videos, tmp_path / "out", labels="folders", dry_run=True, workers=n)["bytes"] for n in (1, 2)]
    assert plans[0] == plans[1] and plans[0]["videos"] == sum(path.stat().st_size for path in videos.rglob("*.mp4"))
    for options, told in (({}, "shards_about"), ({"quality": 75}, "shards_with_--quality 75")):
        dataset = build_clips(videos, tmp_path / told, labels="folders", workers=1, **options)
        real = sum(shard.bytes for shards in dataset.splits.values() for shard in shards)
        assert 0.8 * real < plans[0][told] < 1.25 * real
    smaller = build_clips(videos, tmp_path / "out", labels="folders", dry_run=True, size=12, workers=1)["bytes"]
    assert smaller["shards_about"] < plans[0]["shards_about"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_a_build_would_refuse_is_refused_before_it_by_a_dry_run_too(tmp_path, dry_run):
    videos = make_classes(tmp_path / "v", classes=("bow",), videos=2)
    options = {"dry_run": dry_run, "workers": 1}
    with pytest.raises(DataError, match=r"expected a video to decode.*not named like v_Archery_g01_c01"):
        build_clips(videos, tmp_path / "out", labels="ucf101", **options)
    rows = [f"gone{number}.mp4,a\n" for number in range(3)]
    (tmp_path / "list.csv").write_text("".join(["path,label\n", *rows, "v/bow/0.mp4,a\n"]))
    with pytest.raises(DataError, match="3 missing"):
        build_clips(tmp_path / "list.csv", tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_shards_lie_apart_from_the_videos(tmp_path):
    videos = make_classes(tmp_path / "v" / "inner", classes=("bow",), videos=1)
    for out in (videos, videos / "below", tmp_path / "v", tmp_path / "v" / "inner" / ".." / "inner" / "x"):
        with pytest.raises(OutputError, match="expected"):
            build_clips(videos, out)
    build_clips(videos, tmp_path / "v" / "inner2", workers=1)


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": float("inf")},
        {"total_hours": float("inf")},
        {"sample_seconds": float("nan")},
        {"fps": 1e-310},
        {"workers": 10**6},
        {"seed": 10**400},
        {"size": 10**9},
    ],
)
def test_numbers_beyond_all_sense_are_refused(tmp_path, options):
    (option,) = options
    more = {"sample_seconds": 1} if option == "total_hours" else {}
    with pytest.raises(ConfigError, match=f"expected {option} to be"):
        build_clips(tmp_path, tmp_path / "out", **options, **more)
