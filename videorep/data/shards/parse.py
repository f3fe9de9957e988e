"""How TensorFlow parses the records that `encode` makes.

Clips are SequenceExamples with the keys of MediaPipe's media_sequence and of DMVR; percepts are Examples whose
array is raw little-endian bytes. tfrecords/README.md is the contract in words.
"""

import tensorflow as tf
from google.protobuf.message import DecodeError

from videorep.data.shards.keys import (
    DATA_PATH,
    IMAGE_CHANNELS,
    IMAGE_ENCODED,
    IMAGE_FRAME_RATE,
    IMAGE_HEIGHT,
    IMAGE_TIMESTAMP,
    IMAGE_WIDTH,
    LABEL_INDEX,
    LABEL_TEXT,
    NO_LABEL,
    PERCEPT_ARRAY,
    PERCEPT_FRAME_RATE,
    PERCEPT_SHAPE,
    PERCEPT_START,
)

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


def read_images(serialized, places, frames):
    """Encoded images of a serialized clip, and the size that it states.

    Args:
        places: Numbers of the images.
        frames: How many images the clip is to have.
    Returns:
        [bytes per place], (height, width).
    Raises:
        ValueError: it is no such clip; says what it is.
    """
    try:
        clip = tf.train.SequenceExample.FromString(serialized)
        size = tuple(clip.context.feature[key].int64_list.value[0] for key in (IMAGE_HEIGHT, IMAGE_WIDTH))
        features = clip.feature_lists.feature_list[IMAGE_ENCODED].feature
        if len(features) != frames:
            raise ValueError(f"{len(features)} frames")
        return [features[place].bytes_list.value[0] for place in places], size
    except (DecodeError, IndexError) as error:
        raise ValueError("what is no clip") from error


def parse_percept(serialized):
    """Parses one percept, its array still raw bytes.

    Args:
        serialized: Scalar string tensor.
    Returns:
        "array" string, "path", "label_index" int32 (-1: none), "label_text", "frame_rate", "start" float32.
    """
    parsed = tf.io.parse_single_example(serialized, _PERCEPT_FEATURES)
    return _parsed_label(parsed) | {
        "array": parsed[PERCEPT_ARRAY],
        "frame_rate": parsed[PERCEPT_FRAME_RATE],
        "start": parsed[PERCEPT_START],
    }
