"""`train_stream` end to end, with a small net in place of CNN-M-2048."""

import contextlib
import dataclasses

import keras
import numpy as np
import pytest

from videorep.build_config import PerceptsConfig
from videorep.config import DataConfig, StreamConfig, StreamModelConfig, TrainingConfig
from videorep.data.percepts.build import build_percepts
from videorep.data.shards.write import write_shards
from videorep.errors import ConfigError, ShardError
from videorep.training import train_stream as module

SIZE = 28


def small_net(classes, stream, flow_stack, dropout, seed, dtype):
    images = keras.Input((SIZE, SIZE, 3 if stream == "rgb" else 2 * flow_stack))
    tensor = keras.layers.AveragePooling2D(7)(images)
    tensor = keras.layers.Rescaling(0.1)(keras.layers.Flatten()(tensor))
    tensor = keras.layers.Dense(16, "relu", kernel_initializer=keras.initializers.HeNormal(seed), name="fc6")(tensor)
    softmax = keras.layers.Dense(classes, "softmax", kernel_initializer=keras.initializers.HeNormal(seed + 1))
    return keras.Model(images, softmax(tensor))


@pytest.fixture
def clips(tmp_path):
    """The lower half drifts up or down: a single frame does not tell which."""
    generator = np.random.default_rng(0)

    def make(label):
        texture = np.kron(generator.integers(0, 256, (20, 10, 3)), np.ones((3, 4, 1)))
        speed = 1 if label == "up" else -1
        still, moving = texture[:15], texture[15:45]
        frames = [np.concatenate([still, np.roll(moving, -speed * n, axis=0)[:15]]) for n in range(4)]
        return {"frames": np.stack(frames).astype(np.uint8), "label": label}

    splits = {"train": 12, "test": 6}
    write_shards(
        {split: [make(("up", "down")[n % 2]) for n in range(m)] for split, m in splits.items()}, tmp_path / "clips"
    )
    return tmp_path / "clips"


@pytest.fixture
def config(clips, monkeypatch):
    monkeypatch.setattr(module, "build_temporal_stream", small_net)
    monkeypatch.setattr(module, "INPUT_SIZE", SIZE)
    training = TrainingConfig(
        steps=40,
        batch_size=8,
        learning_rate=0.01,
        warmup_steps=1,
        report_every=10,
        checkpoint_every=20,
        evaluate_every=40,
    )
    return StreamConfig(StreamModelConfig(flow_stack=2), DataConfig(path=str(clips)), training)


def test_it_learns_what_only_motion_tells(config, clips, tmp_path):
    summary = module.train_stream(config, tmp_path / "run")
    assert (summary["classes"], summary["training_clips"]) == (2, 12)
    assert summary["validation_clip_accuracy"] >= 5 / 6
    assert (summary["validation_chance"], summary["validation_clips"]) == (0.5, 6)
    # What the run was trained on need not be said again.
    dataset = build_percepts(clips, tmp_path / "percepts", PerceptsConfig(backbone=tmp_path / "run"))
    settings = dataset.made["settings"]
    assert (dataset.features, settings["layer"], settings["stream"], settings["flow_stack"]) == (16, "fc6", "flow", 2)


def test_a_dry_run_writes_nothing(config, tmp_path):
    assert module.train_stream(config, tmp_path / "run", dry_run=True)["model"] == "flow stream"
    assert not (tmp_path / "run").exists()


def test_a_stack_longer_than_every_clip_is_refused(config, tmp_path):
    for fields, fits in ((3, True), (4, False)):
        longer = dataclasses.replace(config, model=StreamModelConfig(flow_stack=fields))
        with contextlib.nullcontext() if fits else pytest.raises(ShardError, match=r"more than 4 frames.*at most 4"):
            module.train_stream(longer, tmp_path / "run", dry_run=True)


@pytest.mark.parametrize("settings", [{"stream": "sound"}, {"flow_stack": 0}, {"dropout": 1.0}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        StreamModelConfig(**settings)
