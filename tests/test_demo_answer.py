"""`videorep demo` tells of a video what `classify`, `watch` and `search` tell, and ends when it is told to."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from generated_videos import write_video
from live_building import CLASSES, call

from videorep.cli.main import videorep_command
from videorep.demo.answer import Answerer
from videorep.live import search_videos
from videorep.live.live_runs import LiveRuns
from videorep.runs import load_run

pytestmark = pytest.mark.filterwarnings("ignore::videorep.errors.VideorepWarning")


@pytest.fixture(scope="module")
def folder(live_chain, tmp_path_factory):
    """A pretrained run that may be changed, and embeddings that it made."""
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(live_chain / "pretrained", folder / "predictor")
    call("embed", folder / "predictor", live_chain / "VIDEOS", "--out", folder / "e.npz")
    return folder


@pytest.fixture(scope="module")
def runs(live_chain, folder):
    return [load_run(live_chain / "rgb"), load_run(folder / "predictor")]


@pytest.fixture(scope="module")
def answerer(runs, folder):
    return Answerer(runs, embeddings=folder / "e.npz")


def test_the_answer_is_that_of_classify_and_search(live_chain, runs, folder, answerer, tmp_path):
    video = live_chain / "whole.mp4"
    *_, end = answerer.answer(str(video))
    call("classify", live_chain / "rgb", video, "--out", tmp_path / "c.json")
    [classified] = json.loads((tmp_path / "c.json").read_text())
    assert end["reason"] == "" and end["classes"] == [
        each | {"probability": pytest.approx(each["probability"], abs=1e-6)} for each in classified["classes"]
    ]
    found, _ = search_videos(runs[1], video, folder / "e.npz")
    for shown, each in zip(end["similar"], found, strict=True):
        assert shown["picture"].startswith("data:image/jpeg;base64,") and shown["label"] == each["label"]
        assert shown["similarity"] == pytest.approx(each["similarity"]) and each["path"].endswith("/" + shown["path"])


def test_frames_are_told_as_watch_tells_them(live_chain, runs, answerer, tmp_path):
    write_video(tmp_path / "fast.mp4", frames=61, fps=60.0)  # of which the run takes 20 per second
    for video, every in ((live_chain / "whole.mp4", 1), (tmp_path / "fast.mp4", 3), (live_chain / "whole.mp4", 1)):
        begin, *frames, seen_all, _ = answerer.answer(str(video))
        live, film, images = LiveRuns(runs), cv2.VideoCapture(str(video)), []
        while (read := film.read())[0]:
            images.append(read[1])
        rate, images = film.get(cv2.CAP_PROP_FPS), images[::every]
        seen = [live.step(image[..., ::-1]) for image in images]
        assert seen_all == {"seen": len(images)}
        assert begin == {"length": pytest.approx(film.get(cv2.CAP_PROP_FRAME_COUNT) / rate)}
        np.testing.assert_allclose([each["probabilities"] for each in frames], [each for each, _ in seen], atol=1e-4)
        np.testing.assert_allclose(
            *(np.array(each, float) for each in ([each["surprise"] for each in frames], [each for _, each in seen])),
            atol=1e-3,
        )
        np.testing.assert_allclose([each["time"] for each in frames], np.arange(len(images)) * every / rate, atol=2e-3)
        for frame, image in zip(frames, images, strict=True):
            jpeg = np.frombuffer(base64.b64decode(frame["picture"].partition(",")[2]), np.uint8)
            assert abs(cv2.imdecode(jpeg, cv2.IMREAD_COLOR).astype(int) - image).mean() < 8
    call("watch", live_chain / "whole.mp4", "--run", live_chain / "rgb", "--events", tmp_path / "e.jsonl")
    best = [CLASSES[np.argmax(frame["probabilities"])] for frame in frames]
    changes = [(frames[n]["time"], best[n]) for n in range(len(best)) if not n or best[n] != best[n - 1]]
    events = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert changes == [(pytest.approx(event["time"], abs=2e-3), event["class"]) for event in events]


def test_what_is_no_video_has_a_reason(answerer, tmp_path):
    for data, reason in (
        (b"no video" * 99, "unreadable"),
        (b"", "an empty file"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "a list of other files"),
    ):
        (tmp_path / "video").write_bytes(data)
        [told] = answerer.answer(str(tmp_path / "video"))
        assert set(told) == {"reason"} and reason in told["reason"]
    _, frame, _, end = answerer.answer(str(write_video(tmp_path / "short.avi", frames=1)))
    assert frame["surprise"] is None and end["classes"] == [] and "too short" in end["reason"]
    whole = write_video(tmp_path / "whole.avi", frames=60).read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    told = list(answerer.answer(str(tmp_path / "cut")))
    assert 10 < len(told) < 55 and "damaged" in told[-1]["reason"] and told[-1]["classes"] == []


def test_a_pretrained_run_alone_tells_surprise(live_chain, runs):
    _, *frames, _, end = Answerer(runs[1:]).answer(str(live_chain / "whole.mp4"))
    assert {each["probabilities"] for each in frames} == {None} and frames[-1]["surprise"] is not None
    assert end == {"classes": [], "similar": [], "reason": ""}


def test_what_cannot_be_shown_is_one_sentence(live_chain, folder):
    pytest.importorskip("aiohttp")
    rgb = live_chain / "rgb"
    for words, sentence in (
        ([rgb, "--surprise", rgb], "received 0"),
        ([live_chain / "pretrained", "--surprise", live_chain / "pretrained"], "received 2"),
        ([rgb, "--embeddings", folder / "e.npz"], "another model made"),
        ([rgb, "--embeddings", folder / "missing.npz"], "No such file"),
        ([live_chain / "pixels"], "a finetune run on clips"),
        ([folder], "expected the folder of a run"),
        ([rgb, "--host", "192.0.2.1"], "choose others with --host and --port"),
        ([rgb, "--max-megabytes", "0"], "--max-megabytes"),
        ([], "Missing argument"),
    ):
        result = CliRunner().invoke(videorep_command, ["demo", *map(str, words)])
        assert result.exit_code in (1, 2) and sentence in " ".join(result.output.split()), result.output


def test_what_serves_the_page_must_be_installed(live_chain, monkeypatch):
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.delitem(sys.modules, "videorep.demo.server", raising=False)
    result = CliRunner().invoke(videorep_command, ["demo", str(live_chain / "rgb")])
    assert result.exit_code == 1 and "pip install 'videorep[demo]'" in " ".join(result.output.split())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_amid_a_video(live_chain, tmp_path, number):
    pytest.importorskip("aiohttp")
    video = write_video(tmp_path / "long.mp4", frames=3000)
    (tmp_path / "uploads").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "videorep.cli.main", "demo", str(live_chain / "rgb"), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": f"{tmp_path}/uploads"},
    )  # fmt: skip
    address = process.stdout.readline().split()[1]
    with urllib.request.urlopen(f"{address}videos", data=video.read_bytes()) as response:
        assert json.loads(response.readline()) == {"length": pytest.approx(120)}
        assert list((tmp_path / "uploads").glob("videorep-demo-*/video"))
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number and said.strip() == "Interrupted."
    assert not list((tmp_path / "uploads").glob("videorep-demo-*"))
