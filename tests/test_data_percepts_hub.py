"""Presets of keras-hub: tokens and scales are keras-hub's own, from a build to a class; a stranger's are refused."""

import json
import shutil
import sys

import keras
import numpy as np
import pytest
from live_building import call
from pictures import coloured_frame
from shard_building import with_options
from test_data_percepts_backbones_faults import lambda_that_writes

from videorep.build_config import PerceptsConfig
from videorep.data.percepts import build, hub
from videorep.data.percepts.backbones import load_backbone
from videorep.data.shards.read import read_shards
from videorep.data.shards.write import write_shards
from videorep.errors import BackboneError, LayerError

SIDE, PATCHES, WIDTH = 28, 4, 8  # 7x7 pixels a patch
SCALES = {"scale": [1 / 50, 1 / 60, 1 / 70], "offset": [-2.1, -1.9, -1.7]}
build_percepts = with_options(build.build_percepts, PerceptsConfig)


def make_backbones(keras_hub):
    """The smallest of each kind, with weights that are no zeros."""
    keras.utils.set_random_seed(1)
    shape, size = (SIDE, SIDE, 3), {"num_layers": 2, "num_heads": 2, "hidden_dim": WIDTH}
    models, layers = keras_hub.models, keras_hub.layers
    vision = models.SigLIPVisionEncoder(7, WIDTH, 1, 2, 16, image_shape=shape)
    text = models.SigLIPTextEncoder(50, WIDTH, WIDTH, 1, 2, 16, max_sequence_length=4)
    return {
        "vit": (models.ViTBackbone(shape, 7, mlp_dim=16, **size), layers.ViTImageConverter),
        "dinov2": (
            models.DINOV2Backbone(
                7, intermediate_dim=16, num_register_tokens=2, image_shape=shape, position_embedding_shape=shape, **size
            ),
            layers.DINOV2ImageConverter,
        ),
        "siglip": (models.SigLIPBackbone(vision, text), layers.SigLIPImageConverter),
        "resnet": (
            models.ResNetBackbone([64], [7], [64], [1], [1], "basic_block", image_shape=(None, None, 3)),
            layers.ResNetImageConverter,
        ),
    }


@pytest.fixture(scope="module")
def keras_hub():
    return pytest.importorskip("keras_hub", reason="keras-hub is not installed", exc_type=ImportError)


@pytest.fixture(scope="module")
def presets(keras_hub, tmp_path_factory):
    """{kind: (folder of a preset, its backbone, its image converter)}."""
    made = {}
    for kind, (backbone, converter) in make_backbones(keras_hub).items():
        draw = np.random.default_rng(len(made))
        backbone.set_weights([each + draw.normal(0, 0.1, each.shape) for each in backbone.get_weights()])
        converter = converter(image_size=(SIDE, SIDE), **SCALES)
        folder = tmp_path_factory.mktemp("presets") / kind
        backbone.save_to_preset(folder)
        converter.save_to_preset(folder)
        made[kind] = folder, keras_hub.models.Backbone.from_preset(str(folder)), converter
    return made


@pytest.fixture
def frames():
    return np.stack([coloured_frame(SIDE, SIDE, seed) for seed in range(3)])


def extract(folder, frames, **options):
    return load_backbone(f"hub:{folder}", **options).extract(frames).numpy()


def close(received, expected):
    assert received.shape == expected.shape
    np.testing.assert_allclose(received, np.asarray(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "others"), [("vit", 1), ("dinov2", 3)])
def test_a_frame_is_its_class_token_and_positions_are_its_patches(presets, frames, kind, others):
    folder, backbone, converter = presets[kind]
    tokens = np.asarray(keras.Model(backbone.inputs, backbone.output)(converter(frames)))
    assert tokens.shape == (3, others + PATCHES**2, WIDTH)
    patches = tokens[:, others:].reshape(3, PATCHES, PATCHES, WIDTH)
    close(extract(folder, frames), tokens[:, 0])
    close(extract(folder, frames, pool="mean"), tokens[:, others:].mean(axis=1))
    close(extract(folder, frames, pool="none"), patches.reshape(3, -1))
    halves = [patches[:, :, :2].mean(axis=(1, 2)), patches[:, :, 2:].mean(axis=(1, 2))]
    close(extract(folder, frames, pool="grid:1x2"), np.concatenate(halves, axis=-1))
    assert load_backbone(f"hub:{folder}").description["pool"] == "token"
    assert "pool" not in load_backbone(f"hub:{folder}", pool="mean").description


def test_the_class_token_is_what_keras_hub_classifies_by(keras_hub, presets, frames):
    folder, backbone, converter = presets["vit"]
    task = keras_hub.models.ViTImageClassifier(backbone, num_classes=5)
    kernel, bias = task.output_dense.get_weights()
    close(extract(folder, frames) @ kernel + bias, np.asarray(task(converter(frames))))


