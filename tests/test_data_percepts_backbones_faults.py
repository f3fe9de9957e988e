"""Files that are no backbone: damaged, foreign, hostile, or of another shape; each is refused in one sentence."""

import base64
import json
import marshal
import random
import zipfile

import h5py
import keras
import numpy as np
import pytest

from videorep.config import FinetuneConfig, PretrainConfig
from videorep.data.percepts.backbones import load_backbone
from videorep.errors import BackboneError
from videorep.runs import create_run


def convnet(path, shape=(8, 8, 3)):
    images = keras.Input(shape)
    keras.Model(images, keras.layers.Conv2D(2, 3, name="conv")(images)).save(path)
    return path


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return convnet(tmp_path_factory.mktemp("sound") / "sound.keras")


def refuse(path, **options):
    """The refusal, which is one sentence with a remedy."""
    with pytest.raises(BackboneError) as refusal:
        load_backbone(path, **options)
    text = str(refusal.value)
    assert text.startswith("expected ") and ", received " in text and "; " in text and "\n" not in text
    return text


def rewrite(source, target, **members):
    """A copy of a .keras file with other members: {name with _ for . : bytes, or a function of the bytes}."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data, change = old.read(name), members.get(name.replace(".", "_"))
            if change is not None:
                new.writestr(name, change(data) if callable(change) else change)
            else:
                new.writestr(name, data)
    return target


def edit_config(change):
    def edited(data):
        config = json.loads(data)
        change(config)
        return json.dumps(config).encode()

    return edited


def lambda_that_writes(path):
    """The config of a Lambda layer whose code, were it run, would leave a file."""
    code = base64.b64encode(marshal.dumps(compile(f"open({str(path)!r}, 'w')", "attack", "exec"))).decode()
    function = {"class_name": "__lambda__", "config": {"code": code, "defaults": None, "closure": None}}
    config = {"name": "conv", "trainable": True, "dtype": "float32", "function": function, "arguments": {}}
    return {"module": "keras.layers", "class_name": "Lambda", "config": config, "registered_name": None}


DAMAGES = {
    "no zip": lambda data: b"text",
    "empty": lambda data: b"",
    "cut off": lambda data: data[: len(data) // 2],
    "zeros": lambda data: bytes(len(data)),
}
MEMBERS = {
    "config is no JSON": {"config_json": b"{"},
    "config is not UTF-8": {"config_json": b"\xff\xfe\xfd"},
    "config is a number": {"config_json": b"3"},
    "config is nested too deep": {"config_json": b"[" * 100_000},
    "config names no class": {"config_json": b"{}"},
    "weights are garbled": {"model_weights_h5": lambda data: bytes(reversed(data))},
    "weights are empty": {"model_weights_h5": b""},
    "an unknown class": {"config_json": edit_config(lambda c: c.update(class_name="Nobody", module="builtins"))},
    "a function of another module": {"config_json": edit_config(lambda c: c.update(class_name="system", module="os"))},
    "layers are a number": {"config_json": edit_config(lambda c: c["config"].update(layers=3))},
    "filters are text": {
        "config_json": edit_config(lambda c: c["config"]["layers"][1]["config"].update(filters="many"))
    },
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused(tmp_path, sound, damage):
    path = tmp_path / "model.keras"
    path.write_bytes(DAMAGES[damage](sound.read_bytes()))
    refuse(path)


@pytest.mark.parametrize("members", MEMBERS)
def test_a_damaged_member_is_refused(tmp_path, sound, members):
    refuse(rewrite(sound, tmp_path / "model.keras", **MEMBERS[members]))


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
def test_what_unpacks_to_more_than_the_file_has_is_refused(tmp_path, sound, monkeypatch, member):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(sound) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name) + (b" " * (16 << 20) if name == member else b""))
    for loader in (keras.saving, keras.Model):
        unpacking = {keras.saving: "load_model", keras.Model: "load_weights"}[loader]
        monkeypatch.setattr(loader, unpacking, lambda *_, **__: pytest.fail("it was unpacked"))
    assert "packed" in refuse(path)
    with pytest.raises(BackboneError, match="packed"):
        load_backbone("mobilenet", weights=path)


def test_weights_that_unpack_to_more_than_the_file_has_are_refused(tmp_path):
    path = tmp_path / "mobilenet.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("zeros", (1 << 40,), "float32", chunks=(1 << 20,), compression="gzip")
    with pytest.raises(BackboneError, match=r"arrays of 4,398,046,511,104 bytes in a file of"):
        load_backbone("mobilenet", weights=path)


def test_flipped_bytes_load_or_are_refused(tmp_path, sound):
    data, generator = sound.read_bytes(), random.Random(0)
    for _ in range(40):
        flipped = bytearray(data)
        flipped[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        (tmp_path / "model.keras").write_bytes(flipped)
        try:
            load_backbone(tmp_path / "model.keras")
        except BackboneError as refusal:
            assert "\n" not in str(refusal)


def test_code_within_a_file_does_not_run(tmp_path, sound):
    """A Lambda layer's code is neither run nor unpacked."""
    mark = tmp_path / "ran"

    def put_lambda(config):
        layer = config["config"]["layers"][1]
        config["config"]["layers"][1] = layer | lambda_that_writes(mark)

    refuse(rewrite(sound, tmp_path / "model.keras", config_json=edit_config(put_lambda)))
    assert not mark.exists()


