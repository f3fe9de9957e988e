"""What an export answers to others: TensorFlow alone, the loader of TensorFlow Serving, and its own check of both."""

import dataclasses
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from live_building import call
from tensorflow.core.framework.types_pb2 import DataType
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from videorep.config import (
    ClassifierConfig,
    FinetuneConfig,
    ModelConfig,
    PretrainConfig,
    StreamConfig,
    StreamModelConfig,
)
from videorep.errors import OutputError
from videorep.models import build_classifier, build_model
from videorep.runs import create_run, load_run
from videorep.serving import check
from videorep.serving import export as export_module
from videorep.serving.export import export
from videorep.serving.frames import open_perception
from videorep.serving.probe import WARM_UP, Session
from videorep.serving.requests import make_requests
from videorep.serving.signatures import serve

CLASSES, FEATURES = ("jump", "run", "walk"), 5
SHAPES = [(1, 1), (7, 16), (32, 100)]
HAS_PROTOS = importlib.util.find_spec("tensorflow_serving") is not None
needs_protos = pytest.mark.skipif(not HAS_PROTOS, reason="needs tensorflow-serving-api, for records of warm-up")


def save_run(path, precision=None):
    config = ClassifierConfig(features=FEATURES, units=(4, 3), classes=CLASSES, block_frames=6, block_stride=3)
    run = create_run(path, FinetuneConfig(config))
    run.save_model(build_classifier(config, seed=4, dtype=precision))
    run.write_provenance({"data": {}})
    return run


@pytest.fixture(scope="module")
def exported(live_chain, tmp_path_factory):
    """A classifier of frames and its export, which was checked: (run, summary)."""
    run = load_run(live_chain / "rgb")
    return run, export(run.path, tmp_path_factory.mktemp("checked") / "serving")


@pytest.fixture(scope="module")
def composite(tmp_path_factory):
    """An encoder-decoder and its export: (run, summary)."""
    folder = tmp_path_factory.mktemp("composite")
    run = create_run(folder / "run", PretrainConfig(ModelConfig("composite", FEATURES, (4,), 3, 2, (), "gaussian")))
    run.save_model(build_model("composite", FEATURES, (4,), 3, 2, output="gaussian", seed=1))
    run.write_provenance({"data": {}})
    return run, export(run.path, folder / "serving", check=False)


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    """A convnet of frames, in small, and its export: (run, summary)."""
    folder = tmp_path_factory.mktemp("stream")
    keras.utils.set_random_seed(3)
    images = keras.Input((14, 14, 3))
    seen = keras.layers.Conv2D(6, 5, 3, activation="relu", name="fc6")(keras.layers.Rescaling(1 / 64)(images))
    model = keras.Model(images, keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(seen)))
    run = create_run(folder / "run", StreamConfig(StreamModelConfig("rgb", classes=CLASSES)))
    run.save_model(model)
    run.write_provenance({"data": {}})
    return run, export(run.path, folder / "serving", check=False)


@pytest.mark.parametrize("kind", ["exported", "composite", "stream"])
def test_every_signature_answers_alike_by_both_loaders(kind, request, monkeypatch):
    """As the model here does, at batches of 1, 7 and 32 and lengths of 1, 16 and 100; fewer of frames.

    Stacks have no length.
    """
    run, summary = request.getfixturevalue(kind)
    model = run.model()
    served = serve(model, run.config, open_perception(run, model)[0])
    monkeypatch.setattr("videorep.serving.requests.SHAPES", SHAPES)
    session, loaded = Session(summary["path"]), tf.saved_model.load(summary["path"]).signatures
    assert session.signatures.keys() == loaded.keys() == set(summary["signatures"])
    for each in make_requests(served, served.concrete_signatures()):
        answers = loaded[each.signature](**{name: tf.constant(array) for name, array in each.inputs.items()})
        for name, answer in session.run(each.signature, each.inputs).items():
            if answer.dtype == object:
                assert answer.tolist() == each.answer[name].tolist() == answers[name].numpy().tolist()
            else:
                np.testing.assert_allclose(answer, each.answer[name], atol=each.tolerance, rtol=1e-5)
                np.testing.assert_allclose(answers[name], each.answer[name], atol=each.tolerance, rtol=1e-5)


@pytest.mark.parametrize("kind", ["exported", "composite", "stream"])
def test_every_input_has_the_batch_first(kind, request):
    """A server that batches refuses a signature without inputs, and inputs without a dimension."""
    for name, signature in Session(request.getfixturevalue(kind)[1]["path"]).signatures.items():
        shapes = [[dim.size for dim in each.tensor_shape.dim] for each in signature.inputs.values()]
        assert shapes and all(shape[:1] == [-1] for shape in shapes), name
        assert all(each.tensor_shape.dim[0].size == -1 for each in signature.outputs.values()), name


