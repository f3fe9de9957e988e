"""Percept shards: the right numbers for the right clip, the same bytes after an interruption."""

import hashlib

import keras
import numpy as np
import pytest
from shard_building import with_options

from videorep.build_config import PerceptsConfig
from videorep.data.percepts import build
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.read import read_shards
from videorep.data.shards.write import write_shards
from videorep.errors import BackboneError, ConfigError, OutputError, ShardError

SIZE = 28
build_percepts = with_options(build.build_percepts, PerceptsConfig)


@pytest.fixture(scope="module")
def clips():
    """Clips by split: five for training, two for testing, some without a label."""
    generator = np.random.default_rng(0)
    names = ["wave", "clap", None, "wave", "clap"]

    def make(number, frames, label):
        pixels = generator.integers(0, 256, (frames, 30, 40, 3), dtype=np.uint8)
        return {"frames": pixels, "path": f"v{number}", "frame_rate": 12.5} | ({"label": label} if label else {})

    lengths = [5, 1, 7, 3, 4]
    train = [make(number, *pair) for number, pair in enumerate(zip(lengths, names, strict=True))]
    return {"train": train, "test": [make(7, 6, "clap"), make(8, 2, "wave")]}


@pytest.fixture
def shards(clips, tmp_path):
    write_shards(clips, tmp_path / "clips", shards=2)
    return tmp_path / "clips"


