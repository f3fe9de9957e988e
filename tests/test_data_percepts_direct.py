"""Percepts straight from videos: those of two builds with lossless images, and the same bytes in all circumstances."""

import contextlib
import json
import os

import numpy as np
import pytest
from click.testing import CliRunner
from generated_videos import make_classes, write_video
from live_building import CLASSES, STACK, call, make_videos, save_net
from shard_building import folder_bytes

from videorep.build_config import ClipsConfig, PerceptsConfig
from videorep.cli.main import videorep_command
from videorep.data.percepts.build import build_percepts
from videorep.data.percepts.direct import build_percepts_of_videos
from videorep.data.shards.read import read_shards
from videorep.data.videos import job
from videorep.data.videos.build import build_clips
from videorep.errors import BackboneError, DataError, OutputError, ShardError
from videorep.progress import SilentProgress

CHOICES = {"labels": "folders", "split": 0.7, "fps": 15.0, "size": (16, 30), "seed": 3}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """VIDEOS of two classes, good and bad ones, and two convnets."""
    place = tmp_path_factory.mktemp("direct")
    videos = make_classes(place / "VIDEOS", CLASSES, videos=6, frames=20)
    (videos / CLASSES[0] / "noise.mp4").write_bytes(bytes(range(256)) * 40)
    (videos / CLASSES[1] / "again.mp4").write_bytes((videos / CLASSES[1] / "0.mp4").read_bytes())
    cut = write_video(videos / CLASSES[1] / "cut.avi", frames=60, first=500)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    write_video(videos / CLASSES[0] / "single.avi", frames=1, first=700)
    (videos / CLASSES[0] / "notes.txt").write_text("no video")
    save_net(place / "net.keras", 3)
    save_net(place / "motion.keras", 2 * STACK)
    return place


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(job, "CLIPS_PER_SHARD", 3)


def build(place, out, *, net="net.keras", work=None, percepts=None, **clips):
    config = PerceptsConfig(str(place / net), **{"batch_size": 7, **(percepts or {})})
    return build_percepts_of_videos(place / "VIDEOS", out, config, ClipsConfig(**CHOICES | clips), **(work or {}))


def records(folder):
    return [record for split in ("train", "test") for record in read_shards(folder, split).as_numpy_iterator()]


@pytest.mark.parametrize(
    "net, keep_partial, rate",
    [("net.keras", False, {"fps": 15.0}), ("motion.keras", True, {"fps": 15.0}), ("net.keras", True, {"every": 3})],
)
def test_it_equals_two_builds_with_lossless_images(place, tmp_path, net, keep_partial, rate):
    percepts = {"dtype": "float32", "batch_size": 7}
    if net == "motion.keras":
        percepts |= {"stream": "flow", "flow_stack": STACK}
    rate = {"fps": None} | rate
    clips = ClipsConfig(**CHOICES | rate, quality=None, keep_partial=keep_partial)
    frames = build_clips(place / "VIDEOS", tmp_path / "clips", clips)
    build_percepts(tmp_path / "clips", tmp_path / "two", PerceptsConfig(str(place / net), **percepts))
    made = build(place, tmp_path / "one", net=net, percepts=percepts, keep_partial=keep_partial, **rate)
    one, two = records(tmp_path / "one"), records(tmp_path / "two")
    assert len(one) == len(two) == 12 + keep_partial
    for record, other in zip(one, two, strict=True):
        np.testing.assert_allclose(record.pop("frames"), other.pop("frames"), atol=1e-5)
        assert all(np.array_equal(record[name], other[name]) for name in record), record["path"]
    renamed = [dict(entry, shard=entry["shard"] and f"percepts{entry['shard'][5:]}") for entry in frames.sources]
    assert list(made.sources) == renamed
    left_out = {entry["path"].split("/")[1]: entry["reason"] for entry in made.sources if not entry["records"]}
    assert left_out.keys() == {"noise.mp4", "again.mp4", "single.avi", "notes.txt", *["cut.avi"][keep_partial:]}
    assert made.labels == frames.labels and made.frame_rate == frames.frame_rate == (rate["fps"] or 25 / rate["every"])
    assert {split: [each.records for each in shards] for split, shards in made.splits.items()} == {
        split: [each.records for each in shards] for split, shards in frames.splits.items()
    }


