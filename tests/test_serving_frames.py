"""Signatures of encoded frames: the pixels, percepts and probabilities that shards, percepts and `classify` give."""

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from live_building import CLASSES, frames_of

from videorep.build_config import ClipsConfig, PerceptsConfig
from videorep.config import ClassifierConfig, FinetuneConfig, StreamConfig, StreamModelConfig
from videorep.data.percepts.backbones import load_backbone
from videorep.data.percepts.frames import crop_centre
from videorep.data.shards.encode import encode_clip
from videorep.data.shards.images import decode_image
from videorep.data.shards.records import Clip
from videorep.data.videos.decode import resize_frame
from videorep.errors import BackboneError
from videorep.live.perception import Perception, Stages
from videorep.models import build_classifier
from videorep.runs import create_run, load_run
from videorep.serving.export import export
from videorep.serving.frames import GraphPerception, open_perception
from videorep.serving.signatures import serve

SIDE, STORED = 14, (16, 30)


def jpeg(frame, kind=".jpg"):
    return cv2.imencode(kind, frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80] if kind == ".jpg" else [])[1].tobytes()


def soft_frames(count, height=STORED[0], width=STORED[1]):
    """(count, height, width, 3) uint8, smooth as photographs are."""
    return np.stack([cv2.resize(each[:4, :5], (width, height)) for each in frames_of(count)])


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    keras.utils.set_random_seed(3)
    path = tmp_path_factory.mktemp("net") / "net.keras"
    images = keras.Input((SIDE, SIDE, 3))
    values = keras.layers.Conv2D(4, 3, strides=3, activation="relu")(keras.layers.Rescaling(1 / 255)(images))
    keras.Model(images, keras.layers.Flatten()(values)).save(path)
    return load_backbone(str(path))


@pytest.fixture(scope="module")
def graph(net):
    return GraphPerception(net.extract, SIDE, net.features, size=STORED, dtype="float16", batch_size=4)


@pytest.fixture(scope="module")
def classifier(net, graph):
    """A model and its signatures."""
    config = ClassifierConfig(features=net.features, units=(4,), classes=CLASSES, block_frames=6, block_stride=3)
    model = build_classifier(config, seed=4)
    return model, serve(model, FinetuneConfig(config), graph).concrete_signatures()


def percepts_of(net, images):
    """(T, D) of a clip as `build-shards percepts` and `classify` make them."""
    stages = Stages(ClipsConfig(size=STORED), PerceptsConfig(backbone="net.keras", batch_size=4), "")
    return Perception(stages, net).extract_clip(images, STORED)


def probabilities_of(model, percepts):
    starts = range(0, max(len(percepts) - 6, 0) + 1, 3)
    return np.mean([np.asarray(model({"frames": percepts[None, at : at + 6]}))[0].mean(0) for at in starts], axis=0)


def clips_of(*lengths):
    """(B, T) JPEGs, "" behind the shorter clips."""
    images = [jpeg(each) for each in soft_frames(sum(lengths))]
    rows = [[images.pop() if at < length else b"" for at in range(max(lengths))] for length in lengths]
    return np.array(rows, object)


@pytest.mark.parametrize("kind", [".jpg", ".png"])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_decoded_and_cut_as_in_a_build(kind, channels):
    frame = soft_frames(1, 37, 53)[0]
    data = jpeg(frame if channels == 3 else frame[..., :1], kind)
    seen = GraphPerception(lambda images: tf.reshape(tf.cast(images, tf.float32), (-1, 588)), SIDE, 588)
    expected = crop_centre(decode_image(data, (37, 53), 3, "frame 0"), SIDE)
    received = seen.see(tf.constant([data]))[0].numpy().reshape(SIDE, SIDE, 3)
    np.testing.assert_array_equal(received, expected)


