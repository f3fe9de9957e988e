"""The records' encoding, read back by TensorFlow's own parsers with the published keys, without videorep's code."""

import cv2
import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from videorep.data.shards import encode, parse
from videorep.data.shards.images import decode_image
from videorep.data.shards.record_reader import inflate
from videorep.data.shards.records import Clip, Percept
from videorep.errors import ShardError

HEIGHT, WIDTH = 24, 32


def make_clip(frames=5, extension=".jpg", channels=3, **label):
    """A clip of smooth random pictures, and the pictures as OpenCV decodes them, RGB."""
    rng = np.random.default_rng(frames)
    shape = (HEIGHT, WIDTH, 3) if channels == 3 else (HEIGHT, WIDTH)
    pictures = [cv2.GaussianBlur(rng.integers(0, 256, shape, np.uint8), (7, 7), 2) for _ in range(frames)]
    images = [cv2.imencode(extension, picture)[1].tobytes() for picture in pictures]
    flag = cv2.IMREAD_COLOR if channels == 3 else cv2.IMREAD_GRAYSCALE
    decoded = np.stack([cv2.imdecode(np.frombuffer(image, np.uint8), flag) for image in images])
    decoded = decoded[..., ::-1] if channels == 3 else decoded[..., None]
    times = [40_000 * number for number in range(frames)]
    name = {".jpg": "jpeg", ".png": "png"}[extension]
    clip = Clip(images, times, HEIGHT, WIDTH, 25.0, "a/ü b.avi", format=name, channels=channels, **label)
    return clip, decoded


def test_tensorflow_reads_clips_with_mediapipes_published_keys():
    clips = [make_clip(frames, label_index=frames, label_text=f"class {frames}")[0] for frames in (5, 3)]
    context, sequence, lengths = tf.io.parse_sequence_example(
        [encode.encode_clip(clip) for clip in clips],
        context_features={
            "clip/data_path": tf.io.FixedLenFeature([], tf.string),
            "clip/label/index": tf.io.FixedLenFeature([], tf.int64),
            "clip/label/string": tf.io.FixedLenFeature([], tf.string),
            "clip/label/text": tf.io.FixedLenFeature([], tf.string),
            "image/format": tf.io.FixedLenFeature([], tf.string),
            "image/height": tf.io.FixedLenFeature([], tf.int64),
            "image/width": tf.io.FixedLenFeature([], tf.int64),
            "image/channels": tf.io.FixedLenFeature([], tf.int64),
            "image/frame_rate": tf.io.FixedLenFeature([], tf.float32),
        },
        sequence_features={
            "image/encoded": tf.io.FixedLenSequenceFeature([], tf.string),
            "image/timestamp": tf.io.FixedLenSequenceFeature([], tf.int64),
        },
    )
    assert lengths["image/encoded"].numpy().tolist() == lengths["image/timestamp"].numpy().tolist() == [5, 3]
    for row, clip in enumerate(clips):
        assert sequence["image/encoded"].numpy()[row, : clip.frames].tolist() == clip.images
        assert sequence["image/timestamp"].numpy()[row, : clip.frames].tolist() == clip.timestamps
        assert context["clip/data_path"].numpy()[row].decode() == clip.path
        assert context["clip/label/string"].numpy()[row] == context["clip/label/text"].numpy()[row]
        assert context["clip/label/text"].numpy()[row].decode() == clip.label_text
    assert context["clip/label/index"].numpy().tolist() == [5, 3]
    assert context["image/format"].numpy().tolist() == [b"JPEG", b"JPEG"]
    assert (context["image/height"].numpy() == HEIGHT).all() and (context["image/width"].numpy() == WIDTH).all()
    assert (context["image/channels"].numpy() == 3).all() and (context["image/frame_rate"].numpy() == 25).all()
    image = sequence["image/encoded"].numpy()[0, 0]
    assert tf.io.decode_jpeg(image).shape == (HEIGHT, WIDTH, 3)


def test_an_unlabelled_clip_carries_no_label_keys():
    example = tf.train.SequenceExample.FromString(encode.encode_clip(make_clip()[0]))
    assert not [key for key in example.context.feature if key.startswith("clip/label")]
    assert int(parse.parse_clip(example.SerializeToString())["label_index"]) == -1


@pytest.mark.parametrize(("extension", "channels"), [(".jpg", 3), (".png", 3), (".jpg", 1), (".png", 1)])
def test_decoded_images_equal_opencvs_and_tensorflows_bit_for_bit(extension, channels):
    clip, decoded = make_clip(4, extension, channels)
    parsed = parse.parse_clip(encode.encode_clip(clip))
    options = {"channels": channels, "dct_method": "INTEGER_ACCURATE"}
    for image, expected in zip(parsed["images"].numpy(), decoded, strict=True):
        received = decode_image(image, (HEIGHT, WIDTH), channels, "here")
        np.testing.assert_array_equal(received, expected)
        np.testing.assert_array_equal(received, tf.io.decode_jpeg(image, **options))


