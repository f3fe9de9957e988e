"""From a list of labelled segments to clips and percepts with a class for every frame."""

import re

import numpy as np
import pytest
from click.testing import CliRunner
from generated_videos import write_video
from live_building import call, save_net
from video_listing import make

from videorep.cli.main import videorep_command
from videorep.data import read_shards
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.verify import verify_dataset
from videorep.data.videos.labels import list_videos
from videorep.errors import DataError

SEGMENTS = {"a.avi": [(0.2, 0.5, "wave"), (0.5, 0.9, "bow"), (1.3, 5.0, "wave")], "b.mp4": [(0.0, 0.4, "bow")]}


def write_list(folder, segments=SEGMENTS):
    rows = [f"{name},{start},{end},{label}" for name, each in segments.items() for start, end, label in each]
    (folder / "list.csv").write_text("\n".join(["path,start,end,label", *rows]) + "\n")
    return folder / "list.csv"


@pytest.fixture
def videos(tmp_path):
    write_video(tmp_path / "a.avi", frames=40)
    write_video(tmp_path / "b.mp4", frames=30, first=40)
    return tmp_path


def expected_names(name, seconds):
    """The class of every moment, by a loop."""
    return [
        next((label for start, end, label in SEGMENTS[name] if start <= second < end), "background")
        for second in seconds
    ]


@pytest.mark.parametrize("fps", [None, 10])
def test_every_frame_gets_the_class_of_its_segment_or_background(videos, fps):
    given = ["--labels", "segments", *(["--fps", fps] if fps else [])]
    call("build-shards", "clips", write_list(videos), "--out", videos / "clips", *given)
    dataset = load_dataset(videos / "clips")
    assert dataset.labels == ("background", "bow", "wave") and verify_dataset(videos / "clips") == []
    clips = {clip["path"].decode(): clip for clip in read_shards(videos / "clips").as_numpy_iterator()}
    for name, frames in (("a.avi", 40), ("b.mp4", 30)):
        seconds = np.arange(frames * (fps or 25) // 25) / (fps or 25)
        names = [dataset.labels[label] for label in clips[name]["frame_labels"]]
        assert names == expected_names(name, seconds) and len(set(names)) > 1 and clips[name]["label"] == -1
    save_net(videos / "net.keras", 3)
    call("build-shards", "percepts", videos / "clips", "--out", videos / "percepts", "--backbone", videos / "net.keras")
    for percept in read_shards(videos / "percepts").as_numpy_iterator():
        labels = clips[percept["path"].decode()]["frame_labels"]
        np.testing.assert_array_equal(percept["frame_labels"], labels)
    assert verify_dataset(videos / "percepts") == []


def test_random_pieces_have_the_classes_of_their_times(videos):
    given = ["--labels", "segments", "--sample-seconds", "0.4"]
    call("build-shards", "clips", write_list(videos), "--out", videos / "clips", *given)
    for clip in read_shards(videos / "clips").as_numpy_iterator():
        names = [("background", "bow", "wave")[label] for label in clip["frame_labels"]]
        assert names == expected_names(clip["path"].decode(), clip["timestamps"] / 1e6)


def test_a_segment_without_frames_is_told(videos):
    write_list(videos, {"a.avi": [(0.0, 0.5, "bow"), (7.0, 8.0, "wave")], "b.mp4": [(0.0, 0.4, "bow")]})
    call("build-shards", "clips", videos / "list.csv", "--out", videos / "clips", "--labels", "segments")
    reasons = {source["path"]: source["reason"] for source in load_dataset(videos / "clips").sources}
    assert reasons == {"a.avi": "no frame in the segment from 7 to 8 s", "b.mp4": ""}
    assert "classes:" in call("inspect", videos / "clips")


def test_a_build_is_not_resumed_with_other_segments(videos):
    words = ["build-shards", "clips", str(write_list(videos)), "--out", str(videos / "clips"), "--labels", "segments"]
    call(*words)
    write_list(videos, SEGMENTS | {"b.mp4": [(0.0, 0.5, "bow")]})
    result = CliRunner().invoke(videorep_command, [*words, "--resume"])
    assert result.exit_code == 1 and "received others" in result.output


def test_rows_without_times_are_the_whole_video(tmp_path):
    make(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "list.csv").write_text("a.mp4,,,wave\nb.mp4,1,,bow\n")
    listing = list_videos(tmp_path / "list.csv", labels="segments")
    background = (0.0, float("inf"), "background")
    segments = {video.file.name: video.segments for video in listing.videos}
    assert segments == {
        "a.mp4": (background, (0.0, float("inf"), "wave")),
        "b.mp4": (background, (1.0, float("inf"), "bow")),
    }
    assert {(video.label, video.start, video.end) for video in listing.videos} == {(None, None, None)}


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (
            "a.mp4,0,2,wave\na.mp4,1.5,3,bow\n",
            "a.mp4 that do not overlap, received 'wave' until 2 s and 'bow' from 1.5 s",
        ),
        ("a.mp4,0,2,wave\na.mp4,0,2,bow\n", "one label for a.mp4"),
        ("a.mp4,,,wave\na.mp4,1,2,wave\n", "until inf s"),
        ("a.mp4,0,2\n", "no label for a.mp4"),
    ],
)
def test_what_is_not_clear_is_refused(tmp_path, rows, match):
    make(tmp_path, "a.mp4")
    (tmp_path / "list.csv").write_text(rows)
    with pytest.raises(DataError, match=re.escape(match)):
        list_videos(tmp_path / "list.csv", labels="segments")


def test_a_folder_has_no_segments(videos):
    with pytest.raises(DataError, match="expected a readable CSV"):
        list_videos(videos, labels="segments")