@pytest.mark.parametrize("size", [STORED, 20])
def test_frames_of_another_size_are_scaled_to_that_of_the_shards(size):
    frame = soft_frames(1, 64, 90)[0]
    seen = GraphPerception(lambda images: tf.reshape(tf.cast(images, tf.float32), (-1, 588)), SIDE, 588, size=size)
    received = seen.see(tf.constant([jpeg(frame, ".png")]))[0].numpy().reshape(SIDE, SIDE, 3)
    expected = crop_centre(resize_frame(frame, size), SIDE).numpy()
    assert np.abs(received - expected).max() <= 1


@pytest.mark.parametrize("lengths", [(1,), (16, 3, 1, 9, 2, 5, 4)], ids=str)
def test_clips_are_classified_as_from_shards(classifier, net, lengths):
    model, signatures = classifier
    clips = clips_of(*lengths)
    expected = [
        probabilities_of(model, percepts_of(net, row[:length].tolist()))
        for row, length in zip(clips, lengths, strict=True)
    ]
    answer = signatures["classify_frames"](images=tf.constant(clips))
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    records = [
        encode_clip(Clip(row[:n].tolist(), list(range(n)), *STORED, 20.0, "v"))
        for row, n in zip(clips, lengths, strict=True)
    ]
    answer = signatures["classify_sequence_example"](examples=tf.constant(records))
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)


def test_frames_one_by_one_equal_their_percepts(classifier, net):
    model, signatures = classifier
    clips = clips_of(9, 9)
    expected = np.asarray(model({"frames": np.stack([percepts_of(net, row.tolist()) for row in clips])}))
    state = signatures["initial_state"](streams=tf.constant([0, 0]))["state"]
    for step in range(9):
        answer = signatures["step_frame"](image=tf.constant(clips[:, step]), state=state)
        state = answer["state"]
        np.testing.assert_allclose(answer["probabilities"], expected[:, step], atol=1e-5)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ([[b"a letter to my aunt"]], "image"),
        ([[clips_of(1)[0, 0][:200]]], "JPEG"),
        ([[b""]], "at least one frame"),
        ([[b"", clips_of(1)[0, 0]]], "expected empty strings behind"),
    ],
)
def test_a_bad_clip_is_told_what_is_wrong_and_the_next_one_answered(classifier, images, words):
    _, signatures = classifier
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        signatures["classify_frames"](images=tf.constant(images))
    answer = signatures["classify_frames"](images=tf.constant(clips_of(2)))
    assert np.isfinite(answer["probabilities"]).all()


def test_no_clips_have_no_answers(classifier):
    answer = classifier[1]["classify_frames"](images=tf.zeros((0, 3), tf.string))
    assert answer["probabilities"].shape == (0, len(CLASSES))


def test_a_stream_of_frames_takes_clips_too(tmp_path):
    images = keras.Input((SIDE, SIDE, 3))
    fc6 = keras.layers.GlobalAveragePooling2D(name="fc6")(keras.layers.Rescaling(1 / 64)(images))
    model = keras.Model(images, keras.layers.Dense(2, "softmax")(fc6))
    run = create_run(tmp_path / "run", StreamConfig(StreamModelConfig("rgb", 1, ("up", "down"))))
    served = serve(model, run.config, open_perception(run, model)[0])
    clips = clips_of(3, 2)
    answer = served.concrete_signatures()["classify_frames"](images=tf.constant(clips))
    frames = [[crop_centre(decode_image(each, STORED, 3, ""), SIDE) for each in row if each] for row in clips]
    expected = [np.mean(model(np.stack(each).astype("float32")), axis=0) for each in frames]
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)


def test_a_run_finds_its_convnet_or_goes_without(live_chain, tmp_path):
    perception, reason = open_perception(load_run(live_chain / "rgb"), None)
    assert perception.side == SIDE and not reason
    for name, words in (("flow", "optical flow"), ("pixels", "on percepts")):
        assert words in str(export(live_chain / name, tmp_path / name, check=False)["left_out"])
    with pytest.raises(BackboneError, match=r"motion\.keras"):
        open_perception(load_run(live_chain / "rgb"), None, [str(live_chain / "motion.keras")])