def test_a_layer_that_nobody_knows_here_is_refused(tmp_path):
    class Foreign(keras.layers.Layer):
        def call(self, inputs):
            return inputs

    images = keras.Input((8, 8, 3))
    keras.Model(images, Foreign()(images)).save(tmp_path / "model.keras")
    assert "layers of one's own" in refuse(tmp_path / "model.keras")


def save_other(path, kind):
    vectors, images = keras.Input((5,)), keras.Input((8, 8, 3))
    model = {
        "vectors": lambda: keras.Model(vectors, keras.layers.Dense(2)(vectors)),
        "two inputs": lambda: keras.Model([images, vectors], keras.layers.Flatten()(images)),
        "channels unknown": lambda: keras.Model(any_ := keras.Input((8, 8, None)), keras.layers.ReLU()(any_)),
        "not square": lambda: keras.Model(wide := keras.Input((8, 9, 3)), keras.layers.ReLU()(wide)),
        "two outputs": lambda: keras.Model(images, [keras.layers.ReLU()(images), keras.layers.Flatten()(images)]),
        "size unknown": lambda: keras.Model(
            free := keras.Input((None, None, 3)), keras.layers.Flatten()(keras.layers.ReLU()(free))
        ),
    }[kind]()
    model.save(path)
    return path


@pytest.mark.parametrize(
    "kind", ["vectors", "two inputs", "channels unknown", "not square", "two outputs", "size unknown"]
)
def test_a_model_that_takes_no_images_or_gives_no_features_is_refused(tmp_path, kind):
    refuse(save_other(tmp_path / "model.keras", kind))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    model = keras.saving.load_model(convnet(tmp_path / "model.keras"))
    model.get_layer("conv").bias.assign([0.0, value])
    model.save(tmp_path / "model.keras")
    assert "conv/bias" in refuse(tmp_path / "model.keras")


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    (tmp_path / "saved" / "variables").mkdir(parents=True)
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "folder.keras").mkdir()
    for path in (tmp_path / "saved", tmp_path / "folder.keras"):
        assert "a finished run of train-stream" in refuse(path)


@pytest.mark.parametrize("config", [PretrainConfig(), FinetuneConfig()], ids=["pretrain", "finetune"])
def test_a_run_of_another_kind_is_refused(tmp_path, config):
    convnet(create_run(tmp_path / "run", config).path / "model.keras")
    assert config.kind in refuse(tmp_path / "run", layer="conv")
