"""A run's model file that is damaged, hostile or another model's is told in one sentence."""

import json
import subprocess
import sys
import zipfile

import h5py
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


def rewrite(path, name, change, compression=zipfile.ZIP_STORED):
    """Changes one member of a .keras file."""
    with zipfile.ZipFile(path) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    members[name] = change(members.get(name, b""))
    with zipfile.ZipFile(path, "w", compression) as archive:
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


PADDING = 16 << 20
BOMBS = {
    "settings packed": ("config.json", lambda text: text + b" " * PADDING, zipfile.ZIP_DEFLATED),
    "settings stored": ("config.json", lambda text: text + b" " * PADDING, zipfile.ZIP_STORED),
    "metadata stored": ("metadata.json", lambda text: text + b" " * PADDING, zipfile.ZIP_STORED),
    "weights packed": ("model.weights.h5", lambda data: data + bytes(PADDING), zipfile.ZIP_BZIP2),
    "an asset packed": ("assets/words.txt", lambda _: bytes(PADDING), zipfile.ZIP_LZMA),
    "weights of NumPy": ("model.weights.npz", lambda _: b"PK", zipfile.ZIP_STORED),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_unpacks_to_more_than_the_file_has_is_not_unpacked(run, monkeypatch, bomb):
    rewrite(run.model_path, *BOMBS[bomb])
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("it was unpacked"))
    with pytest.raises(RunError, match=r"^expected a Keras model in .*model\.keras, received [^\n]*; restore the file"):
        run.model()


@pytest.mark.parametrize("sizes", [(1 << 30, 1 << 30), (10, 1 << 30), (1 << 30, 10), (0, 0)], ids=str)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_that_lie_about_their_size_are_told(run, sizes, method):
    """What the directory says of the weights, packed and unpacked, is not what is there."""
    with zipfile.ZipFile(run.model_path, "a") as archive:
        member = archive.getinfo("model.weights.h5")
        member.compress_size, member.file_size, member.compress_type = *sizes, method
        archive._didModify = True  # the directory is written anew
    with pytest.raises(RunError, match=r"^expected a Keras model in .*model\.keras, [^\n]*; restore the file"):
        run.model()


def test_members_that_share_their_bytes_are_told(run):
    with zipfile.ZipFile(run.model_path, "a") as archive:
        archive.filelist += [archive.getinfo("model.weights.h5")] * 2
        archive._didModify = True
    with pytest.raises(RunError, match="received members of"):
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


def packed(file):
    """A few bytes that unpack to half a GiB."""
    return file.create_dataset("grown", (1 << 27,), "float32", chunks=(1 << 22,), compression="gzip", fillvalue=1)


def never_stored(file):
    return file.create_dataset("promised", (1 << 40,), "float32")


def texts(file):
    """References to one text: as many texts in memory."""
    return file.create_dataset("texts", data=["x" * 1000] * 1000, dtype=h5py.string_dtype())


@pytest.mark.parametrize("add", [packed, never_stored, texts])
def test_arrays_that_unpack_to_more_than_the_file_has_are_not_read(run, tmp_path, monkeypatch, add):
    def change(weights):
        path = tmp_path / "weights.h5"
        path.write_bytes(weights)
        with h5py.File(path, "a") as file:
            add(file)
        return path.read_bytes()

    rewrite(run.model_path, "model.weights.h5", change)
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("it was read"))
    wrong = r"arrays of [\d,]+ bytes in a file of|texts in place of numbers in /texts"
    with pytest.raises(RunError, match=rf"^expected a Keras model in .*model\.keras, received ({wrong})"):
        run.model()
