"""From drawn videos to classifiers of percepts, of flow and of pixels, as the commands make them; tiny."""

import keras
import numpy as np
from click.testing import CliRunner
from generated_videos import write_video

from videorep.cli.main import videorep_command

CLASSES = ("Archery", "Bowling")
SIZE, STACK = 14, 3


def call(*words):
    """Runs a command of videorep, which must succeed; what it printed."""
    result = CliRunner().invoke(videorep_command, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def make_videos(folder, count, first=0):
    """Numbered frames of different length, half of them faster than the clips are to be."""
    folder.mkdir(parents=True)
    for number in range(first, first + count):
        write_video(folder / f"v{number}.avi", frames=30 + number, first=90 * number, fps=(25.0, 30.0)[number % 2])


def save_net(path, channels):
    """A model within a model, as who adds scaling to a convnet of keras.applications gets it."""
    keras.utils.set_random_seed(channels)
    images, scaled = keras.Input((SIZE, SIZE, channels)), keras.Input((SIZE, SIZE, channels))
    values = keras.layers.Conv2D(4, 3, strides=3, activation="relu")(scaled)
    inner = keras.Model(scaled, keras.layers.Flatten()(values))
    keras.Model(images, inner(keras.layers.Rescaling(1 / 16)(images))).save(path)


def make_chain(folder):
    """VIDEOS, clips, two kinds of percepts, and the runs rgb, flow, frames (single-frame), pixels and pretrained."""
    for place, name in enumerate(CLASSES):
        make_videos(folder / "VIDEOS" / name, 5, first=5 * place)
    write_video(folder / "whole.mp4", frames=40, first=300)
    save_net(folder / "net.keras", 3)
    save_net(folder / "motion.keras", 2 * STACK)
    stages = ["--labels", "folders", "--split", "0.6", "--size", "16x30", "--fps", "20", "--quality", "60"]
    call("build-shards", "clips", folder / "VIDEOS", "--out", folder / "clips", *stages)
    percepts = ["build-shards", "percepts", folder / "clips", "--batch-size", "7"]
    call(*percepts, "--out", folder / "percepts", "--backbone", folder / "net.keras")
    flow = ["--stream", "flow", "--flow-stack", STACK]
    call(*percepts, "--out", folder / "flow-percepts", "--backbone", folder / "motion.keras", *flow)
    small = ["--steps", "30", "--batch-size", "4", "--learning-rate", "0.03"]
    blocks = [*small, "--block-frames", "8", "--units", "6", "--layers", "2"]
    call("finetune", folder / "percepts", "--out", folder / "rgb", *blocks)
    call("finetune", folder / "flow-percepts", "--out", folder / "flow", *blocks)
    call("finetune", folder / "clips", "--out", folder / "pixels", *blocks)
    call("finetune", folder / "percepts", "--out", folder / "frames", "--model", "single-frame", *small)
    few = ["--units", "3", "--layers", "1", "--steps", "1", "--batch-size", "2"]
    call("pretrain", folder / "percepts", "--out", folder / "pretrained", *few)
    return folder


def frames_of(count, seed=0):
    """(count, 40, 60, 3) uint8 RGB."""
    return np.random.default_rng(seed).integers(0, 256, (count, 40, 60, 3), np.uint8)
