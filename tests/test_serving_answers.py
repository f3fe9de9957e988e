"""What an export answers to a process that has TensorFlow alone, against the model that it came from."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from videorep.config import (
    ClassifierConfig,
    FinetuneConfig,
    ModelConfig,
    PretrainConfig,
    StreamConfig,
    StreamModelConfig,
)
from videorep.models import build_classifier, build_model
from videorep.runs import create_run
from videorep.serving import export as export_module

export = functools.partial(export_module.export, check=False)  # tests/test_serving_check.py is of the check
CLASSES = ("jump", "run", "walk")
FEATURES = 5

LOAD_WITHOUT_VIDEOREP = """
import sys
sys.modules["videorep"] = sys.modules["keras"] = None
import numpy as np, tensorflow as tf
served = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
frames = np.load(sys.argv[2])
outputs = served(frames=tf.constant(frames))
arrays = {name: value.numpy() for name, value in outputs.items()}
np.savez(sys.argv[3], **{name: array.astype("U") if array.dtype == object else array for name, array in arrays.items()})
"""


def serve_elsewhere(tmp_path, path, frames):
    """Outputs of the SavedModel in a process that can import neither videorep nor keras."""
    np.save(tmp_path / "frames.npy", frames)
    arguments = [sys.executable, "-c", LOAD_WITHOUT_VIDEOREP, path, tmp_path / "frames.npy", tmp_path / "out.npz"]
    subprocess.run(arguments, check=True, cwd=tmp_path, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    return np.load(tmp_path / "out.npz")


@pytest.fixture
def classifier_run(tmp_path):
    config = ClassifierConfig(features=FEATURES, units=(4,), classes=CLASSES, block_frames=6, block_stride=3)
    run = create_run(tmp_path / "classifier", FinetuneConfig(config))
    model = build_classifier(config, seed=4)
    run.write_provenance({"data": "none"})
    run.save_model(model)
    return run, model


@pytest.mark.parametrize("length", [4, 6, 14])
def test_a_served_classifier_averages_steps_then_blocks(classifier_run, tmp_path, length):
    run, model = classifier_run
    summary = export(run.path, tmp_path / "serving")
    frames = np.random.default_rng(0).normal(size=(2, length, FEATURES)).astype("float32")
    outputs = serve_elsewhere(tmp_path, summary["path"], frames)
    starts = range(0, max(length - 6, 0) + 1, 3)
    blocks = [np.asarray(model({"frames": frames[:, start : start + 6]})).mean(1) for start in starts]
    expected = np.mean(blocks, axis=0)
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-6)
    np.testing.assert_array_equal(outputs["index"], expected.argmax(-1))
    assert list(outputs["label"]) == [CLASSES[k] for k in expected.argmax(-1)]


def test_a_served_encoder_decoder_gives_the_models_frames(tmp_path):
    config = PretrainConfig(ModelConfig("composite", 5, (4,), 3, 2, ("future",), "bernoulli"))
    run = create_run(tmp_path / "run", config)
    model = build_model("composite", 5, (4,), 3, 2, ("future",), seed=1)
    run.write_provenance({})
    run.save_model(model)
    frames = np.random.default_rng(0).uniform(size=(2, 3, 5)).astype("float32")
    outputs = serve_elsewhere(tmp_path, export(run.path, tmp_path / "serving")["path"], frames)
    for name, expected in model({"frames": frames}).items():
        np.testing.assert_allclose(outputs[name], expected, atol=1e-6)


def test_a_served_model_standardises_by_itself(tmp_path):
    config = PretrainConfig(ModelConfig("composite", 5, (4,), 3, 2, (), "gaussian", standardise=True))
    run = create_run(tmp_path / "run", config)
    model = build_model("composite", 5, (4,), 3, 2, output="gaussian", standardise=True, seed=1)
    mean, deviation = np.arange(5) * 10.0, np.arange(5) + 0.5
    model.standardisation.assign(mean, deviation)
    run.write_provenance({})
    run.save_model(model)
    plain = build_model("composite", 5, (4,), 3, 2, output="gaussian", seed=1)
    frames = np.random.default_rng(0).normal(mean, deviation, (2, 3, 5)).astype("float32")
    outputs = serve_elsewhere(tmp_path, export(run.path, tmp_path / "serving")["path"], frames)
    for name, expected in plain({"frames": ((frames - mean) / deviation).astype("float32")}).items():
        np.testing.assert_allclose(outputs[name], np.asarray(expected) * deviation + mean, rtol=1e-4, atol=1e-4)


def test_a_stream_run_is_served_on_stacks(tmp_path):
    images = keras.Input((14, 14, 4))
    fc6 = keras.layers.GlobalAveragePooling2D(name="fc6")(images)
    model = keras.Model(images, keras.layers.Dense(2, "softmax")(fc6))
    run = create_run(tmp_path / "run", StreamConfig(StreamModelConfig("flow", 2, ("up", "down"))))
    run.save_model(model)
    run.write_provenance({"data": {}})
    summary = export(run.path, tmp_path / "serving")
    taken = {"name": "stacks", "shape": [None, 14, 14, 4], "dtype": "float32", "kind": "flow", "flow_stack": 2}
    facts = json.loads((Path(summary["path"]) / "assets.extra" / "run.json").read_text())
    assert facts["input"] == taken
    stacks = np.random.default_rng(0).normal(size=(3, 14, 14, 4)).astype(np.float32)
    answers = tf.saved_model.load(summary["path"]).signatures["serving_default"](stacks=tf.constant(stacks))
    expected = model(stacks).numpy()
    np.testing.assert_allclose(answers["probabilities"], expected, atol=1e-6)
    assert [label.decode() for label in answers["label"].numpy()] == [("up", "down")[k] for k in expected.argmax(-1)]
