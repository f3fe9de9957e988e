"""The step and the convnet as LiteRT and as ONNX: what their runtimes answer, and where there is no such export."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from live_building import CLASSES, call

from videorep.cli.main import videorep_command
from videorep.config import ClassifierConfig, FinetuneConfig
from videorep.data.percepts.frames import crop_centre
from videorep.errors import OutputError, RunError
from videorep.live import LiveClassifier
from videorep.models import build_classifier
from videorep.runs import create_run, load_run
from videorep.serving import converters, formats
from videorep.serving.formats import export_format

TOOL = Path(__file__).resolve().parents[1] / "tools" / "watch_with_litert_or_onnx.py"
FEATURES = 7


def with_runtime(name):
    for module in {"litert": ("ai_edge_litert",), "onnx": ("tf2onnx", "onnxruntime")}[name]:
        pytest.importorskip(module, reason=f"needs the extra {name}")
    return name


@pytest.fixture(params=["litert", "onnx"])
def name(request):
    return with_runtime(request.param)


def make_run(folder, units=(5,), dtype=None, **options):
    """A run of features with means and deviations of their own, peepholes and biases that are no zeros."""
    config = ClassifierConfig(features=FEATURES, units=units, classes=CLASSES, **options)
    run, model = create_run(folder, FinetuneConfig(config)), build_classifier(config, seed=4, dtype=dtype)
    draw = np.random.default_rng(1)
    for lstm in model.lstms:
        lstm.set_weights([draw.normal(0, 0.5, each.shape) for each in lstm.get_weights()])
    if model.standardisation:
        model.standardisation.assign(draw.random(FEATURES), draw.random(FEATURES) + 0.5)
    run.write_provenance({"data": {}})
    run.save_model(model)
    return run, model


def follow(folder, name, frames):
    """Probabilities (T, K) of an exported step after each of frames (T, D)."""
    step = converters.FORMATS[name].load(folder / f"step{converters.FORMATS[name].suffix}")
    state = np.zeros((1, json.loads((folder / "run.json").read_text())["state"]), np.float32)
    answers = []
    for frame in frames:
        answer = step(frame=frame[None], state=state)
        state = answer["next_state"]
        answers.append(answer["probabilities"][0])
    return np.stack(answers)


@pytest.mark.parametrize(("units", "standardise"), [((6,), False), ((6, 5), True)])
def test_a_thousand_steps_are_those_of_the_sequence(name, units, standardise, tmp_path):
    run, model = make_run(tmp_path / "run", units, standardise=standardise)
    summary = export_format(run.path, tmp_path / "out", name)
    frames = np.random.default_rng(0).normal(size=(1000, FEATURES)).astype(np.float32)
    expected = model({"frames": frames[None]}).numpy()[0]
    received = follow(tmp_path / "out", name, frames)
    np.testing.assert_allclose(received, expected, atol=1e-4)
    assert np.abs(np.diff(expected, axis=0)).max() > 0.01  # there is something to follow
    assert summary["differences"].keys() == {"step"} and summary["differences"]["step"] <= 1e-5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "run"]


def test_a_step_has_no_loop_and_no_operation_of_tensorflow(tmp_path):
    run, _ = make_run(tmp_path / "run", (5, 4))
    with_runtime("litert"), with_runtime("onnx")
    import onnx
    from ai_edge_litert.interpreter import Interpreter

    export_format(run.path, tmp_path / "litert", "litert")
    export_format(run.path, tmp_path / "onnx", "onnx")
    interpreter = Interpreter(str(tmp_path / "litert" / "step.tflite"))
    used = {each["op_name"] for each in interpreter._get_ops_details()}
    assert "LOGISTIC" in used and not {each for each in used if each.startswith("Flex")} | used & {"WHILE", "IF"}
    nodes = onnx.load(tmp_path / "onnx" / "step.onnx").graph.node
    assert "Sigmoid" in {node.op_type for node in nodes} and {node.domain for node in nodes} == {""}
    assert not {node.op_type for node in nodes} & {"Scan", "Loop", "If", "LSTM"}


def test_half_precision_is_exported_in_float32(name, tmp_path):
    run, model = make_run(tmp_path / "run", (6,), dtype="mixed_bfloat16")
    export_format(run.path, tmp_path / "out", name)
    frames = np.random.default_rng(0).normal(size=(20, FEATURES)).astype(np.float32)
    whole = build_classifier(model.config, dtype="float32")
    whole.set_weights(model.get_weights())
    expected = whole({"frames": frames[None]}).numpy()[0]
    np.testing.assert_allclose(follow(tmp_path / "out", name, frames), expected, atol=1e-5)


def load_tool(monkeypatch):
    monkeypatch.setitem(sys.modules, "videorep", None)  # put back at the end of the test
    spec = importlib.util.spec_from_file_location("watch_with_litert_or_onnx", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_watches_as_a_live_classifier(name, live_chain, tmp_path, monkeypatch):
    printed = call("export", live_chain / "rgb", "--out", tmp_path / "out", "--format", name)
    assert "step." in printed and "backbone." in printed and "left out" not in printed
    live, tool = LiveClassifier([load_run(live_chain / "rgb")]), load_tool(monkeypatch)
    film = live_chain / "whole.mp4"
    expected = np.stack([live.step(image[..., ::-1]) for _, image in tool.read_frames(film, None)])
    clips = json.loads((tmp_path / "out" / "run.json").read_text())["clips"]
    assert clips["fps"] == 20 and clips["size"] == [16, 30]
    received = [probabilities for _, probabilities, _ in tool.watch(tmp_path / "out", film, clips)]
    np.testing.assert_allclose(received, expected, atol=0.02)
    told = subprocess.run([sys.executable, "-P", TOOL, tmp_path / "out", film], capture_output=True, text=True)
    *lines, last = told.stdout.splitlines()
    shown = [CLASSES[expected[place].argmax()] for place in (0, 25)]
    assert [line.split()[2] for line in lines] == shown
    assert last.startswith("40 frames: ") and last.endswith("imported of videorep: nothing")


@pytest.mark.parametrize("height", [15, 24, 40, 12])
def test_the_example_cuts_frames_as_percepts_are(height, monkeypatch):
    tool = load_tool(monkeypatch)
    frame = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    frame = tool.cv2.resize(frame, (height * 3 // 2, height))
    received = tool.cut(frame[..., ::-1], 14, None).astype(int)
    assert np.abs(received - crop_centre(frame, 14).numpy()).max() <= (0 if height == 15 else 1)


def test_a_run_without_a_convnet_on_frames_has_the_step_alone(live_chain, tmp_path):
    for run, reason in (("flow", "optical flow"), ("pixels", "on percepts")):
        summary = export_format(live_chain / run, tmp_path / run, "litert", check=False)
        assert summary["files"] == ["step.tflite"] and reason in summary["left_out"][0]
        names = sorted(path.name for path in (tmp_path / run).iterdir())
        assert names == ["labels.txt", "model_card.md", "run.json", "step.tflite"]


def test_other_runs_are_refused_with_what_they_can_be_exported_as(live_chain, tmp_path):
    for run, words in (("pretrained", "an encoder-decoder"), ("frames", "a classifier of single frames")):
        with pytest.raises(RunError, match=f"received .*{run}, {words}.*as a SavedModel"):
            export_format(live_chain / run, tmp_path / "out", "litert")
    assert not (tmp_path / "out").exists()


def test_only_an_export_of_its_kind_is_replaced_and_only_if_asked(tmp_path):
    run, _ = make_run(tmp_path / "run")
    export_format(run.path, tmp_path / "out", "litert", check=False)
    with pytest.raises(OutputError, match="exists; add --overwrite or choose another --out"):
        export_format(run.path, tmp_path / "out", "litert")
    (tmp_path / "unfinished-out").mkdir()
    (tmp_path / "unfinished-other").mkdir()
    export_format(run.path, tmp_path / "out", "litert", overwrite=True, check=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "run", "unfinished-other"]
    (tmp_path / "out" / "note").write_text("keep")
    with pytest.raises(OutputError, match="received note, which no export put there"):
        export_format(run.path, tmp_path / "out", "litert", overwrite=True)
    with pytest.raises(OutputError, match="outside RUN"):
        export_format(run.path, run.path / "out", "litert")


def test_verify_and_inspect_read_it(live_chain, tmp_path):
    call("export", live_chain / "rgb", "--out", tmp_path / "out", "--format", "litert", "--no-check")
    told = call("inspect", tmp_path / "out")
    assert "litert" in told and str(live_chain / "rgb") in told and "state:" in told and "fps:" in told
    told = call("verify", tmp_path / "out")
    assert told.endswith("out is sound\n") and "no other program gave them when it was exported" in told
    (tmp_path / "out" / "labels.txt").write_text("others\n")
    (tmp_path / "out" / "step.tflite").unlink()
    (tmp_path / "out" / "note").touch()
    told = CliRunner().invoke(videorep_command, ["verify", str(tmp_path / "out")])
    for words in ("labels.txt: its SHA-256 is", "step.tflite is missing", "note is not a file of this export"):
        assert words in told.output
    assert told.exit_code == 1 and "found 3 problem(s)" in told.output
    (tmp_path / "out" / "run.json").write_text("[]")
    for command in ("inspect", "verify"):
        told = CliRunner().invoke(videorep_command, [command, str(tmp_path / "out")])
        assert told.exit_code == 1 and "holds something else; export again" in told.output


def test_what_is_not_installed_is_told(tmp_path, monkeypatch):
    run, _ = make_run(tmp_path / "run")
    monkeypatch.setattr(converters, "find_spec", lambda module: module == "tensorflow")
    with pytest.raises(OutputError, match=r"expected tf2onnx.*pip install 'videorep\[onnx\]'"):
        export_format(run.path, tmp_path / "out", "onnx")
    summary = export_format(run.path, tmp_path / "out", "litert")
    assert not summary["differences"]
    assert summary["left_out"][1] == "the check, which needs ai_edge_litert: pip install 'videorep[litert]'"


def test_another_answer_than_the_models_is_not_exported(name, tmp_path, monkeypatch):
    run, _ = make_run(tmp_path / "run")
    monkeypatch.setattr(formats, "CLOSE", -1.0)
    with pytest.raises(OutputError, match="expected the step to differ by at most -1 from the model, received"):
        export_format(run.path, tmp_path / "out", name)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_convnet_with_an_operation_that_the_format_lacks_is_told(live_chain, tmp_path):
    call("export", live_chain / "rgb", "--out", tmp_path / "there", "--format", "litert", "--no-check")
    images = keras.Input((14, 14, 3))
    features = keras.layers.Flatten()(keras.ops.erfinv(images / 256))
    keras.Model(images, features).save(tmp_path / "net.keras")
    clips = ["build-shards", "percepts", live_chain / "clips", "--out", tmp_path / "percepts"]
    call(*clips, "--backbone", tmp_path / "net.keras")
    call("finetune", tmp_path / "percepts", "--out", tmp_path / "run", "--units", "3", "--steps", "1")
    for name in ("litert", "onnx"):
        if importlib.util.find_spec(converters.FORMATS[name].converter):
            with pytest.raises(OutputError, match=r"expected operations that \w+ has, received: .*use another convnet"):
                export_format(tmp_path / "run", tmp_path / "out", name)
    assert not (tmp_path / "out").exists()


def test_versions_are_of_saved_models(tmp_path):
    words = ["export", str(tmp_path), "--out", str(tmp_path / "out"), "--format", "onnx", "--version", "2"]
    result = CliRunner().invoke(videorep_command, words)
    assert result.exit_code == 2 and "--version is of a SavedModel" in result.output