def test_grey_from_a_colour_jpeg_is_its_luminance():
    clip, _ = make_clip(2)
    grey = [cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_GRAYSCALE) for image in clip.images]
    received = [decode_image(image, (HEIGHT, WIDTH), 1, "here")[..., 0] for image in clip.images]
    np.testing.assert_array_equal(received, grey)


def test_parse_clip_gives_back_what_was_encoded():
    clip, _ = make_clip(label_index=2, label_text="wave")
    parsed = parse.parse_clip(encode.encode_clip(clip))
    assert parsed["images"].numpy().tolist() == clip.images
    assert parsed["timestamps"].numpy().tolist() == clip.timestamps
    plain = {key: parsed[key].numpy().item() for key in ("label_index", "height", "width", "channels", "frame_rate")}
    assert plain == {"label_index": 2, "height": HEIGHT, "width": WIDTH, "channels": 3, "frame_rate": 25.0}
    assert parsed["path"].numpy().decode() == clip.path and parsed["label_text"].numpy() == b"wave"
    assert parse.read_images(encode.encode_clip(clip), [3, 4], 5) == (clip.images[3:], (HEIGHT, WIDTH))


def test_a_path_that_is_not_utf8_survives():
    path = b"caf\xe9.avi".decode("utf-8", "surrogateescape")
    clip = Clip([b"\xff\xd8"], [0], 1, 1, 25.0, path)
    assert parse.parse_clip(encode.encode_clip(clip))["path"].numpy() == b"caf\xe9.avi"


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_percept_is_raw_little_endian_bytes_in_an_example(dtype):
    array = np.random.default_rng(0).normal(size=(7, 5)).astype(dtype)
    percept = Percept(array, "a.avi", 1, "wave", frame_rate=12.5, start=3.25)
    features = tf.train.Example.FromString(encode.encode_percept(percept)).features.feature
    raw = features["percept/array"].bytes_list.value[0]
    np.testing.assert_array_equal(np.frombuffer(raw, {"float16": "<f2", "float32": "<f4"}[dtype]).reshape(7, 5), array)
    assert list(features["percept/shape"].int64_list.value) == [7, 5]
    assert features["percept/dtype"].bytes_list.value[0].decode() == dtype
    assert features["percept/frame_rate"].float_list.value[0] == 12.5
    assert features["percept/start"].float_list.value[0] == 3.25
    assert features["clip/label/index"].int64_list.value[0] == 1


@pytest.mark.parametrize("compression", ["", "gzip"])
def test_parse_percept_gives_back_what_was_encoded(compression):
    array = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float16)
    encoded = encode.encode_percept(Percept(array, "a.avi", compression=compression))
    parsed = parse.parse_percept(encoded)
    raw = parsed["array"].numpy()
    raw = inflate(raw, 0, array.nbytes) if compression else raw
    np.testing.assert_array_equal(np.frombuffer(raw, "<f2").reshape(7, 5), array)
    assert int(parsed["label_index"]) == -1 and parsed["path"].numpy() == b"a.avi"


def test_big_endian_arrays_are_stored_little_endian():
    array = np.arange(6, dtype=">f4").reshape(2, 3)
    encoded = encode.encode_percept(Percept(array, "a"))
    raw = parse.parse_percept(encoded)["array"].numpy()
    np.testing.assert_array_equal(np.frombuffer(raw, "<f4").reshape(2, 3), array)


@hypothesis.settings(deadline=None, max_examples=40)
@hypothesis.given(st.integers(1, 400), st.integers(1, 60), st.text(max_size=40), st.booleans(), st.integers(0, 99))
def test_the_payload_is_where_locate_payload_says(frames, features, path, labelled, seed):
    array = np.random.default_rng(seed).normal(size=(frames, features)).astype(np.float32)
    path = path.encode("utf-8", "ignore").decode()
    label = {"label_index": seed, "label_text": path} if labelled else {}
    encoded = encode.encode_percept(Percept(array, path, **label))
    place = encode.locate_payload(encoded)
    assert encoded[place : place + array.nbytes] == array.astype("<f4").tobytes()


@pytest.mark.parametrize(
    "clip",
    [
        Clip([], [], 4, 4, 25.0, "empty.avi"),
        Clip([b"\xff\xd8"], [0, 1], 4, 4, 25.0, "times.avi"),
        Clip([b"\xff\xd8"], [0], 4, 4, 25.0, "format.avi", format="gif"),
    ],
)
def test_clips_that_the_format_cannot_hold_are_refused(clip):
    with pytest.raises(ShardError, match="expected"):
        encode.encode_clip(clip)


@pytest.mark.parametrize(
    "percept",
    [
        Percept(np.zeros((0, 4), np.float16), "empty"),
        Percept(np.zeros((2, 3, 4), np.float16), "images"),
        Percept(np.zeros((2, 4), np.float64), "double"),
        Percept(np.zeros((2, 4), np.float16), "packed", compression="zip"),
    ],
)
def test_percepts_that_the_format_cannot_hold_are_refused(percept):
    with pytest.raises(ShardError, match="expected"):
        encode.encode_percept(percept)