@pytest.fixture(scope="module")
def reference(place):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "CLIPS_PER_SHARD", 3)
        build(place, place / "reference", workers=1)
    return folder_bytes(place / "reference")


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


def test_neither_interruptions_nor_workers_change_a_byte(place, reference, tmp_path):
    build(place, tmp_path / "more", workers=3)
    assert folder_bytes(tmp_path / "more") == reference and len(reference) == 7
    for after in (4, 0, 5):
        with pytest.raises(KeyboardInterrupt):
            build(place, tmp_path / "out", workers=2, work={"resume": True, "progress": Interruption(after)})
        assert not (tmp_path / "out" / "dataset.json").exists()
    assert len(list((tmp_path / "out").glob("*.tfrecord-*"))) >= 2
    build(place, tmp_path / "out", workers=2, work={"resume": True})
    assert folder_bytes(tmp_path / "out") == reference
    with pytest.raises(ShardError, match="--overwrite"):
        build(place, tmp_path / "out", fps=10.0, work={"resume": True})
    build(place, tmp_path / "out", work={"overwrite": True})
    assert folder_bytes(tmp_path / "out") == reference


def test_segments_and_pieces_are_those_of_clips(place, tmp_path):
    rows = [f"{CLASSES[1]}/0.mp4,0.2,0.5,nod", f"{CLASSES[1]}/1.mp4,,0.3,bow", f"{CLASSES[1]}/2.mp4,0.1,0.2,nod"]
    (tmp_path / "rows.csv").write_text("path,start,end,label\n" + "\n".join(rows) + "\n")
    os.symlink(place / "VIDEOS" / CLASSES[1], tmp_path / CLASSES[1])
    config = PerceptsConfig(str(place / "net.keras"))
    kinds = {"segments": (tmp_path / "rows.csv", {"labels": "segments"})}
    kinds["pieces"] = (place / "VIDEOS", {"sample_seconds": 0.3, "max_bad_fraction": 1.0})
    for name, (videos, choices) in kinds.items():
        build_clips(videos, tmp_path / name, ClipsConfig(**choices))
        made = build_percepts_of_videos(videos, tmp_path / f"{name}-percepts", config, ClipsConfig(**choices))
        pairs = zip(read_shards(made.folder), read_shards(tmp_path / name), strict=True)
        for record, clip in pairs:
            assert record["frame_labels"].numpy().tolist() == clip["frame_labels"].numpy().tolist()
            assert record["path"] == clip["path"] and len(record["frames"]) == len(clip["frames"])
            assert float(record["start"]) == pytest.approx(float(clip["timestamps"][0]) / 1e6)


def test_a_dry_run_tells_and_writes_nothing(place, tmp_path):
    plan = build(place, tmp_path / "out", work={"dry_run": True})
    assert plan["clips"] == {"train": 11, "test": 4} and plan["features"] == 64
    assert plan["left_out"] == {"duplicate": 1, "not a video": 1}
    assert not (tmp_path / "out").exists()


def test_misfits_are_explained(place, tmp_path):
    with pytest.raises(DataError, match="at most 0% of"):
        build(place, tmp_path / "out", max_bad_fraction=0.0)
    deep = save_deep(tmp_path)
    with pytest.raises(ShardError, match="more than 30 frames"):
        build(tmp_path, tmp_path / "short", net=deep, percepts={"stream": "flow", "flow_stack": 30}, split=None)
    with pytest.raises(BackboneError, match="--stream flow with --flow-stack 2"):
        build(place, tmp_path / "out", percepts={"stream": "flow", "flow_stack": 2})
    with pytest.raises(OutputError, match="outside"):
        build(place, place / "VIDEOS" / "out")
    assert not any(tmp_path.glob("out*"))


def save_deep(folder):
    make_videos(folder / "VIDEOS" / CLASSES[0], 1)
    save_net(folder / "deep.keras", 60)
    return "deep.keras"


