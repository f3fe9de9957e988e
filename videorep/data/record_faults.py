"""Whether one record keeps the schema and agrees with dataset.json."""

import itertools
import math

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from videorep.data import serialization
from videorep.data.dataset import MANIFEST

IMAGE_BEGINNINGS = {b"JPEG": b"\xff\xd8", b"PNG": b"\x89PNG"}


def find_faults(serialized, dataset, frames, label):
    """What is wrong with a record.

    Args:
        serialized: The record's bytes.
        dataset: `Dataset` that it belongs to.
        frames, label: What dataset.json says of it; label -1: none.
    Returns:
        Phrases, none if nothing is wrong.
    """
    message = tf.train.SequenceExample if dataset.kind == "clips" else tf.train.Example
    try:
        record = message.FromString(serialized)
        context = record.context if dataset.kind == "clips" else record.features
        faults = (_clip_faults if dataset.kind == "clips" else _percept_faults)(record, dataset, frames)
        return faults + _label_faults(context, dataset, label)
    except DecodeError:
        return [f"does not keep the schema: not a {message.__name__}"]
    except KeyError as error:
        return [f"does not keep the schema: expected {error.args[0]}"]


def _values(features, key, count=None):
    """The values under a key; KeyError where there are not `count`."""
    feature = features.feature.get(key)
    kind = feature.WhichOneof("kind") if feature is not None else None
    values = list(getattr(feature, kind).value) if kind else []
    if count is not None and len(values) != count:
        raise KeyError(f"{count} under {key}, received {len(values)}")
    return values


def _clip_faults(example, dataset, frames):
    faults, lists = [], example.feature_lists.feature_list
    (encoding,) = _values(example.context, serialization.IMAGE_FORMAT, 1)
    _values(example.context, serialization.IMAGE_FRAME_RATE, 1)
    for key in (serialization.IMAGE_HEIGHT, serialization.IMAGE_WIDTH, serialization.IMAGE_CHANNELS):
        (value,) = _values(example.context, key, 1)
        stated = getattr(dataset, key.removeprefix("image/"))
        if stated not in (None, value):
            faults.append(f"{key} {value} where {MANIFEST} says {stated}")
    images = [feature.bytes_list.value[:] for feature in lists[serialization.IMAGE_ENCODED].feature]
    times = [feature.int64_list.value[:] for feature in lists[serialization.IMAGE_TIMESTAMP].feature]
    if len(images) != frames or len(times) != frames:
        faults.append(f"{len(images)} frames and {len(times)} timestamps where {MANIFEST} says {frames}")
    if any(len(time) != 1 for time in times) or any(a >= b for a, b in itertools.pairwise(times)):
        faults.append("timestamps that do not rise frame by frame")
    beginning = IMAGE_BEGINNINGS.get(encoding)
    if beginning is None or any(len(image) != 1 or not image[0].startswith(beginning) for image in images):
        faults.append(f"an image that is not {encoding.decode(errors='replace')}")
    return faults


def _percept_faults(example, dataset, frames):
    (payload,) = _values(example.features, serialization.PERCEPT_ARRAY, 1)
    shape = _values(example.features, serialization.PERCEPT_SHAPE, 2)
    for key in (serialization.PERCEPT_FRAME_RATE, serialization.PERCEPT_START):
        _values(example.features, key, 1)
    faults = []
    for key, stated in (
        (serialization.PERCEPT_DTYPE, dataset.dtype),
        (serialization.PERCEPT_COMPRESSION, dataset.compression),
    ):
        (value,) = _values(example.features, key, 1)
        if value.decode(errors="replace") != stated:
            faults.append(f"{key} {value!r} where {MANIFEST} says {stated!r}")
    if shape != [frames, dataset.features]:
        faults.append(f"shape {shape}, {MANIFEST} says {frames} frames of {dataset.features} features")
    expected = math.prod(shape) * np.dtype(dataset.dtype).itemsize
    if not dataset.compression and len(payload) != expected:
        faults.append(f"{len(payload):,} bytes of frames where its shape asks for {expected:,}")
    return faults


def _label_faults(context, dataset, label):
    _values(context, serialization.DATA_PATH, 1)
    found = _values(context, serialization.LABEL_INDEX) or [serialization.NO_LABEL]
    if found != [label]:
        return [f"label {', '.join(map(str, found))} where {MANIFEST} says {label}"]
    if label == serialization.NO_LABEL:
        return []
    if not 0 <= label < len(dataset.labels):
        return [f"label {label} outside 0 to {len(dataset.labels) - 1}"]
    name = dataset.labels[label]
    texts = {
        text for key in (serialization.LABEL_TEXT, serialization.LABEL_STRING) for text in _values(context, key, 1)
    }
    if texts != {name.encode("utf-8", "surrogateescape")}:
        return [f"label {label} is called {min(texts)!r} where {MANIFEST} says {name!r}"]
    return []