def save_net(path, channels=3, scale=1.0):
    """Quadrants' means of every channel, less 100, after ReLU: 4 * channels features that NumPy can check."""
    images = keras.Input((SIZE, SIZE, channels))
    values = keras.layers.AveragePooling2D(SIZE // 2)(images)
    values = keras.layers.Rescaling(scale, -100.0 * scale)(values)
    keras.Model(images, keras.layers.ReLU()(keras.layers.Flatten()(values))).save(path)
    return path


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return save_net(tmp_path_factory.mktemp("net") / "quadrants.keras")


def quadrants(frames):
    """The oracle of `save_net`: frames (T, 30, 40, 3) under the central 28x28 crop."""
    cut = frames[:, 1:29, 6:34].astype(np.float64).reshape(len(frames), 2, 14, 2, 14, 3)
    return np.maximum(cut.mean(axis=(2, 4)).reshape(len(frames), -1) - 100, 0)


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_every_clip_gets_its_own_percepts(clips, shards, net, tmp_path):
    dataset = build_percepts(shards, tmp_path / "out", backbone=net, batch_size=4, dtype="float32")
    assert (dataset.kind, dataset.features, dataset.dtype) == ("percepts", 12, "float32")
    assert {split: [shard.records for shard in members] for split, members in dataset.splits.items()} == {
        split: [shard.records for shard in members] for split, members in load_dataset(shards).splits.items()
    }
    for split, members in clips.items():
        received = list(read_shards(tmp_path / "out", split).as_numpy_iterator())
        assert [record["path"].decode() for record in received] == [clip["path"] for clip in members]
        assert [record["label_text"].decode() for record in received] == [clip.get("label", "") for clip in members]
        for record, clip in zip(received, members, strict=True):
            np.testing.assert_allclose(record["frames"], quadrants(clip["frames"]), atol=1e-3)
            assert record["frame_rate"] == 12.5
            assert record["start"] == 0.0


def test_float16_is_the_default_and_near(clips, shards, net, tmp_path):
    dataset = build_percepts(shards, tmp_path / "out", backbone=net, batch_size=4)
    assert (dataset.dtype, dataset.compression) == ("float16", "")
    received = next(iter(read_shards(tmp_path / "out", "train")))["frames"].numpy()
    np.testing.assert_allclose(received, quadrants(clips["train"][0]["frames"]), rtol=2**-10, atol=1e-3)


def test_gzip_holds_the_same_numbers(shards, net, tmp_path):
    arrays = {}
    for folder, compression in (("plain", ""), ("packed", "gzip")):
        dataset = build_percepts(shards, tmp_path / folder, backbone=net, compression=compression)
        assert dataset.compression == compression
        arrays[folder] = [record["frames"] for record in read_shards(dataset.folder).as_numpy_iterator()]
    for one, other in zip(arrays["plain"], arrays["packed"], strict=True):
        np.testing.assert_array_equal(one, other)


def test_statistics_are_those_of_the_training_frames(clips, shards, net, tmp_path):
    statistics = build_percepts(shards, tmp_path / "out", backbone=net, dtype="float32").statistics
    values = np.concatenate([quadrants(clip["frames"]) for clip in clips["train"]])
    assert statistics["frames"] == len(values) == 20
    np.testing.assert_allclose(statistics["mean"], values.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(statistics["deviation"], values.std(axis=0), rtol=1e-4)
    np.testing.assert_allclose(statistics["zeros"], (values == 0).mean(axis=0), atol=1e-6)


def test_what_was_done_is_written_down(shards, net, tmp_path):
    dataset = build_percepts(shards, tmp_path / "out", backbone=net, batch_size=4)
    settings = dataset.made["settings"]
    assert settings["backbone"] == settings["weights"] == "quadrants.keras"
    assert len(settings["weights_sha256"]) == 64
    assert (settings["stream"], settings["crop"], settings["batch_size"]) == ("rgb", SIZE, 4)
    clips = load_dataset(shards)
    assert settings["clips"] == {shard.file: shard.sha256 for split in clips.splits.values() for shard in split}
    assert [source["path"] for source in dataset.sources] == [source["path"] for source in clips.sources]


@pytest.mark.parametrize("last_call", [2, 4])
def test_an_interrupted_build_resumes_to_the_same_bytes(shards, net, tmp_path, monkeypatch, last_call):
    options = {"backbone": net, "batch_size": 4, "resume": True}
    build_percepts(shards, tmp_path / "whole", **options)
    calls = []
    store = build.to_storage

    def interrupt(features, dtype):
        calls.append(len(features))
        if len(calls) == last_call:
            raise KeyboardInterrupt
        return store(features, dtype)

    monkeypatch.setattr(build, "to_storage", interrupt)
    with pytest.raises(KeyboardInterrupt):
        build_percepts(shards, tmp_path / "broken", **options)
    assert not (tmp_path / "broken" / "dataset.json").exists()
    monkeypatch.setattr(build, "to_storage", store)
    build_percepts(shards, tmp_path / "broken", **options)
    assert set(calls) == {4}
    assert digests(tmp_path / "broken") == digests(tmp_path / "whole")


def test_resuming_with_another_network_is_refused(shards, net, tmp_path):
    build_percepts(shards, tmp_path / "out", backbone=net)
    other = save_net(tmp_path / "quadrants.keras", scale=2.0)
    assert build_percepts(shards, tmp_path / "out", backbone=net, resume=True)
    with pytest.raises(ShardError, match="--overwrite"):
        build_percepts(shards, tmp_path / "out", backbone=other, dtype="float32", resume=True)


@pytest.mark.parametrize("flow_stack", [1, 2])
def test_flow_percepts_have_one_row_per_frame(clips, shards, tmp_path, flow_stack):
    net = save_net(tmp_path / "flow.keras", channels=2 * flow_stack, scale=-1.0)
    options = {"backbone": net, "stream": "flow", "flow_stack": flow_stack}
    dataset = build_percepts(shards, tmp_path / "out", **options)
    received = list(read_shards(tmp_path / "out", "train").as_numpy_iterator())
    assert [len(record["frames"]) for record in received] == [len(clip["frames"]) for clip in clips["train"]]
    assert dataset.features == 8 * flow_stack
    np.testing.assert_array_equal(received[1]["frames"], np.full((1, 8 * flow_stack), 100.0))  # one frame: no motion
    assert dataset.made["settings"]["flow_stack"] == flow_stack


def test_a_dry_run_tells_and_writes_nothing(shards, net, tmp_path):
    plan = build_percepts(shards, tmp_path / "out", backbone=net, dry_run=True)
    assert (plan["clips"], plan["frames"], plan["features"]) == (7, 28, 12)
    assert plan["bytes_before_compression"] == 28 * 12 * 2
    assert plan["shards"] == {"train": 2, "test": 2}
    assert not (tmp_path / "out").exists()


def test_rows_are_cut_at_the_counts():
    rows = np.arange(24).reshape(12, 2)
    blocks = [rows[:4], rows[4:8], rows[8:]]
    cut = list(build.split_rows(blocks, [1, 6, 0, 4, 1]))
    assert [len(array) for array in cut] == [1, 6, 0, 4, 1]
    np.testing.assert_array_equal(np.concatenate([array for array in cut if len(array)]), rows)


def test_values_beyond_float16_are_refused_not_stored_as_infinity(shards, net, tmp_path):
    loud = save_net(tmp_path / "loud.keras", scale=1e5)
    with pytest.raises(BackboneError, match=r"float16.*float32"):
        build_percepts(shards, tmp_path / "out", backbone=loud)
    assert not (tmp_path / "out").exists()
    build_percepts(shards, tmp_path / "out", backbone=loud, dtype="float32")


def test_misfits_are_explained(shards, net, tmp_path):
    with pytest.raises(BackboneError, match="20 input channels for --stream flow with --flow-stack 10"):
        build_percepts(shards, tmp_path / "out", backbone=net, stream="flow", flow_stack=10)
    with pytest.raises(ShardError, match="more than 10 frames"):
        deep = save_net(tmp_path / "deep.keras", channels=20)
        build_percepts(shards, tmp_path / "out", backbone=deep, stream="flow", flow_stack=10)
    with pytest.raises(ConfigError, match="dtype"):
        build_percepts(shards, tmp_path / "out", backbone=net, dtype="bfloat16")
    with pytest.raises(ConfigError, match="flow_stack"):
        build_percepts(shards, tmp_path / "out", backbone=net, flow_stack=0)
    with pytest.raises(ConfigError, match="batch_size"):
        build_percepts(shards, tmp_path / "out", backbone=net, batch_size=0)
    build_percepts(shards, tmp_path / "made", backbone=net)
    with pytest.raises(ShardError, match="expected clips"):
        build_percepts(tmp_path / "made", tmp_path / "out", backbone=net)
    with pytest.raises(ShardError):
        build_percepts(tmp_path / "absent", tmp_path / "out", backbone=net)
    assert not (tmp_path / "out").exists()
    with pytest.raises(OutputError, match="choose another --out"):
        build_percepts(shards, shards / ".." / "clips", backbone=net, overwrite=True)
    assert load_dataset(shards)


def test_a_damaged_clip_shard_ends_in_one_sentence(shards, net, tmp_path):
    path = load_dataset(shards).paths("train")[0]
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(bytes(damaged))
    with pytest.raises(ShardError, match=r"record .* damaged"):
        build_percepts(shards, tmp_path / "out", backbone=net)
    assert not (tmp_path / "out").exists()


def test_percepts_are_called_percepts_and_lie_apart_from_the_clips(shards, net, tmp_path):
    dataset = build_percepts(shards, tmp_path / "out", backbone=net, batch_size=4)
    assert dataset.name == "percepts" and all(path.name.startswith("percepts-") for path in dataset.paths("train"))
    for out in (shards, shards / "below", shards.parent):
        for dry_run in (True, False):
            with pytest.raises(OutputError, match="outside"):
                build_percepts(shards, out, backbone=net, dry_run=dry_run)


def test_percept_builds_name_the_clip_and_the_remedy():
    large = build.to_storage(np.full((2, 3), 1e6, np.float32), "float16")
    with pytest.raises(BackboneError, match=r"float16.*clip 7.*float32"):
        build.require_finite(large, "clip 7")
    with pytest.raises(BackboneError, match="NaN for clip 7"):
        build.require_finite(np.full((2, 3), np.nan, np.float32), "clip 7")
