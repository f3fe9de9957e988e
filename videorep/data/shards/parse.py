"""How TensorFlow parses the records that `encode` makes; tfrecords/README.md is the contract in words."""

import tensorflow as tf
from google.protobuf.message import DecodeError

from videorep.data.shards import keys

_FRAME_LABELS = tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True)
_LABEL_FEATURES = {
    keys.DATA_PATH: tf.io.FixedLenFeature([], tf.string),
    keys.LABEL_INDEX: tf.io.FixedLenFeature([], tf.int64, keys.NO_LABEL),
    keys.LABEL_TEXT: tf.io.FixedLenFeature([], tf.string, ""),
}
_CLIP_CONTEXT = _LABEL_FEATURES | {
    keys.IMAGE_HEIGHT: tf.io.FixedLenFeature([], tf.int64),
    keys.IMAGE_WIDTH: tf.io.FixedLenFeature([], tf.int64),
    keys.IMAGE_CHANNELS: tf.io.FixedLenFeature([], tf.int64),
    keys.IMAGE_FRAME_RATE: tf.io.FixedLenFeature([], tf.float32),
}
_CLIP_SEQUENCE = {
    keys.IMAGE_ENCODED: tf.io.FixedLenSequenceFeature([], tf.string),
    keys.IMAGE_TIMESTAMP: tf.io.FixedLenSequenceFeature([], tf.int64),
    keys.IMAGE_LABEL_INDEX: _FRAME_LABELS,
}
_PERCEPT_FEATURES = _LABEL_FEATURES | {
    keys.PERCEPT_ARRAY: tf.io.FixedLenFeature([], tf.string),
    keys.PERCEPT_SHAPE: tf.io.FixedLenFeature([2], tf.int64),
    keys.PERCEPT_FRAME_RATE: tf.io.FixedLenFeature([], tf.float32),
    keys.PERCEPT_START: tf.io.FixedLenFeature([], tf.float32),
    keys.PERCEPT_LABEL_INDEX: _FRAME_LABELS,
}


def _parsed_label(context):
    return {
        "path": context[keys.DATA_PATH],
        "label_index": tf.cast(context[keys.LABEL_INDEX], tf.int32),
        "label_text": context[keys.LABEL_TEXT],
    }


def parse_clip(serialized):
    """Parses one clip into tensors, images still encoded.

    Returns:
        "images" (T,) string, "timestamps" (T,) int64 microseconds, "path", "label_index" int32 (-1: none),
        "label_text", "height", "width", "channels" int32, "frame_rate" float32, "frame_labels" (T,) int32, or (0,)
        where frames have no labels of their own.
    """
    context, sequence = tf.io.parse_single_sequence_example(serialized, _CLIP_CONTEXT, _CLIP_SEQUENCE)
    return _parsed_label(context) | {
        "images": sequence[keys.IMAGE_ENCODED],
        "timestamps": sequence[keys.IMAGE_TIMESTAMP],
        "height": tf.cast(context[keys.IMAGE_HEIGHT], tf.int32),
        "width": tf.cast(context[keys.IMAGE_WIDTH], tf.int32),
        "channels": tf.cast(context[keys.IMAGE_CHANNELS], tf.int32),
        "frame_rate": context[keys.IMAGE_FRAME_RATE],
        "frame_labels": tf.cast(sequence[keys.IMAGE_LABEL_INDEX], tf.int32),
    }


def read_images(serialized, places, frames):
    """Encoded images at `places` of a serialized clip of so many `frames`, and the size that it states.

    Returns:
        [bytes per place], (height, width).
    Raises:
        ValueError: it is no such clip; says what it is.
    """
    try:
        clip = tf.train.SequenceExample.FromString(serialized)
        size = tuple(clip.context.feature[key].int64_list.value[0] for key in (keys.IMAGE_HEIGHT, keys.IMAGE_WIDTH))
        features = clip.feature_lists.feature_list[keys.IMAGE_ENCODED].feature
        if len(features) != frames:
            raise ValueError(f"{len(features)} frames")
        return [features[place].bytes_list.value[0] for place in places], size
    except (DecodeError, IndexError) as error:
        raise ValueError("what is no clip") from error


def parse_percept(serialized):
    """Parses one percept, its array still raw bytes.

    Returns:
        "array" string, "path", "label_index" int32 (-1: none), "label_text", "frame_rate", "start" float32,
        "frame_labels" as of a clip.
    """
    parsed = tf.io.parse_single_example(serialized, _PERCEPT_FEATURES)
    return _parsed_label(parsed) | {
        "array": parsed[keys.PERCEPT_ARRAY],
        "frame_rate": parsed[keys.PERCEPT_FRAME_RATE],
        "start": parsed[keys.PERCEPT_START],
        "frame_labels": tf.cast(parsed[keys.PERCEPT_LABEL_INDEX], tf.int32),
    }
