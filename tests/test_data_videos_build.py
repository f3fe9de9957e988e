"""From video files to shards that read back: which clips, of which frames, with which labels."""

import collections
import hashlib

import numpy as np
import pytest
from generated_videos import make_classes, read_number, write_video
from shard_building import count_outcomes, with_options

from videorep.build_config import ClipsConfig
from videorep.data.shards.read import read_shards
from videorep.data.videos import build
from videorep.errors import DataError

build_clips = with_options(build.build_clips, ClipsConfig)


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


def test_too_many_bad_videos_end_the_build_also_when_it_is_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr("videorep.data.videos.job.CLIPS_PER_SHARD", 3)
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
