"""An export behind a server that loads it as TensorFlow Serving does: over gRPC, REST, and as `classify --server`."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from live_building import CLASSES, call

from videorep.cli.main import videorep_command
from videorep.serving.probe import Session

pytest.importorskip("tensorflow_serving", reason="tensorflow-serving-api, of the extra serving, is not installed")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def served(live_chain, tmp_path_factory):
    """The chain, its export, and the ports of a server of it: (folder, export, gRPC, REST)."""
    export = tmp_path_factory.mktemp("served") / "serving"
    call("export", live_chain / "rgb", "--out", export)
    words = [sys.executable, ROOT / "tools" / "model_server.py", export / "1", "actions"]
    settings = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=settings) as process:
        try:
            grpc, rest = process.stdout.readline().split()
            yield live_chain, export, grpc, rest
        finally:
            process.kill()


def classify(served, *words, port=None, model="actions"):
    asked = ["classify", "--server", f"localhost:{port or served[2]}/{model}", *map(str, words)]
    return CliRunner().invoke(videorep_command, asked, catch_exceptions=False)


def test_videos_get_the_classes_that_classify_gives_them(served, tmp_path, monkeypatch):
    """Also where a video takes several requests, which is so here for the second time."""
    folder = served[0]
    (tmp_path / "no video.mp4").write_text("no video")
    videos = [folder / "VIDEOS", folder / "whole.mp4", tmp_path / "no video.mp4"]
    call("classify", folder / "rgb", *videos, "--out", tmp_path / "here.json")
    for most in (256, 10):
        monkeypatch.setattr("videorep.serving.client.MOST_FRAMES", most)
        result = classify(served, *videos, "--out", tmp_path / f"{most}.json")
        assert result.exit_code == 0 and "11 of 12 videos classified" in result.output
        rows = [json.loads((tmp_path / name).read_text()) for name in ("here.json", f"{most}.json")]
        for here, there in zip(*rows, strict=True):
            assert (here["path"], here["reason"]) == (there["path"], there["reason"])
            ranked = [{each["label"]: each["probability"] for each in row["classes"]} for row in (here, there)]
            assert ranked[1] == pytest.approx(ranked[0], abs=1e-4)


def test_what_a_server_cannot_do_is_told(served):
    result = classify(served, served[0] / "whole.mp4", model="other")
    assert result.exit_code == 1 and "NOT_FOUND: Servable not found for request: Latest" in result.output
    result = classify(served, served[0] / "whole.mp4", "--direct")
    assert result.exit_code == 2 and "--server takes no --surprise, --ahead, --backbone or --direct" in result.output


@pytest.mark.parametrize(
    "address", ["localhost", "localhost/actions", "localhost:0", "localhost:70000", "::1", ":1", ""]
)
def test_an_address_without_a_port_is_bad_usage(address):
    result = CliRunner().invoke(videorep_command, ["classify", "--server", address, "video.mp4"])
    assert result.exit_code == 2 and "expected HOST:PORT or HOST:PORT/MODEL" in " ".join(result.output.split())


def test_a_server_that_is_not_there_is_told(served, monkeypatch):
    result = classify(served, served[0] / "whole.mp4", port=1)
    assert result.exit_code == 1 and "from TensorFlow Serving at localhost:1, received UNAVAILABLE" in result.output
    result = classify(served, served[0] / "rgb", served[0] / "whole.mp4")
    assert result.exit_code == 2 and "Expected no RUN beside --server" in result.output


def post(served, asked):
    address = f"http://localhost:{served[3]}/v1/models/actions:predict"
    with urllib.request.urlopen(urllib.request.Request(address, json.dumps(asked).encode())) as answer:
        return json.load(answer)


def test_rows_and_columns_over_rest_are_what_the_signature_gives(served):
    frames = np.random.default_rng(0).random((2, 9, 64)).astype(np.float32)
    expected = Session(served[1] / "1").run("classify", {"frames": frames})
    columns = post(served, {"signature_name": "classify", "inputs": {"frames": frames.tolist()}})["outputs"]
    rows = post(served, {"signature_name": "classify", "instances": [{"frames": each} for each in frames.tolist()]})
    np.testing.assert_allclose(columns["probabilities"], expected["probabilities"], atol=1e-6)
    for number, row in enumerate(rows["predictions"]):
        np.testing.assert_allclose(row["probabilities"], expected["probabilities"][number], atol=1e-6)
        assert row["label"] == columns["label"][number] in CLASSES


@pytest.mark.parametrize(
    "asked",
    [
        {"inputs": {"frames": [["a"]]}},
        {"inputs": {"frames": [[[0.0] * 64], [[0.0] * 63]]}},
        {"inputs": {"frames": [[[0.0] * 63]]}},
        {"inputs": {"other": [0.0]}},
        {"instances": []},
        {"signature_name": "other", "instances": [0]},
    ],
    ids=str,
)
def test_values_that_do_not_fit_are_told_over_rest(served, asked):
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(served, asked)
    assert caught.value.code == 400 and json.load(caught.value)["error"]


def test_the_commands_of_serve_config_work_as_printed(served):
    printed = call("serve-config", served[1], "--name", "actions")
    assert 'base_path: "/models/actions"' in (served[1] / "models.config").read_text()
    assert "pad_variable_length_inputs: true" in (served[1] / "batching.config").read_text()
    assert f"-v {served[1].resolve()}:/models/actions tensorflow/serving" in printed
    commands = re.sub(r"^docker run (?:.*\\\n)*.*$", "", printed, flags=re.MULTILINE)
    commands = commands.replace("8500", served[2]).replace("8501", served[3]).replace("VIDEO", "whole.mp4")
    commands = commands.replace("videorep classify", f"{sys.executable} -m videorep.cli.main classify")
    settings = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    commands = commands.replace("python3", sys.executable)
    ended = subprocess.run(["bash", "-e"], input=commands, text=True, capture_output=True, cwd=served[0], env=settings)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("top_probabilities") == 2 and "1 of 1 videos classified" in ended.stderr


def test_serve_config_wants_an_export_and_overwrites_nothing(served, tmp_path):
    for words, told in (
        ([tmp_path], "expected the folder of an export's numbered versions"),
        ([served[1] / "1"], "expected the folder of an export's numbered versions"),
        ([served[1], "--name", "a/b"], "has other than letters, digits, _ and -"),
    ):
        result = CliRunner().invoke(videorep_command, ["serve-config", *map(str, words)])
        assert result.exit_code in (1, 2) and told in result.output
    call("serve-config", served[1], "--overwrite")
    again = CliRunner().invoke(videorep_command, ["serve-config", str(served[1])])
    assert again.exit_code == 1 and "expected no models.config in" in again.output


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"input": None},
        {"input": {"name": "frames"}},
        {"input": {"shape": [None, None, 64]}},
        {"input": {"name": "frames", "shape": [None]}},
        {"input": {"name": "frames", "shape": [None, None, "64"]}},
        {"input": {"name": "'; echo owned; '", "shape": [None, None, 64]}},
        {"input": {"name": "frames", "shape": [None, None, 64]}, "signatures": 3},
    ],
    ids=str,
)
def test_serve_config_tells_of_facts_that_are_none(tmp_path, facts):
    """Of a foreign or damaged run.json, words of which would become commands."""
    (tmp_path / "1" / "assets.extra").mkdir(parents=True)
    (tmp_path / "1" / "saved_model.pb").touch()
    (tmp_path / "1" / "assets.extra" / "run.json").write_text(json.dumps(facts))
    result = CliRunner().invoke(videorep_command, ["serve-config", str(tmp_path)])
    assert result.exit_code == 1 and "to say what its model takes, received: expected" in result.output
    assert not (tmp_path / "models.config").exists()
