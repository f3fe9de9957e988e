"""The records' keys and how they are encoded and parsed: the one module that knows them.

Clips are SequenceExamples with the keys of MediaPipe's media_sequence and of DMVR; percepts are Examples whose
array is raw little-endian bytes. tfrecords/README.md is the contract in words.
"""

import gzip

import numpy as np
import tensorflow as tf

from videorep.data.dataset import SCHEMA_VERSION
from videorep.data.records import COMPRESSIONS, DTYPES, FORMATS
from videorep.errors import ShardError

GZIP_LEVEL = 4

DATA_PATH = "clip/data_path"
LABEL_INDEX = "clip/label/index"
LABEL_TEXT = "clip/label/text"
LABEL_STRING = "clip/label/string"
IMAGE_ENCODED = "image/encoded"
IMAGE_TIMESTAMP = "image/timestamp"
IMAGE_FORMAT = "image/format"
IMAGE_HEIGHT = "image/height"
IMAGE_WIDTH = "image/width"
IMAGE_CHANNELS = "image/channels"
IMAGE_FRAME_RATE = "image/frame_rate"
PERCEPT_ARRAY = "percept/array"
PERCEPT_SHAPE = "percept/shape"
PERCEPT_DTYPE = "percept/dtype"
PERCEPT_COMPRESSION = "percept/compression"
PERCEPT_FRAME_RATE = "percept/frame_rate"
PERCEPT_START = "percept/start"

NO_LABEL = -1
__all__ = [
    "SCHEMA_VERSION",
    "decode_images",
    "encode_clip",
    "encode_percept",
    "extract_images",
    "locate_payload",
    "parse_clip",
    "parse_percept",
]

_LABEL_FEATURES = {
    DATA_PATH: tf.io.FixedLenFeature([], tf.string),
    LABEL_INDEX: tf.io.FixedLenFeature([], tf.int64, NO_LABEL),
    LABEL_TEXT: tf.io.FixedLenFeature([], tf.string, ""),
}
_CLIP_CONTEXT = _LABEL_FEATURES | {
    IMAGE_HEIGHT: tf.io.FixedLenFeature([], tf.int64),
    IMAGE_WIDTH: tf.io.FixedLenFeature([], tf.int64),
    IMAGE_CHANNELS: tf.io.FixedLenFeature([], tf.int64),
    IMAGE_FRAME_RATE: tf.io.FixedLenFeature([], tf.float32),
}
_CLIP_SEQUENCE = {
    IMAGE_ENCODED: tf.io.FixedLenSequenceFeature([], tf.string),
    IMAGE_TIMESTAMP: tf.io.FixedLenSequenceFeature([], tf.int64),
}
_PERCEPT_FEATURES = _LABEL_FEATURES | {
    PERCEPT_ARRAY: tf.io.FixedLenFeature([], tf.string),
    PERCEPT_SHAPE: tf.io.FixedLenFeature([2], tf.int64),
    PERCEPT_FRAME_RATE: tf.io.FixedLenFeature([], tf.float32),
    PERCEPT_START: tf.io.FixedLenFeature([], tf.float32),
}


def _bytes(*values):
    encoded = [value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value for value in values]
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded))