def test_the_command_tells_videos_from_shards(place, tmp_path):
    net = ["--backbone", str(place / "net.keras")]
    shown = call("build-shards", "percepts", place / "VIDEOS", "--out", tmp_path / "one", *net, "--labels", "folders")
    assert "Made percepts" in shown and "not a video" in shown
    call("build-shards", "percepts", place / "VIDEOS" / CLASSES[0] / "0.mp4", "--out", tmp_path / "file", *net)
    (tmp_path / "settings.toml").write_text("fps = 5\nbatch_size = 3\n")
    config = ["--config", tmp_path / "settings.toml"]
    call("build-shards", "percepts", place / "VIDEOS", "--out", tmp_path / "toml", *net, *config)
    made = json.loads((tmp_path / "toml" / "dataset.json").read_text())["made"]
    assert (made["settings"]["fps"], made["settings"]["batch_size"], made["stages"]["clips"]["quality"]) == (
        5.0,
        3,
        None,
    )
    for source, option in ((tmp_path / "one", ["--fps", "5"]), (tmp_path / "none", ["--labels", "folders"])):
        words = ["build-shards", "percepts", source, "--out", tmp_path / "out", *net, *option]
        result = CliRunner().invoke(videorep_command, list(map(str, words)))
        assert result.exit_code == 2 and f"expected videos for {option[0]}" in result.output
    (tmp_path / "settings.toml").write_text("speed = 5\n")
    result = CliRunner().invoke(videorep_command, list(map(str, [*words[:-2], *config])))
    assert result.exit_code == 1 and "speed" in result.output
    assert not (tmp_path / "out").exists()


def test_a_run_on_such_percepts_classifies_as_it_evaluates(place, tmp_path):
    make_videos(tmp_path / "VIDEOS" / CLASSES[0], 5)
    make_videos(tmp_path / "VIDEOS" / CLASSES[1], 5, first=5)
    stages = ["--labels", "folders", "--split", "0.6", "--size", "16x30", "--fps", "20", "--batch-size", "7"]
    net, run = ["--backbone", place / "net.keras"], tmp_path / "run"
    call("build-shards", "percepts", tmp_path / "VIDEOS", "--out", tmp_path / "percepts", *net, *stages)
    small = ["--steps", "20", "--batch-size", "4", "--learning-rate", "0.03", "--block-frames", "8", "--units", "6"]
    call("finetune", tmp_path / "percepts", "--out", run, *small)
    call("evaluate", run, "--split", "test", "--json", tmp_path / "evaluated.json")
    expected = {
        row["path"]: row["probabilities"] for row in json.loads((tmp_path / "evaluated.json").read_text())["per_video"]
    }
    call("classify", run, tmp_path / "VIDEOS", "--out", tmp_path / "classes.json")
    rows = {
        os.path.relpath(row["path"], tmp_path / "VIDEOS"): row["classes"]
        for row in json.loads((tmp_path / "classes.json").read_text())
    }
    assert len(expected) == 4 and expected.keys() <= rows.keys()
    for path, probabilities in expected.items():
        received = {each["label"]: each["probability"] for each in rows[path]}
        assert received == pytest.approx(probabilities, abs=1e-5)
    assert np.ptp([list(row.values()) for row in expected.values()], axis=0).max() > 1e-4, "videos differ"
    shown = call("verify", tmp_path / "percepts", "--sources", tmp_path / "VIDEOS", *net)
    assert "made from" not in shown
    call("embed", run, tmp_path / "VIDEOS", "--out", tmp_path / "vectors.npz")
    call("embed", run, tmp_path / "percepts", "--out", tmp_path / "stored.npz")
    vectors, stored = embeddings(tmp_path / "vectors.npz"), embeddings(tmp_path / "stored.npz")
    found = {os.path.relpath(path, tmp_path / "VIDEOS"): row for path, row in vectors.items()}
    assert len(stored) == 10
    for path, row in stored.items():
        np.testing.assert_allclose(found[path], row, atol=1e-5)


def embeddings(path):
    with np.load(path) as file:
        return dict(zip(map(str, file["paths"]), file["embeddings"], strict=True))
