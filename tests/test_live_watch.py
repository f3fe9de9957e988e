"""`watch` on drawn videos, on a stream that breaks off, and until it is told to end."""

import contextlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from generated_videos import write_video
from live_building import CLASSES, call

from videorep.cli.main import videorep_command
from videorep.errors import DataError
from videorep.live import LiveClassifier, source
from videorep.live.source import Source
from videorep.live.watch import BARS, Tally, draw_bars, watch
from videorep.runs import load_run


class Switching:
    """In place of a classifier: three frames of each class, and none for the first frame."""

    classes, seconds = CLASSES, {"backbone": 0.002, "step": 0.001}

    def __init__(self):
        self.seen = 0

    def step(self, frame):
        self.seen += 1
        first = 0.9 if (self.seen // 3) % 2 == 0 else 0.2
        return (None if self.seen == 1 else np.array([first, 1 - first])), None


def frames_in(path):
    video, frames = cv2.VideoCapture(str(path)), []
    while (read := video.read())[0]:
        frames.append(read[1])
    return frames


def test_a_file_is_watched_to_its_end(live_chain, tmp_path):
    printed = call("watch", live_chain / "whole.mp4", "--run", live_chain / "rgb", "--every", "3",
                   "--out", tmp_path / "w.mp4", "--events", tmp_path / "e.jsonl")  # fmt: skip
    frames = frames_in(tmp_path / "w.mp4")
    assert len(frames) == 14 and frames[0].shape == (48, 80, 3)
    assert cv2.VideoCapture(str(tmp_path / "w.mp4")).get(cv2.CAP_PROP_FPS) == pytest.approx(25 / 3, abs=0.01)
    lines = [line.split() for line in printed.splitlines()]
    assert ["frames:", "14"] in lines and ["skipped:", "26"] in lines
    assert [line[0] for line in lines if len(line) == 3 and line[1][:1].isdigit()][-5:] == [
        "decode", "backbone", "step", "draw", "all"]  # fmt: skip
    events = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    live = LiveClassifier([load_run(live_chain / "rgb")])
    shown = [live.step(image[..., ::-1]) for image in frames_in(live_chain / "whole.mp4")[::3]]
    best = [None, *(probabilities.argmax() for probabilities in shown)]
    changes = [place for place in range(14) if best[place] != best[place + 1]]
    assert [event["time"] for event in events] == pytest.approx([place * 3 / 25 for place in changes], abs=2e-3)
    for event, place in zip(events, changes, strict=True):
        assert event["class"] == CLASSES[best[place + 1]]
        assert event["probability"] == pytest.approx(shown[place].max(), abs=1e-3)


def test_every_change_of_class_is_a_line(live_chain, tmp_path):
    shown, tally = [], Tally()
    with contextlib.closing(Source(live_chain / "whole.mp4")) as opened:
        watch(opened, Switching(), tally, out=tmp_path / "w.mp4", events=tmp_path / "e.jsonl",
              show=lambda *moment: shown.append(moment))  # fmt: skip
    events = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert [round(event["time"] * 25) for event in events] == [1, *range(2, 40, 3)]
    assert [event["class"] for event in events[:3]] == [CLASSES[0], CLASSES[1], CLASSES[0]]
    assert [event["probability"] for event in events[:3]] == [0.9, 0.8, 0.9]
    assert len(shown) == len(frames_in(tmp_path / "w.mp4")) == tally.frames == 40 and shown[0][1] is None
    summary = tally.summary(opened.skipped)
    assert (summary["frames"], summary["skipped"]) == (40, 0) and summary["frames_per_second"] > 0
    [backbone] = [row for row in summary["time_per_frame"] if row["stage"] == "backbone"]
    assert backbone["median_ms"] == pytest.approx(2) == backbone["99th_percentile_ms"]


def test_frames_are_taken_as_often_as_in_training(tmp_path):
    write_video(tmp_path / "fast.mp4", frames=30, fps=30.0)
    with contextlib.closing(Source(tmp_path / "fast.mp4", fps=10.0)) as opened:
        times = [seconds for seconds, _ in opened.frames()]
    assert (opened.every, len(times), opened.skipped, opened.rate) == (3, 10, 20, 10.0)
    np.testing.assert_allclose(times, np.arange(10) / 10, atol=2e-3)


def test_bars_show_the_most_probable_classes():
    image = np.full((240, 320, 3), 200, np.uint8)
    drawn = draw_bars(image, [f"class {n}" for n in range(9)], np.linspace(0, 0.2, 9))
    assert (image == 200).all() and (drawn[:, 110:] == 200).all()
    black = [(drawn[row, :106].max(axis=-1) < 30).mean() > 0.3 for row in range(240)]
    assert sum(np.diff(np.array(black, int)) == 1) + black[0] == BARS


def test_what_cannot_be_watched_is_one_sentence(live_chain, tmp_path):
    (tmp_path / "noise.mp4").write_bytes(b"no video" * 99)
    os.mkfifo(tmp_path / "fifo.mp4")
    run = ["--run", live_chain / "rgb"]
    for words, sentence in (
        ([tmp_path / "missing.mp4", *run], "no such file"),
        ([tmp_path / "noise.mp4", *run], "cannot open it"),
        ([tmp_path / "fifo.mp4", *run], "a fifo"),
        (["77", *run], "expected a camera at 77"),
        ([live_chain / "whole.mp4", "--run", tmp_path], "expected the folder of a run"),
        ([live_chain / "whole.mp4", "--run", live_chain / "pretrained"], "a pretrain run on percepts"),
        ([live_chain / "whole.mp4", *run, "--out", "film.avi"], "does not end in .mp4"),
        ([live_chain / "whole.mp4", *run, "--events", live_chain / "whole.mp4"], "which exists"),
        ([live_chain / "whole.mp4", *run, "--out", live_chain / "whole.mp4", "--overwrite"], "outside SOURCE"),
        ([live_chain / "whole.mp4"], "Missing option '--run'"),
    ):
        result = CliRunner().invoke(videorep_command, ["watch", *map(str, words)])
        assert result.exit_code in (1, 2) and sentence in result.output, result.exception


def test_a_video_that_was_cut_is_told(tmp_path):
    whole = write_video(tmp_path / "whole.avi", frames=60).read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    told = []
    with contextlib.closing(Source(tmp_path / "cut.avi", tell=told.append)) as opened:
        assert 10 < len(list(opened.frames())) < 50
    assert "of 60 frames" in told[0]


@pytest.fixture
def server(tmp_path):
    """A stream of 20 frames that breaks off, is refused once, comes back once, and then stays away."""
    data, answers = write_video(tmp_path / "stream.ts", frames=20).read_bytes(), [True, False, True]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if not (answers and answers.pop(0)):
                self.send_error(503)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/live"
        running.shutdown()


def test_a_stream_that_breaks_off_is_watched_on(server, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "PAUSES", (0.2, 0.2, 0.2))
    told, tally = [], Tally()
    gone = pytest.raises(DataError, match=r"to go on, received nothing in \d+ s and 3 tries")
    with contextlib.closing(Source(server, tell=told.append)) as opened, gone:
        watch(opened, Switching(), tally, out=tmp_path / "w.mp4")
    assert tally.frames == len(frames_in(tmp_path / "w.mp4")) == 40
    assert [sentence.split(maxsplit=1)[1][:12] for sentence in told] == ["broke off; t", "is back afte", "broke off; t"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_summary_and_a_whole_film(live_chain, tmp_path, number):
    write_video(tmp_path / "long.mp4", frames=3000)
    words = ["watch", tmp_path / "long.mp4", "--run", live_chain / "rgb", "--out", tmp_path / "w.mp4",
             "--events", tmp_path / "e.jsonl", "--every", "1"]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "videorep.cli.main", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not (tmp_path / "e.jsonl").exists() or not (tmp_path / "e.jsonl").stat().st_size:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    time.sleep(0.5)
    process.send_signal(number)
    printed, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number and said.strip() == "Interrupted."
    counted = int(next(line.split()[1] for line in printed.splitlines() if line.startswith("frames:")).replace(",", ""))
    assert abs(len(frames_in(tmp_path / "w.mp4")) - counted) <= 1 and 0 < counted < 3000
