"""A stream of frames against the model on the whole sequence; state and memory over many steps."""

import gc
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from live_building import CLASSES, STACK, frames_of

from videorep.config import ClassifierConfig
from videorep.data.videos.decode import resize_frame
from videorep.live import LiveClassifier
from videorep.live.perception import open_runs
from videorep.live.stream import Stream
from videorep.models import build_classifier
from videorep.runs import load_run

FEATURES = 7


def make_model(units=(5,), name="lstm", standardise=False, dtype=None):
    """A classifier whose every weight, the peepholes too, differs from 0 and from the others."""
    config = ClassifierConfig(name, FEATURES, units, ("a", "b", "c"), standardise=standardise)
    model = build_classifier(config, seed=0, dtype=dtype)
    generator = np.random.default_rng(1)
    model.set_weights([generator.uniform(0.1, 0.9, weight.shape) * generator.choice([-1, 1], weight.shape)
                       if "standard" not in str(weight.path) else generator.uniform(0.5, 2, weight.shape)
                       for weight in model.weights])  # fmt: skip
    return model


@pytest.mark.parametrize(
    "options",
    [{"units": (5,)}, {"units": (5, 4)}, {"units": (5, 4, 6)}, {"standardise": True}, {"name": "single-frame"}],
    ids=str,
)
def test_a_stream_equals_the_whole_sequence(options):
    model = make_model(**options)
    sequence = np.random.default_rng(2).normal(size=(50, FEATURES)).astype(np.float32)
    whole = model({"frames": sequence[None]}, training=False).numpy()[0]
    stream = Stream(model)
    for _ in range(2):
        np.testing.assert_allclose([stream.step(features) for features in sequence], whole, atol=1e-5)
        stream.reset()
    assert np.ptp(whole, axis=0).min() > 0.01


def test_half_precision_is_carried_as_the_model_carries_it():
    model = make_model((5, 4), dtype="mixed_bfloat16")
    sequence = np.random.default_rng(2).normal(size=(9, FEATURES)).astype(np.float32)
    stream = Stream(model)
    whole = model({"frames": sequence[None]}, training=False).numpy()[0]
    np.testing.assert_allclose([stream.step(features) for features in sequence], whole, atol=1e-2)


def test_thousands_of_steps_take_no_more_memory():
    stream, features = Stream(make_model((5, 4))), np.ones(FEATURES, np.float32)

    def held():
        for _ in range(1000):
            stream.step(features)
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"), len(gc.get_objects())

    rounds = np.array([held() for _ in range(8)])[2:]  # TensorFlow's threads take theirs first
    grown, objects = np.median(np.diff(rounds, axis=0), axis=0)  # what goes on elsewhere in the process is no trend
    assert grown < 1 << 19 and objects < 25
    assert stream._step.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("name", ["rgb", "flow"])
def test_frames_are_seen_as_clips_are(live_chain, name):
    run, frames = load_run(live_chain / name), frames_of(12)
    live = LiveClassifier([run])
    stepped = [live.step(frame) for frame in frames]
    [(perception, [_])] = open_runs([run])
    small = [resize_frame(frame, (16, 30)) for frame in frames]
    images = [cv2.imencode(".png", frame[..., ::-1])[1].tobytes() for frame in small]
    features = perception.extract_clip(images, (16, 30))
    first = STACK if name == "flow" else 0
    assert stepped[:first] == [None] * first and len(features) == 12
    whole = run.model()({"frames": features[None, : 12 - first]}, training=False).numpy()[0]
    np.testing.assert_allclose(stepped[first:], whole, atol=1e-5)
    assert live.classes == CLASSES and live.seconds["backbone"] > 0 and live.fps == 20


def test_several_runs_are_averaged_and_share_their_convnet(live_chain):
    runs, frames = [load_run(live_chain / name) for name in ("rgb", "frames", "rgb")], frames_of(3)
    apart = [[LiveClassifier([run]) for run in runs], LiveClassifier(runs)]
    for frame in frames:
        alone = [live.step(frame) for live in apart[0]]
        np.testing.assert_allclose(apart[1].step(frame), np.mean(alone, axis=0), atol=1e-6)
    assert len(apart[1].views) == 1
    apart[1].reset()
    np.testing.assert_allclose(apart[1].step(frames[0]), LiveClassifier(runs).step(frames[0]), atol=1e-6)
