"""Layers with positions, pooled as NumPy would by hand; several layers in one pass, from the build to `classify`."""

import json
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from live_building import SIZE, call, make_videos
from shard_building import with_options

from videorep.build_config import ClipsConfig, PerceptsConfig
from videorep.data.percepts import build
from videorep.data.percepts.backbones import load_backbone
from videorep.data.percepts.engines import NEEDED
from videorep.data.percepts.pooling import pool_positions, pooled_width
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.read import read_shards
from videorep.data.shards.write import write_shards
from videorep.data.videos.build import build_clips
from videorep.errors import BackboneError

build_percepts = with_options(build.build_percepts, PerceptsConfig)


def by_hand(values, rows, columns):
    """(B, H, W, C) averaged over R x C cells whose edges are rounded down, one value after another."""
    height, width = values.shape[1:3]
    made = []
    for row in range(rows):
        for column in range(columns):
            cell = values[:, height * row // rows : height * (row + 1) // rows]
            made.append(cell[:, :, width * column // columns : width * (column + 1) // columns].mean(axis=(1, 2)))
    return np.concatenate(made, axis=1)


VALUES = np.random.default_rng(0).normal(size=(3, 5, 4, 2)).astype(np.float32)
POOLED = {"mean": VALUES.mean(axis=(1, 2)), "none": VALUES.reshape(3, -1)}
POOLED |= {f"grid:{r}x{c}": by_hand(VALUES, r, c) for r, c in [(1, 1), (2, 2), (2, 3), (5, 4), (3, 1)]}


@pytest.mark.parametrize("pool", POOLED)
def test_positions_are_pooled_as_by_hand(pool):
    np.testing.assert_allclose(pool_positions(tf.constant(VALUES), pool), POOLED[pool], rtol=1e-5, atol=1e-6)
    assert pooled_width(VALUES.shape, "layer", pool, "net") == POOLED[pool].shape[1]


def save_two_layers(path, size=SIZE):
    """A convnet whose layers "low" (B, H, W, 3) and "high" (B, 5) differ in what they hold."""
    keras.utils.set_random_seed(1)
    images = keras.Input((size, size, 3))
    low = keras.layers.Conv2D(3, 3, strides=3, activation="relu", name="low")(images)
    pooled = keras.layers.GlobalAveragePooling2D()(low)
    keras.Model(images, keras.layers.Dense(5, name="high")(pooled)).save(path)
    return path


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return save_two_layers(tmp_path_factory.mktemp("net") / "two.keras")


def test_layers_follow_one_another_and_are_written_down(net, tmp_path):
    frames = np.random.default_rng(2).integers(0, 256, (7, 15, 15, 3), np.uint8)
    write_shards([{"frames": frames, "label": "a"}], tmp_path / "clips")
    options = {"backbone": str(net), "dtype": "float32", "batch_size": 4}
    both = build_percepts(tmp_path / "clips", tmp_path / "both", layer=("high", "low"), **options)
    (record,) = read_shards(tmp_path / "both")
    model = keras.models.load_model(net)
    middle = frames[:, :14, :14].astype(np.float32)
    low = np.asarray(keras.Model(model.inputs[0], model.get_layer("low").output)(middle)).mean(axis=(1, 2))
    expected = np.concatenate([np.asarray(model(middle)), low], axis=1)
    np.testing.assert_allclose(record["frames"], expected, rtol=1e-4, atol=1e-3)
    settings = json.loads((tmp_path / "both" / "dataset.json").read_text())["made"]["settings"]
    assert (settings["layer"], settings["layer_features"], both.features) == (["high", "low"], [5, 3], 8)
    assert "pool" not in settings  # as before this could be chosen, so that a build that was begun can go on
    cells = build_percepts(tmp_path / "clips", tmp_path / "cells", layer="low", pool="grid:2x2", **options)
    assert (cells.made["settings"]["pool"], cells.features, cells.backbone["pool"]) == ("grid:2x2", 12, "grid:2x2")


@pytest.mark.parametrize("engine", NEEDED)
def test_straight_from_videos_they_are_those_of_two_builds(engine, net, tmp_path):
    for module in NEEDED[engine]:
        pytest.importorskip(module, reason=f"{engine} is not installed")
    make_videos(tmp_path / "VIDEOS", 3)
    build_clips(tmp_path / "VIDEOS", tmp_path / "clips", ClipsConfig(quality=None))
    options = ["--backbone", net, "--layer", "low", "--layer", "high", "--engine", engine, "--dtype", "float32"]
    made = {}
    for source in ("clips", "VIDEOS"):
        out = tmp_path / f"of-{source}"
        call("build-shards", "percepts", tmp_path / source, "--out", out, "--batch-size", "7", *options)
        made[source] = load_dataset(out)
    for one, two in zip(read_shards(tmp_path / "of-VIDEOS"), read_shards(tmp_path / "of-clips"), strict=True):
        assert one["path"] == two["path"] and one["frames"].shape == two["frames"].shape
        np.testing.assert_allclose(one["frames"], two["frames"], rtol=1e-5, atol=1e-5)
    assert made["VIDEOS"].backbone == made["clips"].backbone and made["VIDEOS"].features == 8
    assert made["VIDEOS"].backbone["engine"].startswith(f"{engine} ")
    assert made["VIDEOS"].made["settings"]["layer_features"] == [3, 5]
    stages = [dataset.made["stages"]["percepts"] for dataset in made.values()]
    assert stages[0] == stages[1] and (stages[0]["engine"], stages[0]["layer"]) == (engine, ["low", "high"])


def test_a_net_of_any_size_has_positions_too(tmp_path):
    images = keras.Input((None, None, 3))
    keras.Model(images, keras.layers.AveragePooling2D(112)(images)).save(tmp_path / "any.keras")
    backbone = load_backbone(tmp_path / "any.keras", pool="none")
    frames = np.random.default_rng(3).uniform(0, 255, (2, 224, 224, 3)).astype(np.float32)
    assert (backbone.size, backbone.features) == (224, 12)
    np.testing.assert_allclose(backbone.extract(frames), by_hand(frames, 2, 2), rtol=1e-4)


@pytest.mark.parametrize(
    "layer, pool, said",
    [
        ("high", "none", r"expected positions in rows and columns in layer high .*leave --pool out"),
        (("low", "high"), "grid:2x2", "in layer high"),
        ("low", "grid:5x1", r"expected at most 4x4 cells, the positions of layer low .*received --pool grid:5x1"),
    ],
)
def test_what_cannot_be_pooled_is_one_sentence(net, layer, pool, said):
    with pytest.raises(BackboneError, match=said):
        load_backbone(net, layer, pool=pool)


def test_classify_sees_through_the_same_layers_and_cells(tmp_path):
    for place, name in enumerate(("Archery", "Bowling")):
        make_videos(tmp_path / "VIDEOS" / name, 3, first=3 * place)
    keras.utils.set_random_seed(4)
    images = keras.Input((SIZE, SIZE, 3))
    low = keras.layers.Conv2D(3, 3, strides=3, name="low")(keras.layers.Rescaling(1 / 64)(images))
    keras.Model(images, keras.layers.Conv2D(2, 2, name="high")(low)).save(tmp_path / "net.keras")
    stages = ["--labels", "folders", "--split", "0.6", "--size", "16x30", "--fps", "20"]
    call("build-shards", "clips", tmp_path / "VIDEOS", "--out", tmp_path / "clips", *stages)
    layers = ["--layer", "low", "--layer", "high", "--pool", "grid:2x1"]
    percepts = ["build-shards", "percepts", tmp_path / "clips", "--backbone", tmp_path / "net.keras", *layers]
    call(*percepts, "--out", tmp_path / "percepts")
    few = ["--steps", "20", "--batch-size", "4", "--block-frames", "8", "--units", "3", "--layers", "1"]
    call("finetune", tmp_path / "percepts", "--out", tmp_path / "run", *few, "--learning-rate", "0.03")
    call("evaluate", tmp_path / "run", "--split", "test", "--json", tmp_path / "evaluated.json")
    call("classify", tmp_path / "run", tmp_path / "VIDEOS", "--out", tmp_path / "classes.json")
    rows = {
        os.path.relpath(row["path"], tmp_path / "VIDEOS"): {
            each["label"]: each["probability"] for each in row["classes"]
        }
        for row in json.loads((tmp_path / "classes.json").read_text())
    }
    expected = json.loads((tmp_path / "evaluated.json").read_text())["per_video"]
    assert len(expected) == 2
    for row in expected:
        assert rows[row["path"]] == pytest.approx(row["probabilities"], abs=1e-5)