@pytest.mark.parametrize("batch", [1, 7, 32])
def test_a_stream_net_answers_as_keras_by_both_loaders(stream, batch):
    run, summary = stream
    stacks = np.random.default_rng(batch).uniform(0, 255, (batch, 14, 14, 3)).astype(np.float32)
    expected = np.asarray(run.model()(stacks))
    loaded = tf.saved_model.load(summary["path"]).signatures["classify"](stacks=tf.constant(stacks))
    for answer in (loaded, Session(summary["path"]).run("classify", {"stacks": stacks})):
        np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
        assert np.asarray(answer["index"]).tolist() == expected.argmax(axis=1).tolist()
    assert expected.std(axis=0).max() > 0.01 or batch == 1  # there is something to tell apart


SIX_ROUNDS = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
import numpy as np, tensorflow as tf
from probe import Session

session, state = Session(sys.argv[2]), np.zeros((200, 24), np.float32)
images = np.array([[tf.io.encode_jpeg(np.zeros((14, 14, 3), np.uint8)).numpy() + bytes(100_000)]], object)
requests = {  # 100 kB of an answer, of numbers and of texts
    "initial_state": {"streams": np.zeros(1000, np.int32)},
    "step": {"frame": np.zeros((200, 64), np.float32), "state": state},
    "classify_frames": {"images": images},
}
for _ in range(6):
    for _ in range(200):
        for name, inputs in requests.items():
            session.run(name, inputs)
        try:
            session.run("step", {"frame": np.zeros((400, 63), np.float32), "state": state})
        except RuntimeError:
            continue
    [resident] = [line for line in pathlib.Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line]
    print(resident.split()[1])
