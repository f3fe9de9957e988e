"""A chain from an export back to clip shards and a convnet, made without training."""

import hashlib
import json
import shutil

import keras
import numpy as np
import tensorflow as tf
from click.testing import CliRunner

from videorep.cli.main import videorep_command
from videorep.config import DataConfig, ModelConfig, PretrainConfig
from videorep.data import write_shards
from videorep.data.percepts.backbones import load_backbone
from videorep.data.shards.manifest import load_dataset, save_dataset
from videorep.models import build_model
from videorep.runs import create_run

FEATURES = 3


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_percepts(folder, seed=0):
    frames = np.random.default_rng(seed).random((4, 6, FEATURES), np.float32)
    write_shards([{"frames": each, "path": f"v{n}.mp4"} for n, each in enumerate(frames)], folder, overwrite=True)


def make_run(path, data, init=None):
    """A finished run as training leaves one, without training."""
    config = PretrainConfig(ModelConfig("composite", FEATURES, (2,), 2, 2, output="gaussian"), DataConfig(str(data)))
    run = create_run(path, config)
    model = build_model("composite", FEATURES, (2,), 2, 2, output="gaussian", seed=0)
    run.save_model(model)
    tf.train.Checkpoint(variables=[v.value for v in model.variables]).write(str(run.checkpoints / "ckpt-7"))
    provenance = {"versions": {"videorep": "1"}, "data": load_dataset(data).provenance}
    if init:
        sources = {"path": str(init.path), "model_sha256": sha256(init.model_path), "provenance": init.provenance}
        provenance["init"] = sources
    run.write_provenance(provenance)
    return run


def make_export(folder, run):
    """The files of an export, as far as the chain goes through them."""
    (folder / "assets.extra").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    facts = {"run": str(run.path), "kind": "pretrain", "model_sha256": sha256(run.model_path), "input": {"kind": "x"}}
    facts |= {"config_sha256": sha256(run.path / "config.json")}
    facts |= {"provenance": run.provenance, "files": {"saved_model.pb": sha256(folder / "saved_model.pb")}}
    (folder / "assets.extra" / "run.json").write_text(json.dumps(facts))


def save_net(path):
    """Saves a convnet; what percepts tell of it."""
    images = keras.Input((8, 8, 3))
    keras.Model(images, keras.layers.Conv2D(2, 3, name="conv")(images)).save(path)
    return load_backbone(path).description


def with_origins(folder, settings, hashes):
    """Gives shards the sources' hashes and the settings that a build writes down."""
    dataset = load_dataset(folder)
    dataset.made["settings"] = settings
    for entry in dataset.sources:
        entry["sha256"] = hashes.get(entry["path"], "")
    save_dataset(dataset)


def make_chain(folder):
    """Makes "clips", "percepts" of them by "net.keras", runs "first" and "second", which starts from it; "serving"."""
    write_percepts(folder / "clips", seed=5)
    write_percepts(folder / "percepts")
    settings = save_net(folder / "net.keras")
    with_origins(folder / "percepts", settings | {"clips": load_dataset(folder / "clips").provenance["shards"]}, {})
    first = make_run(folder / "first", folder / "percepts")
    make_export(folder / "serving" / "1", make_run(folder / "second", folder / "percepts", first))
    return folder


def copy_chain(made, folder):
    """A copy that a test may change, and whose files name one another."""
    shutil.copytree(made, folder)
    for name in ("first/provenance.json", "second/provenance.json", "serving/1/assets.extra/run.json"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace(str(made), str(folder)))
    return folder


def call(*arguments):
    return CliRunner().invoke(videorep_command, [str(each) for each in arguments])


def change(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
