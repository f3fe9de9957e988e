"""Engines of percepts: each agrees with Keras on what convnets are made of, and is told, kept to and missed aloud."""

import gc
import hashlib
import importlib.util
import signal
import types
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from shard_building import with_options

from videorep.build_config import PerceptsConfig
from videorep.config import ClassifierConfig, FinetuneConfig
from videorep.data.percepts import build, engines
from videorep.data.percepts.backbones import Backbone, load_backbone
from videorep.data.percepts.engines import NEEDED, open_engine
from videorep.data.shards.read import read_shards
from videorep.data.shards.write import write_shards
from videorep.errors import BackboneError, ConfigError, ShardError, VideorepWarning
from videorep.live import perception

SIDE, BATCH = 28, 4
build_percepts = with_options(build.build_percepts, PerceptsConfig)


@pytest.fixture(params=NEEDED)
def engine(request):
    for module in NEEDED[request.param]:
        pytest.importorskip(module, reason=f"{request.param} is not installed")
    return request.param


@pytest.fixture
def openvino():
    if "BF16" not in pytest.importorskip("openvino").Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("the processor has no bfloat16")


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """A convnet with what those of mobile phones have, and moments of batches that are no zeros and ones."""
    keras.utils.set_random_seed(2)
    images = keras.Input((SIDE, SIDE, 3))
    values = keras.layers.Rescaling(1 / 128, -1)(images)
    for filters in (8, 12):
        values = keras.layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(values)
        values = keras.layers.ReLU(6.0)(keras.layers.BatchNormalization()(values))
        wide = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(values)
        wide = keras.layers.Activation("gelu")(keras.layers.BatchNormalization()(wide))  # erfc, as of transformers
        values = keras.layers.Add()([values, wide])
    model, draw = keras.Model(images, values), np.random.default_rng(3)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([draw.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    path = tmp_path_factory.mktemp("net") / "mobile.keras"
    model.save(path)
    return path


def clips_of(*lengths, size=(30, 40)):
    draw = np.random.default_rng(5)
    return [{"frames": draw.integers(0, 256, (length, *size, 3), np.uint8), "path": f"v{length}"} for length in lengths]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards") / "clips"
    write_shards({"train": clips_of(5, 1, 7, 3), "test": clips_of(6, 2)}, folder, shards=2)
    return folder


def cosines(received, expected):
    norms = np.linalg.norm(received, axis=-1) * np.linalg.norm(expected, axis=-1)
    return np.sum(received * expected, axis=-1) / norms


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.tfrecord-*")}


def without(monkeypatch, *modules):
    """As if these were not installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name in modules else find(name))


def test_percepts_are_those_of_keras(engine, net, shards, tmp_path):
    dataset = build_percepts(shards, tmp_path / "out", backbone=net, batch_size=BATCH, engine=engine, dtype="float32")
    model = keras.models.load_model(net)
    for record, clip in zip(read_shards(dataset.folder, "train"), clips_of(5, 1, 7, 3), strict=True):
        expected = model.predict(clip["frames"][:, 1:29, 6:34].astype(np.float32), verbose=0).mean(axis=(1, 2))
        received = record["frames"].numpy()
        assert cosines(received, expected).min() >= 0.9999
        np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-4)


def test_an_engine_sees_stacks_of_flow(engine, tmp_path):
    images = keras.Input((SIDE, SIDE, 4))
    keras.Model(images, keras.layers.AveragePooling2D(14)(images)).save(tmp_path / "flow.keras")
    stacks = np.random.default_rng(0).normal(0, 20, (BATCH, SIDE, SIDE, 4)).astype(np.float32)
    received = open_engine(load_backbone(tmp_path / "flow.keras"), BATCH, engine).run(stacks)
    np.testing.assert_allclose(received, stacks.mean(axis=(1, 2)), rtol=1e-4, atol=1e-4)


def test_a_signal_finds_its_stack_after_engines_have_ended(engine, net):
    """Where OpenVINO has freed it, the process ends here."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background
    backbone = load_backbone(net)
    for _ in range(2):
        opened = [open_engine(backbone, BATCH, engine) for _ in range(2)]
        while opened:
            del opened[0]
            gc.collect()
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, previous)


def test_the_same_bytes_whatever_the_workers_and_after_an_interruption(engine, net, shards, tmp_path, monkeypatch):
    options = {"backbone": net, "batch_size": BATCH, "engine": engine, "resume": True}
    build_percepts(shards, tmp_path / "whole", **options)
    monkeypatch.setattr(engines, "count_cores", lambda: 1)
    monkeypatch.setattr("videorep.data.percepts.frames.count_cores", lambda: 1)
    store, calls = build.to_storage, []

    def interrupt(features, dtype):
        calls.append(len(features))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return store(features, dtype)

    monkeypatch.setattr(build, "to_storage", interrupt)
    with pytest.raises(KeyboardInterrupt):
        build_percepts(shards, tmp_path / "broken", **options)
    assert not (tmp_path / "broken" / "dataset.json").exists()
    build_percepts(shards, tmp_path / "broken", **options)
    assert digests(tmp_path / "broken") == digests(tmp_path / "whole")


def test_tensors_that_a_layer_holds_are_constants(engine):
    """As the numbers of positions in ViT."""
    held = tf.constant(np.random.default_rng(1).normal(size=(1, SIDE, SIDE, 3)).astype(np.float32))
    extract = tf.function(lambda images: tf.reduce_mean(tf.cast(images, tf.float32) * held, (1, 2)))
    images = np.random.default_rng(2).integers(0, 256, (BATCH, SIDE, SIDE, 3), np.uint8)
    received = open_engine(Backbone(extract, SIDE, 3, 3, {}), BATCH, engine).run(images)
    np.testing.assert_allclose(received, (images * held.numpy()).mean(axis=(1, 2)), rtol=1e-3, atol=1e-3)


def test_the_engine_is_told_and_another_one_does_not_go_on(net, shards, tmp_path):
    options = {"backbone": net, "batch_size": BATCH}
    dataset = build_percepts(shards, tmp_path / "out", engine="tensorflow", **options)
    told = dataset.made["settings"]
    assert told["engine"].startswith("tensorflow 2.") and told["precision"] == "float32"
    assert dataset.backbone["engine"] == told["engine"]
    stage = dataset.made["stages"]["percepts"]
    assert (stage["engine"], stage["precision"]) == ("tensorflow", "float32")
    pytest.importorskip("openvino")
    plan = build_percepts(shards, tmp_path / "other", dry_run=True, **options)
    assert plan["settings"]["engine"].startswith("openvino ")
    with pytest.raises(ShardError, match="--overwrite"):
        build_percepts(shards, tmp_path / "out", engine="openvino", resume=True, **options)


def test_bfloat16_is_near_and_never_the_default(openvino, net, shards, tmp_path):
    read = {}
    for precision in ("float32", "bfloat16"):
        dataset = build_percepts(shards, tmp_path / precision, backbone=net, precision=precision, dtype="float32")
        assert dataset.engine["engine"].startswith("openvino ") and dataset.engine["precision"] == precision
        read[precision] = np.concatenate(
            [record["frames"] for record in read_shards(dataset.folder).as_numpy_iterator()]
        )
    assert (read["float32"] != read["bfloat16"]).any() and cosines(*read.values()).min() > 0.995


def test_auto_is_the_fastest_that_is_installed(net, monkeypatch):
    net = load_backbone(net)
    for order in (("openvino", "onnxruntime", "tensorflow"), ("onnxruntime", "tensorflow"), ("tensorflow",)):
        without(monkeypatch, *({"openvino", "onnxruntime"} - set(order)))
        assert engines._candidates("auto", "float32") == [
            each for each in order if all(map(engines.find_spec, NEEDED[each]))
        ]
    assert open_engine(net, 1).name == "tensorflow"
    monkeypatch.setattr(engines.tf.config, "list_physical_devices", lambda kind: ["GPU:0"])
    monkeypatch.setattr(engines, "find_spec", importlib.util.find_spec)
    assert engines._candidates("auto", "float32") == ["tensorflow"]


def test_auto_goes_on_where_an_engine_lacks_an_operation(net, monkeypatch):
    pytest.importorskip("openvino")

    def refuse(*_):
        raise engines._UnfitError("it lacks Foo")

    monkeypatch.setitem(engines._OPENERS, "openvino", refuse)
    assert open_engine(load_backbone(net), 1).name != "openvino"
    with pytest.raises(BackboneError, match="that openvino computes in float32, received one where it lacks Foo"):
        open_engine(load_backbone(net), 1, "openvino")


def test_what_cannot_be_had_is_said_with_a_remedy(net, monkeypatch):
    with pytest.raises(ConfigError, match=r"float32 with --engine onnxruntime: only openvino.*received 'bfloat16'"):
        PerceptsConfig("net.keras", engine="onnxruntime", precision="bfloat16")
    with pytest.raises(ConfigError, match="engine"):
        PerceptsConfig("net.keras", engine="fast")
    without(monkeypatch, "openvino", "tf2onnx")
    net = load_backbone(net)
    for options in ({"name": "openvino"}, {"precision": "bfloat16"}):
        with pytest.raises(BackboneError, match=r"without openvino; pip install 'videorep\[openvino\]', or choose"):
            open_engine(net, 1, **options)
    with pytest.raises(BackboneError, match=r"without [\w, ]*tf2onnx[\w, ]*; pip install 'videorep\[onnx\]'"):
        open_engine(net, 1, "onnxruntime")


def test_a_run_whose_engine_is_missing_gets_tensorflow_aloud_but_never_for_bfloat16(monkeypatch):
    made = PerceptsConfig("net.keras", engine="openvino")
    without(monkeypatch, "openvino")
    with pytest.warns(VideorepWarning, match="without openvino: TensorFlow computes .* differ by rounding"):
        assert perception._find_engine(made).engine == "tensorflow"
    with pytest.raises(
        BackboneError, match=r"whose bfloat16 the run learned from.*pip install 'videorep\[openvino\]'$"
    ):
        perception._find_engine(PerceptsConfig("net.keras", engine="openvino", precision="bfloat16"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert perception._find_engine(PerceptsConfig("net.keras", engine="tensorflow")).engine == "tensorflow"


def test_percepts_that_say_nothing_of_an_engine_came_of_tensorflow():
    """As those of earlier versions."""
    stages = {"clips": dict.fromkeys(perception.REPEATED), "percepts": {"backbone": "net.keras"}}
    stages["clips"] |= {"quality": 95, "keep_partial": False}
    data = {"kind": "percepts", "stages": stages, "backbone": {"weights_sha256": "0"}}
    config = FinetuneConfig(ClassifierConfig(features=3, units=(2,), classes=("a", "b")))
    run = types.SimpleNamespace(config=config, provenance={"data": data}, path="run")
    made = perception.read_stages(run).percepts
    assert (made.engine, made.precision) == ("tensorflow", "float32")
    stages["percepts"] |= {"engine": "openvino", "precision": "bfloat16"}
    made = perception.read_stages(run).percepts
    assert (made.engine, made.precision) == ("openvino", "bfloat16")