"""


def test_a_session_keeps_nothing_of_a_request(exported):
    """4,800 requests, of which every fourth is refused; 70 MB in each round."""
    command = [sys.executable, "-P", "-c", SIX_ROUNDS, check.PROBE.parent, exported[1]["path"]]
    ended = subprocess.run(command, capture_output=True, text=True)
    resident = [int(line) for line in ended.stdout.split()]
    assert len(resident) == 6, ended.stderr
    assert resident[-1] <= 1.02 * resident[1], resident


def test_a_classifier_of_frames_has_all_signatures(exported):
    of_frames = {"classify_frames", "classify_sequence_example", "step_frame", "describe"}
    plain = {"serving_default", "classify", "classify_padded", "initial_state", "step"}
    assert set(exported[1]["signatures"]) == plain | of_frames
    assert bool(exported[1]["left_out"]) != HAS_PROTOS
    facts = json.loads((Path(exported[1]["path"]) / "assets.extra" / "run.json").read_text())
    assert facts["checked"] is True


def test_the_document_shows_it_as_tensorflow_does(exported):
    """Every signature with all inputs; of outputs the classes once."""
    text = (Path(__file__).resolve().parents[1] / "docs" / "serving.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^signature_def\['(\w+)'\]:\n((?:    .+\n)+)", text, re.MULTILINE))
    signatures = Session(exported[1]["path"]).signatures
    assert shown.keys() | {"serving_default"} == signatures.keys()
    for name, lines in shown.items():
        kinds = {"inputs": signatures[name].inputs, "outputs": signatures[name].outputs}
        true = {kind: {_line(kind, key, each) for key, each in tensors.items()} for kind, tensors in kinds.items()}
        told = set(lines.splitlines())
        assert true["inputs"] <= told <= true["inputs"] | true["outputs"]
        assert len(told) == len(true["inputs"] | true["outputs"]) or "top_labels" in signatures[name].outputs


def _line(kind, key, tensor):
    shape = ", ".join(str(dim.size) for dim in tensor.tensor_shape.dim)
    return f"    {kind}['{key}'] tensor_info: dtype: {DataType.Name(tensor.dtype)} shape: ({shape})"


ALONE = """
import sys
sys.modules["videorep"] = sys.modules["keras"] = None
import tensorflow as tf
signatures = tf.saved_model.load(sys.argv[1]).signatures
state = signatures["initial_state"](streams=tf.constant([0, 0]))["state"]
assert signatures["step"](frame=tf.zeros((2, int(sys.argv[2]))), state=state)["probabilities"].shape[0] == 2
print("answered")
"""


def test_nothing_but_tensorflow_is_needed(tmp_path):
    summary = export(save_run(tmp_path / "run").path, tmp_path / "serving", check=False)
    command = [sys.executable, "-P", "-c", ALONE, summary["path"], str(FEATURES)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ended.stdout.strip() == "answered", ended.stderr


def operations_of(folder):
    [graph] = SavedModel.FromString((Path(folder) / "saved_model.pb").read_bytes()).meta_graphs
    functions = graph.graph_def.library.function
    compiled = [each.signature.name for each in functions if each.attr["_XlaMustCompile"].b]
    nodes = [*graph.graph_def.node, *(node for each in functions for node in each.node_def)]
    return compiled, {node.op for node in nodes}


def test_no_operation_is_of_python_xla_or_a_gpu(exported, composite):
    for _, summary in (exported, composite):
        compiled, operations = operations_of(summary["path"])
        assert not compiled and not [each for each in operations if "Py" in each or "Xla" in each or "Cudnn" in each]


@pytest.mark.parametrize(
    ("shape", "words"),
    [((7, FEATURES), "not compatible"), ((1, 7, 2 * FEATURES), "not compatible"), ((1, 0, FEATURES), "one frame")],
)
def test_a_server_tells_what_is_wrong_with_a_request_and_answers_the_next(tmp_path, shape, words):
    session = Session(export(save_run(tmp_path / "run").path, tmp_path / "serving", check=False)["path"])
    with pytest.raises(RuntimeError, match=words):
        session.run("classify", {"frames": np.zeros(shape, np.float32)})
    with pytest.raises(RuntimeError, match="float"):
        session.run("classify", {"frames": np.zeros((1, 7, FEATURES), np.int32)})
    assert session.run("classify", {"frames": np.zeros((1, 7, FEATURES), np.float32)})["label"].shape == (1,)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_a_model_of_mixed_precision_takes_and_gives_float32(tmp_path, precision):
    run = save_run(tmp_path / "run", precision)
    session = Session(export(run.path, tmp_path / "serving", check=False)["path"])
    frames = np.random.default_rng(0).normal(size=(2, 14, FEATURES)).astype(np.float32)
    blocks = [np.asarray(run.model()({"frames": frames[:, at : at + 6]})).mean(1) for at in (0, 3, 6)]
    answer = session.run("classify", {"frames": frames})["probabilities"]
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, np.mean(blocks, axis=0), atol=1e-3)


def test_an_export_that_answers_otherwise_is_not_there(tmp_path, monkeypatch):
    def another_answer(*arguments):
        first, *others = make_requests(*arguments)
        return [dataclasses.replace(first, answer=first.answer | {"probabilities": np.zeros((1, 3), "f4")}), *others]

    run = save_run(tmp_path / "run")
    monkeypatch.setattr(export_module, "make_requests", another_answer)
    with pytest.raises(OutputError, match=r"tf\.saved_model\.load: 'probabilities' of serving_default differs"):
        export(run.path, tmp_path / "serving")
    assert not (tmp_path / "serving").exists()


def test_an_export_whose_check_is_killed_is_not_there(tmp_path, monkeypatch):
    (tmp_path / "probe.py").write_text("import os, sys; print('half', file=sys.stderr); os.kill(os.getpid(), 9)")
    monkeypatch.setattr(check, "PROBE", tmp_path / "probe.py")
    run = save_run(tmp_path / "run")
    with pytest.raises(OutputError, match=r"received: its end by SIGKILL.*; nothing was exported") as caught:
        export(run.path, tmp_path / "serving")
    assert "\n" not in str(caught.value) and not (tmp_path / "serving").exists()


@needs_protos
def test_the_warm_up_has_requests_to_every_signature(exported):
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    path = Path(exported[1]["path"]) / WARM_UP
    records = [PredictionLog.FromString(each.numpy()) for each in tf.data.TFRecordDataset(str(path))]
    names = {record.predict_log.request.model_spec.signature_name for record in records}
    assert names == set(exported[1]["signatures"]) and len(records) == 2 * len(names)


@needs_protos
@pytest.mark.parametrize("flaw", ["cut", "empty"])
def test_a_damaged_warm_up_is_no_export(tmp_path, monkeypatch, flaw):
    def write_damaged(folder, requests):
        write(folder, requests if flaw == "cut" else [])
        if flaw == "cut":
            (folder / WARM_UP).write_bytes((folder / WARM_UP).read_bytes()[:-3])
        return True

    write = export_module.write_warm_up
    monkeypatch.setattr(export_module, "write_warm_up", write_damaged)
    run = save_run(tmp_path / "run")
    with pytest.raises(OutputError, match="outside videorep"):
        export(run.path, tmp_path / "serving")
    assert not (tmp_path / "serving").exists()


def test_without_the_protos_there_is_no_warm_up_and_it_is_said(live_chain, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis.prediction_log_pb2", None)
    monkeypatch.setattr(export_module, "check_export", lambda *_: None)
    said = call("export", live_chain / "frames", "--out", tmp_path / "serving")
    assert "pip install 'videorep[serving]'" in said
    assert not (tmp_path / "serving" / "1" / WARM_UP).exists()
