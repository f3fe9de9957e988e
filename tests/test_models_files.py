"""A run's model file that is damaged, hostile or another model's is told in one sentence."""

import json
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

from videorep.config import (
    ClassifierConfig,
    FinetuneConfig,
    ModelConfig,
    PretrainConfig,
    StreamConfig,
    StreamModelConfig,
)
from videorep.errors import RunError
from videorep.models import build_classifier, build_model
from videorep.runs import Run

MODEL = ModelConfig("composite", 6, (5,), 3, 2, output="bernoulli")
CLASSIFIER = ClassifierConfig(features=6, units=(5,), classes=("a", "b"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a sound model.keras of `MODEL`."""
    path = tmp_path_factory.mktemp("model") / "model.keras"
    build_model("composite", 6, (5,), 3, 2, seed=0).save(path)
    return path.read_bytes()


@pytest.fixture
def run(tmp_path, whole):
    (tmp_path / "model.keras").write_bytes(whole)
    return Run(tmp_path, PretrainConfig(MODEL))


def rewrite(path, name, change):
    """Changes one member of a .keras file."""
    with zipfile.ZipFile(path) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    members[name] = change(members[name])
    with zipfile.ZipFile(path, "w") as archive:
        for each, content in members.items():
            archive.writestr(each, content)


def test_a_sound_model_is_read(run):
    assert run.model().config == MODEL


def test_damaged_files_are_told(run, whole):
    generator = np.random.default_rng(0)
    damaged = [whole[:cut] for cut in (0, 1, 100, len(whole) // 2, len(whole) - 1)]
    for place in generator.choice(len(whole), 40, replace=False):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << generator.integers(8)
        damaged.append(bytes(flipped))
    weights = build_model("composite", 6, (5,), 3, 2, seed=0).get_weights()
    for content in damaged:
        run.model_path.write_bytes(content)
        try:
            model = run.model()
        except RunError as error:
            assert str(run.model_path) in str(error)
            continue
        for expected, received in zip(weights, model.get_weights(), strict=True):
            np.testing.assert_array_equal(expected, received)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"{",
        lambda text: b"[]",
        lambda text: b"[" * 100_000,
        lambda text: text.replace(b"EncoderDecoder", b"Unknown"),
        lambda text: json.dumps(json.loads(text) | {"config": None}).encode(),
        lambda text: json.dumps(json.loads(text) | {"config": {"config": {"units": "x"}}}).encode(),
        lambda text: text.replace(b'"input_frames": 3', b'"input_frames": 4'),
        lambda text: text.replace(b'"bernoulli"', b'"gaussian"'),
    ],
    ids=["cut", "list", "deep", "unknown class", "no config", "wrong config", "more frames", "another output"],
)
def test_other_settings_in_the_file_are_told(run, change):
    rewrite(run.model_path, "config.json", change)
    with pytest.raises(RunError, match=r"model\.keras"):
        run.model()


def foreign_models():
    frames = keras.Input((3, 6), name="frames")
    yield "functional", keras.Model(frames, keras.layers.Dense(2)(frames))
    yield "sequential", keras.Sequential([keras.Input((6,)), keras.layers.Dense(2)])
    yield "lambda", keras.Sequential([keras.Input((6,)), keras.layers.Lambda(lambda values: values + 1)])
    yield "classifier", build_classifier(CLASSIFIER, seed=0)
    yield "other units", build_model("composite", 6, (4,), 3, 2)


@pytest.mark.parametrize("model", [pytest.param(model, id=name) for name, model in foreign_models()])
@pytest.mark.parametrize(
    "config", [PretrainConfig(MODEL), StreamConfig(StreamModelConfig(classes=("a", "b")))], ids=["pretrain", "stream"]
)
def test_another_model_in_a_run_is_told(tmp_path, model, config):
    model.save(tmp_path / "model.keras")
    with pytest.raises(RunError, match=r"model\.keras"):
        Run(tmp_path, config).model()


def test_a_classifier_of_other_classes_is_told(tmp_path):
    build_classifier(CLASSIFIER, seed=0).save(tmp_path / "model.keras")
    assert Run(tmp_path, FinetuneConfig(CLASSIFIER)).model().config == CLASSIFIER
    other = ClassifierConfig(features=6, units=(5,), classes=("a", "c"))
    with pytest.raises(RunError, match="another one"):
        Run(tmp_path, FinetuneConfig(other)).model()


def test_a_fresh_process_knows_every_layer_that_a_run_may_name():
    """Here other tests have loaded them all."""
    names = "EncoderDecoder", "Classifier", "LocalResponseNormalization", "PeepholeLSTM", "Decoder", "Standardisation"
    code = (
        "import keras, videorep.models.files; "
        f"print([bool(keras.saving.get_registered_object('videorep>' + name)) for name in {names}])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == f"{[True] * len(names)}\n"
