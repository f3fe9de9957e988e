"""Whether one record keeps the schema and agrees with dataset.json."""

import itertools

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from videorep.data.shards import keys
from videorep.data.shards.dataset import MANIFEST
from videorep.data.shards.images import decode_image
from videorep.data.shards.manifest_schema import HEADER_BYTES
from videorep.data.shards.record_reader import inflate
from videorep.errors import ShardError

IMAGE_BEGINNINGS = {b"JPEG": b"\xff\xd8", b"PNG": b"\x89PNG"}


def find_faults(serialized, dataset, entry, decode=False):
    """What is wrong with a serialized record of a dataset, in phrases; with `decode` of its images or array too.

    `entry` is what dataset.json says of it: offset, frames, label (-1: none) and, for percepts, payload.
    """
    message = tf.train.SequenceExample if dataset.kind == "clips" else tf.train.Example
    offset, frames, label, *payload = entry
    try:
        record = message.FromString(serialized)
        if dataset.kind == "clips":
            context, faults = record.context, _clip_faults(record, dataset, frames, decode)
            steps = record.feature_lists.feature_list[keys.IMAGE_LABEL_INDEX].feature
            of_frames = [step.int64_list.value[:] for step in steps]
        else:
            place = payload[0] - offset - HEADER_BYTES
            context, faults = record.features, _percept_faults(record, dataset, frames, serialized[place:], decode)
            of_frames = [[value] for value in _values(context, keys.PERCEPT_LABEL_INDEX, "int64")]
        return faults + _label_faults(context, dataset, label) + _frame_label_faults(of_frames, dataset, frames)
    except DecodeError:
        return [f"does not keep the schema: not a {message.__name__}"]
    except KeyError as error:
        return [f"does not keep the schema: expected {error.args[0]}"]


def _values(features, key, kind, count=None):
    """The values under a key, of "bytes", "int64" or "float"; KeyError where there are not `count`."""
    feature = features.feature.get(key)
    held = feature.WhichOneof("kind") if feature is not None else None
    if held not in (None, f"{kind}_list"):
        raise KeyError(f"{kind} under {key}, received {held}")
    values = list(getattr(feature, held).value) if held else []
    if count is not None and len(values) != count:
        raise KeyError(f"{count} under {key}, received {len(values)}")
    return values


def _clip_faults(example, dataset, frames, decode):
    faults, lists = [], example.feature_lists.feature_list
    (encoding,) = _values(example.context, keys.IMAGE_FORMAT, "bytes", 1)
    _values(example.context, keys.IMAGE_FRAME_RATE, "float", 1)
    stated = {}
    for key in (keys.IMAGE_HEIGHT, keys.IMAGE_WIDTH, keys.IMAGE_CHANNELS):
        name = key.removeprefix("image/")
        (stated[name],) = _values(example.context, key, "int64", 1)
        if getattr(dataset, name) not in (None, stated[name]):
            faults.append(f"{key} {stated[name]} where {MANIFEST} says {getattr(dataset, name)}")
    images = [feature.bytes_list.value[:] for feature in lists[keys.IMAGE_ENCODED].feature]
    times = [feature.int64_list.value[:] for feature in lists[keys.IMAGE_TIMESTAMP].feature]
    if len(images) != frames or len(times) != frames:
        faults.append(f"{len(images)} frames and {len(times)} timestamps where {MANIFEST} says {frames}")
    if any(len(time) != 1 for time in times) or any(a >= b for a, b in itertools.pairwise(times)):
        faults.append("timestamps that do not rise frame by frame")
    beginning = IMAGE_BEGINNINGS.get(encoding)
    if beginning is None or any(len(image) != 1 or not image[0].startswith(beginning) for image in images):
        faults.append(f"an image that is not {encoding.decode(errors='replace')}")
    elif decode:
        faults += _image_faults([image for (image,) in images], (stated["height"], stated["width"]))
    return faults


def _image_faults(images, size):
    for number, image in enumerate(images):
        try:
            decode_image(image, size, 3, f"frame {number}")
        except ShardError as error:
            yield f"frame {number}: {error}"


def _percept_faults(example, dataset, frames, located, decode):
    (payload,) = _values(example.features, keys.PERCEPT_ARRAY, "bytes", 1)
    shape = _values(example.features, keys.PERCEPT_SHAPE, "int64", 2)
    for key in (keys.PERCEPT_FRAME_RATE, keys.PERCEPT_START):
        _values(example.features, key, "float", 1)
    faults = []
    for key, stated in (
        (keys.PERCEPT_DTYPE, dataset.dtype),
        (keys.PERCEPT_COMPRESSION, dataset.compression),
    ):
        (value,) = _values(example.features, key, "bytes", 1)
        if value.decode(errors="replace") != stated:
            faults.append(f"{key} {value!r} where {MANIFEST} says {stated!r}")
    if shape != [frames, dataset.features]:
        faults.append(f"shape {shape}, {MANIFEST} says {frames} frames of {dataset.features} features")
    if not located.startswith(payload):
        faults.append(f"an array that does not lie where {MANIFEST} says")
    if faults or (dataset.compression and not decode):
        return faults
    expected = frames * dataset.features * np.dtype(dataset.dtype).itemsize
    try:
        raw = inflate(payload, 0, expected) if dataset.compression else payload
    except ValueError as error:
        return [f"{error} where its shape asks for {expected:,} bytes"]
    if len(raw) != expected:
        return [f"{len(raw):,} bytes of frames where its shape asks for {expected:,}"]
    values = np.frombuffer(raw, np.dtype(dataset.dtype).newbyteorder("<")).reshape(shape)
    broken = np.flatnonzero(~np.isfinite(values).all(axis=1))
    return [f"values that are not finite (NaN or infinity) in frame {broken[0]}"] if len(broken) else []


def _label_faults(context, dataset, label):
    _values(context, keys.DATA_PATH, "bytes", 1)
    found = _values(context, keys.LABEL_INDEX, "int64") or [keys.NO_LABEL]
    if found != [label]:
        return [f"label {', '.join(map(str, found))} where {MANIFEST} says {label}"]
    if label == keys.NO_LABEL:
        return []
    if not 0 <= label < len(dataset.labels):
        return [f"label {label} outside 0 to {len(dataset.labels) - 1}"]
    name = dataset.labels[label]
    texts = {text for key in (keys.LABEL_TEXT, keys.LABEL_STRING) for text in _values(context, key, "bytes", 1)}
    if texts != {name.encode("utf-8", "surrogateescape")}:
        return [f"label {label} is called {min(texts)!r} where {MANIFEST} says {name!r}"]
    return []


def _frame_label_faults(labels, dataset, frames):
    """What is wrong with a record's list of labels for each frame, which may be absent."""
    if labels and len(labels) != frames:
        return [f"{len(labels)} labels of frames where {MANIFEST} says {frames} frames"]
    for number, values in enumerate(labels):
        if len(values) != 1 or not 0 <= values[0] < len(dataset.labels):
            return [f"label {', '.join(map(str, values))} of frame {number} outside 0 to {len(dataset.labels) - 1}"]
    return []
