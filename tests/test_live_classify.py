"""`classify` against shards, percepts and `evaluate`, on drawn videos; every bad file has its row."""

import contextlib
import csv
import json
import os
import shutil
import signal

import cv2
import keras
import numpy as np
import pytest
from click.testing import CliRunner
from generated_videos import write_video
from live_building import CLASSES, SIZE, call, make_videos

from videorep.cli.main import videorep_command
from videorep.data.percepts.frames import crop_centre
from videorep.data.videos.decode import VideoReader, read_frames
from videorep.live import classify_videos
from videorep.live.perception import Perception
from videorep.runs import load_run


@pytest.fixture(scope="module")
def chain(live_chain):
    return live_chain


def evaluated(chain, *names):
    call("evaluate", *names, "--split", "test", "--json", chain / "evaluated.json", "--overwrite")
    rows = json.loads((chain / "evaluated.json").read_text())["per_video"]
    return {row["path"]: row["probabilities"] for row in rows}


def classified(chain, *words):
    call("classify", *words, "--out", chain / "classes.json", "--overwrite")
    return json.loads((chain / "classes.json").read_text())


@pytest.mark.parametrize("runs", [["rgb"], ["flow"], ["rgb", "flow", "frames"]], ids="+".join)
def test_it_equals_shards_percepts_evaluate(chain, runs):
    paths = [chain / run for run in runs]
    expected = evaluated(chain, *paths)
    rows = {os.path.relpath(row["path"], chain / "VIDEOS"): row for row in classified(chain, *paths, chain / "VIDEOS")}
    assert len(expected) == 4 and expected.keys() <= rows.keys()
    for path, probabilities in expected.items():
        row = rows[path]
        assert row["reason"] is None
        assert {each["label"]: each["probability"] for each in row["classes"]} == pytest.approx(probabilities, abs=1e-5)
        ranked = [each["probability"] for each in row["classes"]]
        assert ranked == sorted(ranked, reverse=True)
    assert np.ptp([list(row.values()) for row in expected.values()], axis=0).max() > 1e-4, "videos differ"


def direct_by_hand(chain, path, fps=20.0, every=1):
    """The probabilities (K,) of frames that pass through the convnet in float32, and through no JPEG."""
    with contextlib.closing(VideoReader(str(path))) as reader:
        taken = [frame for _, frame in read_frames(reader, fps)][::every]
    frames = [cv2.resize(frame, (30, 16), interpolation=cv2.INTER_AREA) for frame in taken]
    seen = np.stack([crop_centre(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), SIZE).numpy() for frame in frames])
    features = keras.models.load_model(chain / "net.keras")(seen.astype(np.float32)).numpy()
    blocks = np.stack([features[start : start + 8] for start in range(0, len(features) - 7, 4)])
    return load_run(chain / "rgb").model()({"frames": blocks}).numpy().mean(axis=(0, 1))


def test_direct_leaves_out_jpeg_and_storage_alone(chain):
    videos = [chain / "whole.mp4", next((chain / "VIDEOS").rglob("*.avi"))]
    for path in videos:
        _, [(_, direct, reason)] = classify_videos([load_run(chain / "rgb")], [path], direct=True)
        assert reason == ""
        np.testing.assert_allclose(direct, direct_by_hand(chain, path), atol=1e-6)
        _, [(_, staged, _)] = classify_videos([load_run(chain / "rgb")], [path])
        assert 1e-6 < np.abs(direct - staged).max() < 0.1
    run = shutil.copytree(chain / "rgb", chain / "every")
    provenance = json.loads((run / "provenance.json").read_text())
    provenance["data"]["stages"]["clips"] |= {"fps": None, "every": 3}
    (run / "provenance.json").write_text(json.dumps(provenance))
    _, [(_, direct, _)] = classify_videos([load_run(run)], videos[:1], direct=True)
    np.testing.assert_allclose(direct, direct_by_hand(chain, videos[0], None, 3), atol=1e-6)
    assert ["skipped:", "26"] in [line.split() for line in call("watch", videos[0], "--run", run).splitlines()]
    runs = [chain / "rgb", chain / "flow"]
    staged, direct = (classified(chain, *runs, *videos, *option) for option in ([], ["--direct"]))
    for row, other in zip(staged, direct, strict=True):
        one, two = ({each["label"]: each["probability"] for each in made["classes"]} for made in (row, other))
        assert one != two and one == pytest.approx(two, abs=0.1)


