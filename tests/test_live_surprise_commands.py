"""`classify --surprise` and `watch --surprise` on drawn videos; events do not flicker."""

import csv
import io
import json
import shutil

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from generated_videos import write_video
from live_building import CLASSES, call

from videorep.cli.main import videorep_command
from videorep.live import surprise_videos
from videorep.live.watch import EventLog, draw_bars
from videorep.runs import load_run

pytestmark = pytest.mark.filterwarnings("ignore::videorep.errors.VideorepWarning")


@pytest.fixture(scope="module")
def run(live_chain, tmp_path_factory):
    return shutil.copytree(live_chain / "pretrained", tmp_path_factory.mktemp("surprise") / "run")


def refused(*words):
    result = CliRunner().invoke(videorep_command, [str(word) for word in words])
    assert result.exit_code in (1, 2) and "Traceback" not in result.output
    return " ".join(result.output.split())


def test_classify_tells_surprise_with_or_without_classes(live_chain, run, tmp_path):
    write_video(tmp_path / "short.avi", frames=8)
    videos = [live_chain / "whole.mp4", tmp_path / "short.avi", tmp_path / "missing.mp4"]
    call("classify", run, *videos, "--surprise", "--out", tmp_path / "s.json")
    whole, short, missing = json.loads((tmp_path / "s.json").read_text())
    [(path, frames, reason), *_] = surprise_videos(load_run(run), videos)
    assert (whole["path"], whole["reason"], whole["classes"]) == (path, None, []) and reason == ""
    np.testing.assert_allclose(frames[:, 0], np.arange(10, 32) / 20, atol=0.05)  # 40 frames at 25 fps, seen at 20
    each = whole["surprise"]["frames"]
    np.testing.assert_allclose([[one["time"], one["surprise"]] for one in each], frames, atol=1e-3)
    best = max(each, key=lambda one: one["surprise"])
    assert whole["surprise"]["mean"] == pytest.approx(frames[:, 1].mean(), abs=1e-6)
    assert (whole["surprise"]["maximum"], whole["surprise"]["time"]) == pytest.approx(
        (best["surprise"], best["time"]), abs=1e-3
    )
    assert short["surprise"] is None and "too short" in short["reason"] and "no such file" in missing["reason"]
    call("classify", live_chain / "rgb", run, *videos, "--surprise", "--out", tmp_path / "s.csv", "--top", "1")
    head, row, *others = csv.reader((tmp_path / "s.csv").read_text().splitlines())
    assert head == ["path", "reason", "surprise_mean", "surprise_maximum", "surprise_time", "label_1", "probability_1"]
    assert float(row[2]) == pytest.approx(whole["surprise"]["mean"]) and row[5] in CLASSES
    assert [other[2] for other in others] == ["", ""] and others[0][5] in CLASSES
    assert "surprise maximum" in call("classify", run, *videos, "--surprise", "--ahead", "2")


def test_watch_looks_for_its_source_before_it_measures_what_is_usual(live_chain, tmp_path):
    run = shutil.copytree(live_chain / "pretrained", tmp_path / "run")
    assert "no such file" in refused("watch", tmp_path / "missing.mp4", "--run", run, "--surprise")
    assert not (run / "surprise.json").exists()


def test_watch_tells_surprise(live_chain, run, tmp_path):
    words = ["watch", live_chain / "whole.mp4", "--run", run, "--surprise", "--threshold", "0.001"]
    printed = call(*words, "--out", tmp_path / "w.mp4", "--events", tmp_path / "e.jsonl")
    assert "surprise " in printed
    events = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert events and all(event.keys() == {"time", "surprise"} and event["surprise"] > 0 for event in events)
    assert int(cv2.VideoCapture(str(tmp_path / "w.mp4")).get(cv2.CAP_PROP_FRAME_COUNT)) == 40
    call(*words, "--run", live_chain / "rgb", "--ahead", "3", "--events", tmp_path / "both.jsonl")
    kinds = {tuple(json.loads(line)) for line in (tmp_path / "both.jsonl").read_text().splitlines()}
    assert kinds == {("time", "class", "probability"), ("time", "surprise")}


def test_what_cannot_surprise_is_one_sentence(live_chain, run):
    source, rgb = live_chain / "whole.mp4", live_chain / "rgb"
    for words, sentence in (
        (["watch", source, "--run", rgb, "--surprise"], "one RUN of videorep pretrain with --surprise, received 0"),
        (["watch", source, "--run", run, "--run", run, "--surprise"], "received 2"),
        (["watch", source, "--run", run], "a pretrain run on percepts"),
        (["watch", source, "--run", run, "--surprise", "--ahead", "11"], "expected ahead to be 1 to 10"),
        (["watch", source, "--run", run, "--surprise", "--threshold", "0"], "--threshold"),
        (["classify", rgb, source, "--surprise"], "received 0"),
        (["classify", run, source], "a pretrain run on percepts"),
        (["classify", rgb, source, "--out", run / "surprise.json"], "which exists"),
    ):
        assert sentence in refused(*words)


def test_a_surprise_is_one_event_until_it_has_passed():
    file = io.StringIO()
    log = EventLog(file, CLASSES, 2.0)
    for seconds, surprise in enumerate([None, 1.9, 2.1, 1.5, 2.5, 1.01, 3.0, 0.9, 1.5, 4.0, -1.0]):
        log.note(seconds, None, surprise)
    assert [json.loads(line) for line in file.getvalue().splitlines()] == [
        {"time": 2, "surprise": 2.1},
        {"time": 9, "surprise": 4.0},
    ]


def test_the_bar_of_a_surprise_is_red_above_the_threshold():
    image = np.full((240, 320, 3), 200, np.uint8)
    for surprise, red in ((-1.0, False), (1.9, False), (2.1, True), (99.0, True)):
        drawn = draw_bars(image, (), None, surprise, 2.0)
        assert ((drawn[..., 2] > 180) & (drawn[..., 1] < 120)).any() == red and (drawn[:, 110:] == 200).all()
    assert (draw_bars(image, (), None) == image).all()