def test_siglip_pools_by_attention_and_its_patches_have_positions(presets, frames):
    folder, backbone, converter = presets["siglip"]
    inputs = converter(frames)
    close(extract(folder, frames), np.asarray(backbone.get_vision_embeddings(inputs)))
    encoder = backbone.vision_encoder
    patches = encoder.post_layer_norm(encoder.encoder_layers[0](encoder.embedding(inputs)))
    close(extract(folder, frames, pool="none"), np.asarray(patches).reshape(3, -1))
    close(extract(folder, frames, pool="mean"), np.asarray(patches).mean(axis=1))
    assert load_backbone(f"hub:{folder}").description["layer"] == encoder.head.name


def test_layers_and_stages_are_named(presets, frames):
    folder, backbone, converter = presets["dinov2"]
    probe = keras.Model(backbone.inputs, [backbone.pyramid_outputs["stage1"], backbone.output])
    stage, tokens = map(np.asarray, probe(converter(frames)))
    layers = ("stage1", backbone.layernorm.name)
    close(extract(folder, frames, layer=layers), np.concatenate([stage[:, 0], tokens[:, 0]], axis=-1))
    close(extract(folder, frames, layer="stage1", pool="mean"), stage[:, 3:].mean(axis=1))
    with pytest.raises(LayerError, match="received stage7; try stage2, stage1"):
        extract(folder, frames, layer="stage7")


def test_a_convnet_is_averaged_over_its_positions(presets, frames):
    folder, backbone, converter = presets["resnet"]
    assert load_backbone(f"hub:{folder}").size == SIDE  # of the converter: the network takes any
    close(extract(folder, frames), np.asarray(backbone(converter(frames))).mean(axis=(1, 2)))


def test_transformers_without_a_class_token_have_the_mean_of_their_patches(keras_hub, frames, tmp_path):
    backbone = keras_hub.models.ViTBackbone((SIDE, SIDE, 3), 7, 1, 2, WIDTH, 16, use_class_token=False)
    converter = keras_hub.layers.ViTImageConverter(image_size=(SIDE, SIDE), scale=1 / 255)
    backbone.save_to_preset(tmp_path)
    converter.save_to_preset(tmp_path)
    close(extract(tmp_path, frames), np.asarray(backbone(converter(frames))).mean(axis=1))


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "tensorflow"])
@pytest.mark.parametrize("kind", ["vit", "dinov2", "siglip"])
def test_engines_compute_transformers(presets, frames, kind, engine):
    from videorep.data.percepts.engines import NEEDED, open_engine

    for module in NEEDED[engine]:
        pytest.importorskip(module)
    net = load_backbone(f"hub:{presets[kind][0]}")
    np.testing.assert_allclose(open_engine(net, 3, engine).run(frames), net.extract(frames), rtol=1e-3, atol=1e-4)


def test_dataset_json_tells_the_preset_and_a_build_goes_on(presets, tmp_path, monkeypatch):
    clips = [{"frames": np.stack([coloured_frame(30, 40, n + k) for k in range(4)]), "path": f"v{n}"} for n in range(4)]
    write_shards({"train": clips}, tmp_path / "clips", shards=4)
    folder = presets["vit"][0]
    options = {"batch_size": 2, "resume": True}
    whole = build_percepts(tmp_path / "clips", tmp_path / "whole", backbone=f"hub:{folder}", **options)
    told = whole.made["settings"]
    assert (told["backbone"], told["pool"], told["layer"]) == ("hub:vit", "token", "vit_encoder")
    assert told["preprocessing"] == f"ViTImageConverter with scale {SCALES['scale']} and offset {SCALES['offset']}"
    assert len(told["weights_sha256"]) == 64 and whole.made["stages"]["percepts"]["backbone"] == f"hub:{folder}"
    store, calls = build.to_storage, []

    def interrupt(features, dtype):
        calls.append(len(features))
        if len(calls) == 5:
            raise KeyboardInterrupt
        return store(features, dtype)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(build, "to_storage", interrupt)
        build_percepts(tmp_path / "clips", tmp_path / "broken", backbone=f"hub:{folder}", **options)
    monkeypatch.chdir(folder.parent)
    build_percepts(tmp_path / "clips", tmp_path / "broken", backbone="hub:vit", **options)
    shards = sorted(path.name for path in (tmp_path / "whole").glob("*.tfrecord-*"))
    assert len(shards) == 4
    for name in shards:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()
    (row, *_) = (record["frames"].numpy() for record in read_shards(tmp_path / "whole", "train"))
    assert row.shape == (4, WIDTH)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vit", "dinov2", "siglip"])