def test_every_bad_file_has_a_row_with_its_reason(chain, tmp_path):
    folder = tmp_path / "mixed"
    make_videos(folder / "deep" / "deeper", 1, first=50)
    (folder / "notes.txt").write_text("no video")
    (folder / "empty.mp4").touch()
    (folder / "noise.avi").write_bytes(bytes(range(256)) * 40)
    (folder / "cut.mp4").write_bytes((chain / "whole.mp4").read_bytes()[:900])
    write_video(folder / "single.avi", frames=1)
    os.mkfifo(folder / "fifo.mp4")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "broken.csv").write_text("a,b,c,d,e\n")
    missing, others = tmp_path / "missing.mp4", [tmp_path / "nothing", tmp_path / "broken.csv"]
    rows = {row["path"]: row for row in classified(chain, chain / "rgb", folder, missing, *others)}
    reasons = {os.path.relpath(path, folder): row["reason"] for path, row in rows.items() if row["reason"]}
    for name, words in {
        "notes.txt": "not a video",
        "empty.mp4": "empty file",
        "noise.avi": "unreadable",
        "cut.mp4": "unreadable",
        "single.avi": "too short",
        "fifo.mp4": "not a regular file",
        "../missing.mp4": "no such file",
        "../nothing": "expected videos below",
        "../broken.csv": "expected columns",
    }.items():
        assert words in reasons[name]
    assert all(bool(row["classes"]) == (row["reason"] is None) for row in rows.values())
    assert len(rows) == len(reasons) + 1


def test_pieces_in_a_list_are_one_video_and_a_table_has_the_best_first(chain, tmp_path):
    video = next((chain / "VIDEOS").rglob("*.avi"))
    (tmp_path / "list.csv").write_text(f"{video},0,0.6\n{video},0.6,1.2\n")
    call("classify", chain / "rgb", tmp_path / "list.csv", "--out", tmp_path / "t.csv", "--top", "1")
    head, row = csv.reader((tmp_path / "t.csv").read_text().splitlines())
    assert head == ["path", "reason", "label_1", "probability_1"]
    assert row[:2] == [str(video), ""] and row[2] in CLASSES and 0.5 < float(row[3]) < 1


def test_a_list_is_not_overwritten_by_its_result(chain, tmp_path):
    (tmp_path / "list.csv").write_text("a.mp4\n")
    words = ["classify", chain / "rgb", tmp_path / "list.csv", "--out", tmp_path / "list.csv", "--overwrite"]
    assert "one of the VIDEOs" in refused(*words) and (tmp_path / "list.csv").read_text() == "a.mp4\n"


def test_python_gives_all_classes(chain):
    classes, rows = classify_videos([load_run(chain / "rgb")], [chain / "whole.mp4"])
    assert classes == CLASSES and rows[0][1].sum() == pytest.approx(1) and rows[0][2] == ""


def test_a_backbone_that_has_moved_is_named_and_compared(chain, tmp_path):
    moved = shutil.copy(chain / "net.keras", tmp_path / "renamed.keras")
    words = [chain / "rgb", chain / "whole.mp4"]
    with_net = classified(chain, *words, "--backbone", moved)
    assert with_net == classified(chain, *words)
    images = keras.Input((SIZE, SIZE, 3))
    keras.Model(images, keras.layers.Flatten(name="other")(images)).save(tmp_path / "other.keras")
    told = refused("classify", *words, "--backbone", tmp_path / "other.keras")
    assert "expected net.keras, the convnet of the run's percepts" in told and "--layer" not in told
    assert "other.keras, another convnet, without the layer functional" in told.replace("\n", " ")
    several = ["--backbone", tmp_path / "other.keras", "--backbone", chain / "motion.keras"]
    assert "name its file with --backbone" in refused("classify", *words, *several)
    assert with_net == classified(chain, *words, *several, "--backbone", moved)
    os.rename(chain / "net.keras", chain / "away.keras")
    try:
        assert "no such file" in refused("classify", *words)
    finally:
        os.rename(chain / "away.keras", chain / "net.keras")


