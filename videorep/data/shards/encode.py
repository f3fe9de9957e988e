"""How clips and percepts are serialized; tfrecords/README.md is the contract in words. `parse` parses them."""

import gzip

import numpy as np

from videorep.config import COMPRESSIONS, DTYPES
from videorep.data.shards import keys
from videorep.data.shards.records import FORMATS
from videorep.data.shards.wire import bytes_feature, example_bytes, floats_feature, ints_feature, sequence_example_bytes
from videorep.errors import ShardError

GZIP_LEVEL = 4


def _text(value):
    """A feature of one string; file names that are not Unicode keep their bytes."""
    return bytes_feature(value.encode("utf-8", "surrogateescape"))


def _label_features(record):
    features = {keys.DATA_PATH: _text(record.path)}
    if record.label_index is not None:
        features[keys.LABEL_INDEX] = ints_feature(record.label_index)
        features[keys.LABEL_TEXT] = features[keys.LABEL_STRING] = _text(record.label_text or "")
    return features


def _frame_labels(record):
    """The record's labels of frames; none where it has no such."""
    labels = record.frame_labels or []
    if len(labels) not in (0, record.frames):
        raise ShardError(
            f"expected a label for each of the {record.frames} frames of {record.path!r}, received {len(labels)}"
        )
    return labels


def encode_clip(clip):
    """Serializes a `Clip` as a SequenceExample with MediaPipe's keys; an unlabelled clip carries no label keys.

    Raises:
        ShardError: the clip has no frames, an unknown format, or not one timestamp, or label, per frame.
    """
    if clip.format not in FORMATS:
        raise ShardError(f"expected a clip's format to be one of {', '.join(FORMATS)}, received {clip.format!r}")
    if not clip.images or len(clip.images) != len(clip.timestamps):
        raise ShardError(
            f"expected at least one frame and a timestamp for each in clip {clip.path!r}, "
            f"received {len(clip.images)} frames and {len(clip.timestamps)} timestamps"
        )
    context = _label_features(clip) | {
        keys.IMAGE_FORMAT: _text(clip.format.upper()),
        keys.IMAGE_HEIGHT: ints_feature(clip.height),
        keys.IMAGE_WIDTH: ints_feature(clip.width),
        keys.IMAGE_CHANNELS: ints_feature(clip.channels),
        keys.IMAGE_FRAME_RATE: floats_feature(clip.frame_rate),
    }
    sequence = {
        keys.IMAGE_ENCODED: [bytes_feature(image) for image in clip.images],
        keys.IMAGE_TIMESTAMP: [ints_feature(time) for time in clip.timestamps],
    }
    if labels := _frame_labels(clip):
        sequence[keys.IMAGE_LABEL_INDEX] = [ints_feature(label) for label in labels]
    return sequence_example_bytes(context, sequence)


def _raw_bytes(percept):
    """The bytes under keys.PERCEPT_ARRAY: row-major, little-endian, compressed if the percept says so."""
    array = np.asarray(percept.array)
    raw = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return gzip.compress(raw, GZIP_LEVEL, mtime=0) if percept.compression == "gzip" else raw


def encode_percept(percept):
    """Serializes a `Percept` as an Example.

    Raises:
        ShardError: the array is not (T, D) with T >= 1, of a dtype that the format lacks, or holds NaN or infinity;
            or not one label per frame.
    """
    array = percept.array
    if array.ndim != 2 or array.shape[0] < 1 or array.dtype.name not in DTYPES:
        raise ShardError(
            f"expected a (T, D) array of {' or '.join(DTYPES)} with T >= 1 for percept {percept.path!r}, "
            f"received shape {array.shape} of {array.dtype}"
        )
    if percept.compression not in COMPRESSIONS:
        raise ShardError(f"expected a percept's compression to be '' or 'gzip', received {percept.compression!r}")
    if not np.isfinite(array).all():
        raise ShardError(f"expected finite numbers in percept {percept.path!r}, received NaN or infinity")
    features = _label_features(percept) | {
        keys.PERCEPT_ARRAY: bytes_feature(_raw_bytes(percept)),
        keys.PERCEPT_SHAPE: ints_feature(*array.shape),
        keys.PERCEPT_DTYPE: _text(array.dtype.name),
        keys.PERCEPT_COMPRESSION: _text(percept.compression),
        keys.PERCEPT_FRAME_RATE: floats_feature(percept.frame_rate),
        keys.PERCEPT_START: floats_feature(percept.start),
    }
    if labels := _frame_labels(percept):
        features[keys.PERCEPT_LABEL_INDEX] = ints_feature(*labels)
    return example_bytes(features)


def locate_payload(serialized):
    """Where in a serialized percept its array's bytes begin, so that a reader can fetch some frames only."""
    key = keys.PERCEPT_ARRAY.encode()
    entry = b"\n" + bytes([len(key)]) + key
    position = serialized.index(entry) + len(entry)
    for _ in range(3):  # the feature, its list and its value: each a tag byte and a length of 7 bits per byte
        position += 1
        while serialized[position] & 0x80:
            position += 1
        position += 1
    return position