def test_from_a_preset_to_a_class(presets, live_chain, kind, tmp_path):
    folder = shutil.copytree(presets[kind][0], tmp_path / kind)
    small = ["--units", "3", "--layers", "1", "--steps", "2", "--batch-size", "2"]
    percepts = tmp_path / "percepts"
    call("build-shards", "percepts", live_chain / "clips", "--out", percepts, "--backbone", f"hub:{folder}")
    call("pretrain", percepts, "--out", tmp_path / "pretrained", *small)
    tuning = ["--init", tmp_path / "pretrained", "--steps", "2", "--batch-size", "2"]
    call("finetune", percepts, "--out", tmp_path / "run", *tuning)
    video = live_chain / "whole.mp4"
    answer = call("classify", tmp_path / "run", video).splitlines()[-2]  # behind the seconds that it took
    folder.rename(tmp_path / "moved")
    moved = ["--backbone", f"hub:{tmp_path / 'moved'}"]
    assert call("classify", tmp_path / "run", video, *moved).splitlines()[-2] == answer
    call("verify", percepts, "--sources", live_chain / "clips", *moved)
    call("embed", tmp_path / "run", video, "--out", tmp_path / "out.npz", *moved)
    assert np.load(tmp_path / "out.npz")["embeddings"].shape[0] == 1


def refuse(name, **options):
    with pytest.raises(BackboneError) as error:
        load_backbone(name, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def edit(folder, file, change):
    config = json.loads((folder / file).read_text())
    change(config)
    (folder / file).write_text(json.dumps(config))


def test_code_of_a_preset_does_not_run(presets, tmp_path):
    mark = tmp_path / "ran"
    images = keras.Input((SIDE, SIDE, 3), name="images")
    harmless = json.loads(keras.Model(images, keras.layers.ReLU(name="conv")(images)).to_json())
    harmless["config"]["layers"][1] |= lambda_that_writes(mark)

    def put_lambda(config):
        config["config"]["vision_encoder"] = harmless

    folder = shutil.copytree(presets["siglip"][0], tmp_path / "lambda")
    edit(folder, "config.json", put_lambda)
    assert "without classes of one's own" in refuse(f"hub:{folder}")
    assert not mark.exists()


@pytest.mark.parametrize("file", ["config.json", "image_converter.json"])
def test_classes_of_a_stranger_are_refused(presets, tmp_path, monkeypatch, file):
    folder = shutil.copytree(presets["vit"][0], tmp_path / "foreign")
    (tmp_path / "attack.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Foreign: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    edit(folder, file, lambda config: config.update(module="attack", class_name="Foreign", registered_name="Foreign"))
    assert "without classes of one's own" in refuse(f"hub:{folder}")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("damage", ["no config", "no converter", "no weights", "cut off", "text"])
def test_a_damaged_preset_is_one_sentence(presets, tmp_path, damage):
    folder = shutil.copytree(presets["vit"][0], tmp_path / "damaged")
    weights = folder / "model.weights.h5"
    if damage.startswith("no "):
        names = {"no config": "config.json", "no converter": "image_converter.json", "no weights": weights.name}
        (folder / names[damage]).unlink()
    elif damage == "cut off":
        weights.write_bytes(weights.read_bytes()[:2000])
    else:
        (folder / "config.json").write_text("text")
    assert "save_to_preset" in refuse(f"hub:{folder}")


def test_what_has_no_image_backbone_is_refused(keras_hub, tmp_path, monkeypatch):
    keras_hub.models.BertBackbone(50, 1, 2, WIDTH, 16, max_sequence_length=8).save_to_preset(tmp_path / "bert")
    assert "image backbone" in refuse(f"hub:{tmp_path / 'bert'}")
    keras_hub.models.ViTBackbone((SIDE, 2 * SIDE, 3), 7, 1, 2, WIDTH, 16).save_to_preset(tmp_path / "wide")
    keras_hub.layers.ViTImageConverter(image_size=(SIDE, 2 * SIDE)).save_to_preset(tmp_path / "wide")
    assert "single square images" in refuse(f"hub:{tmp_path / 'wide'}")
    assert "try hub:dinov2_small" in refuse("hub:dinov2_smal")

    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(keras_hub.layers.ImageConverter, "from_preset", unreachable)
    assert "(no network); check the name and the network" in refuse("hub:dinov2_small")
    assert "no --weights beside hub:dinov2_small" in refuse("hub:dinov2_small", weights="net.h5")


def test_tokens_in_unknown_places_are_refused():
    for patch in (None, 7):
        with pytest.raises(BackboneError, match="tokens whose places are known, received 5"):
            hub._arrange(keras.Input((5, WIDTH)), 5, SIDE, patch, None, "hub:net")
    merged, kind = hub._arrange(keras.Input((4, WIDTH)), 4, SIDE, 7, None, "hub:net")
    assert merged.shape == (None, 2, 2, WIDTH) and kind == "mean"


def test_without_keras_hub_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    assert refuse("hub:dinov2_small").endswith("pip install 'videorep[hub]'")