def refused(*words):
    from videorep.cli.main import videorep_command

    result = CliRunner().invoke(videorep_command, [str(word) for word in words])
    assert result.exit_code in (1, 2) and "Traceback" not in result.output
    return result.output


def test_what_cannot_be_repeated_is_refused_in_one_sentence(chain, tmp_path):
    other = shutil.copytree(chain / "rgb", tmp_path / "run")
    facts = json.loads((other / "provenance.json").read_text())
    facts["data"]["stages"] = {"percepts": 3}
    (other / "provenance.json").write_text(json.dumps(facts))
    assert "say how its data were made" in refused("classify", other, chain / "whole.mp4")
    for run, kind in (("pretrained", "pretrain run on percepts"), ("pixels", "finetune run on clips")):
        assert kind in refused("classify", chain / run, chain / "whole.mp4")
    assert "at least one RUN and at least one VIDEO" in refused("classify", chain / "whole.mp4")
    assert "'--out'" in refused("classify", chain / "rgb", chain / "whole.mp4", "--out", "x.txt")


def test_a_video_that_is_named_twice_is_classified_once(chain):
    one = chain / "VIDEOS" / CLASSES[0]
    rows = classified(chain, chain / "rgb", one / "v2.avi", one, chain / "VIDEOS")
    paths = [row["path"] for row in rows]
    assert len(paths) == len(set(paths)) == 10 and paths[0].endswith("v2.avi")


def test_what_was_known_at_an_interruption_is_written(chain, tmp_path, monkeypatch):
    """Ctrl-C while the second video passes."""
    extract, seen = Perception.extract_clip, []

    def interrupted(self, images, size):
        seen.append(size)
        if len(seen) == 2:
            signal.raise_signal(signal.SIGINT)
        return extract(self, images, size)

    monkeypatch.setattr(Perception, "extract_clip", interrupted)
    words = ["classify", str(chain / "rgb"), str(chain / "VIDEOS"), "--out", str(tmp_path / "rows.json")]
    result = CliRunner().invoke(videorep_command, words)
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert result.exit_code == 130 and [bool(row["classes"]) for row in rows] == [True] + [False] * 9
    assert {row["reason"] for row in rows[1:]} == {"not looked at before the interruption"}


def test_the_status_says_that_nothing_could_be_classified(chain, tmp_path):
    result = CliRunner().invoke(videorep_command, ["classify", str(chain / "rgb"), str(tmp_path / "none.mp4")])
    assert result.exit_code == 1 and "0 of 1 videos classified" in result.output


def test_the_first_reasons_are_shown_where_all_are_in_the_file(chain, tmp_path):
    missing, out = [str(tmp_path / f"none{number}.mp4") for number in range(5)], tmp_path / "rows.json"
    result = CliRunner().invoke(videorep_command, ["classify", str(chain / "rgb"), *missing, "--out", str(out)])
    reasons = [f"  {row['path']}: {row['reason']}" for row in json.loads(out.read_text())]
    shown = result.output.splitlines()
    assert result.exit_code == 1 and len(reasons) == 5
    assert shown[shown.index("0 of 5 videos classified") + 1 :] == [
        *reasons[:3], f"  and 2 more, with their reasons in {out}"
    ]  # fmt: skip
    run = CliRunner().invoke(videorep_command, ["classify", str(chain / "rgb"), missing[0], "--out", f"{out}.csv"])
    assert run.output.endswith(f"0 of 1 videos classified\n{reasons[0]}\n")


def test_another_convnet_is_told_as_that(chain):
    words = ["classify", str(chain / "rgb"), str(chain / "whole.mp4"), "--backbone", str(chain / "motion.keras")]
    result = CliRunner().invoke(videorep_command, words)
    assert result.exit_code == 1 and "expected net.keras, the convnet of the run's percepts" in result.output
    assert "motion.keras, another convnet, " in result.output