def _ints(*values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _floats(*values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def _label_features(record):
    features = {DATA_PATH: _bytes(record.path)}
    if record.label_index is not None:
        features[LABEL_INDEX] = _ints(record.label_index)
        features[LABEL_TEXT] = features[LABEL_STRING] = _bytes(record.label_text or "")
    return features


def encode_clip(clip):
    """Serializes a `Clip` as a SequenceExample with MediaPipe's keys; an unlabelled clip carries no label keys.

    Raises:
        ShardError: the clip has no frames, an unknown format, or not one timestamp per frame.
    """
    if clip.format not in FORMATS:
        raise ShardError(f"expected a clip's format to be one of {', '.join(FORMATS)}, received {clip.format!r}")
    if not clip.images or len(clip.images) != len(clip.timestamps):
        raise ShardError(
            f"expected at least one frame and a timestamp for each in clip {clip.path!r}, "
            f"received {len(clip.images)} frames and {len(clip.timestamps)} timestamps"
        )
    context = _label_features(clip) | {
        IMAGE_FORMAT: _bytes(clip.format.upper()),
        IMAGE_HEIGHT: _ints(clip.height),
        IMAGE_WIDTH: _ints(clip.width),
        IMAGE_CHANNELS: _ints(clip.channels),
        IMAGE_FRAME_RATE: _floats(clip.frame_rate),
    }
    sequence = {
        IMAGE_ENCODED: tf.train.FeatureList(feature=[_bytes(image) for image in clip.images]),
        IMAGE_TIMESTAMP: tf.train.FeatureList(feature=[_ints(time) for time in clip.timestamps]),
    }
    example = tf.train.SequenceExample(
        context=tf.train.Features(feature=context), feature_lists=tf.train.FeatureLists(feature_list=sequence)
    )
    return example.SerializeToString(deterministic=True)


def _percept_bytes(percept):
    """The bytes under PERCEPT_ARRAY: row-major, little-endian, compressed if the percept says so."""
    array = np.asarray(percept.array)
    raw = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return gzip.compress(raw, GZIP_LEVEL, mtime=0) if percept.compression == "gzip" else raw


def encode_percept(percept):
    """Serializes a `Percept` as an Example.

    Raises:
        ShardError: the array is not (T, D) with T >= 1, or of a dtype that the format lacks.
    """
    array = percept.array
    if array.ndim != 2 or array.shape[0] < 1 or array.dtype.name not in DTYPES:
        raise ShardError(
            f"expected a (T, D) array of {' or '.join(DTYPES)} with T >= 1 for percept {percept.path!r}, "
            f"received shape {array.shape} of {array.dtype}"
        )
    if percept.compression not in COMPRESSIONS:
        raise ShardError(f"expected a percept's compression to be '' or 'gzip', received {percept.compression!r}")
    features = _label_features(percept) | {
        PERCEPT_ARRAY: _bytes(_percept_bytes(percept)),
        PERCEPT_SHAPE: _ints(*array.shape),
        PERCEPT_DTYPE: _bytes(array.dtype.name),
        PERCEPT_COMPRESSION: _bytes(percept.compression),
        PERCEPT_FRAME_RATE: _floats(percept.frame_rate),
        PERCEPT_START: _floats(percept.start),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)


def locate_payload(serialized):
    """Where in a serialized percept its array's bytes begin, so that a reader can fetch some frames only."""
    key = PERCEPT_ARRAY.encode()
    entry = b"\n" + bytes([len(key)]) + key
    position = serialized.index(entry) + len(entry)
    for _ in range(3):  # the feature, its list and its value: each a tag byte and a length of 7 bits per byte
        position += 1
        while serialized[position] & 0x80:
            position += 1
        position += 1
    return position


def _parsed_label(context):
    return {
        "path": context[DATA_PATH],
        "label_index": tf.cast(context[LABEL_INDEX], tf.int32),
        "label_text": context[LABEL_TEXT],
    }


def parse_clip(serialized):
    """Parses one clip into tensors, images still encoded.

    Returns:
        "images" (T,) string, "timestamps" (T,) int64 microseconds, "path", "label_index" int32 (-1: none),
        "label_text", "height", "width", "channels" int32, "frame_rate" float32.
    """
    context, sequence = tf.io.parse_single_sequence_example(serialized, _CLIP_CONTEXT, _CLIP_SEQUENCE)
    return _parsed_label(context) | {
        "images": sequence[IMAGE_ENCODED],
        "timestamps": sequence[IMAGE_TIMESTAMP],
        "height": tf.cast(context[IMAGE_HEIGHT], tf.int32),
        "width": tf.cast(context[IMAGE_WIDTH], tf.int32),
        "channels": tf.cast(context[IMAGE_CHANNELS], tf.int32),
        "frame_rate": context[IMAGE_FRAME_RATE],
    }


def extract_images(serialized, start, count):
    """The encoded images `start` to `start + count - 1` of a serialized clip, fewer at its end: list of bytes."""
    lists = tf.train.SequenceExample.FromString(serialized).feature_lists.feature_list
    return [feature.bytes_list.value[0] for feature in lists[IMAGE_ENCODED].feature[start : start + count]]


def decode_images(images, channels=3):
    """Decodes (T,) JPEG or PNG strings of one size into (T, H, W, channels) uint8, bit for bit as OpenCV does.

    With `channels=1` a colour JPEG gives its own luminance plane: Y of YCbCr.
    """

    def decode(image):
        return tf.io.decode_jpeg(image, channels=channels, dct_method="INTEGER_ACCURATE")  # reads PNG as well

    return tf.map_fn(decode, images, fn_output_signature=tf.TensorSpec([None, None, channels], tf.uint8))


def parse_percept(serialized, features, dtype, compression=""):
    """Parses one percept.

    Args:
        serialized: Scalar string tensor.
        features: D, from dataset.json, as are `dtype` and `compression`.
    Returns:
        "frames" (T, D) of `dtype`, "path", "label_index" int32 (-1: none), "label_text", "frame_rate", "start" float32.
    """
    parsed = tf.io.parse_single_example(serialized, _PERCEPT_FEATURES)
    raw = parsed[PERCEPT_ARRAY]
    if compression:
        raw = tf.io.decode_compressed(raw, compression.upper())
    frames = tf.reshape(tf.io.decode_raw(raw, dtype, little_endian=True), [-1, features])
    return _parsed_label(parsed) | {
        "frames": frames,
        "frame_rate": parsed[PERCEPT_FRAME_RATE],
        "start": parsed[PERCEPT_START],
    }
