"""One's own frames and features as records: `Clip`s and `Percept`s of dicts, kept on disk until all are there."""

import collections.abc
import dataclasses
import math
import tempfile

import cv2
import numpy as np

from videorep.data.shards.records import Clip, Percept
from videorep.errors import DataError

FRAME_RATE = 25.0


def to_record(record, path):
    """A `Clip` or `Percept` from whatever `write_shards` accepts, `path` where it names none.

    Returns:
        (the record without a label, its label: a name, a number or None), for `find_label`.
    Raises:
        DataError: it is none of them, or holds what cannot be written.
    """
    if isinstance(record, (Clip, Percept)):
        label = record.label_index if record.label_text is None else record.label_text
        made = dataclasses.replace(record, label_index=None, label_text=None)
    elif isinstance(record, collections.abc.Mapping) and "frames" in record:
        label, made = record.get("label"), _from_dict(record, path)
    else:
        raise DataError(
            f"expected a Clip, a Percept or a dict with 'frames', received {type(record).__name__} for {path}"
        )
    if isinstance(made, Percept) and not np.isfinite(made.array).all():
        raise DataError(f"expected finite features for {made.path}, received NaN or infinity; leave the record out")
    if made.frame_labels is not None:
        made = dataclasses.replace(made, frame_labels=_to_names(made, label))
    return made, label


def _to_names(made, label):
    """The labels of a record's frames as names and whole numbers."""
    labels = np.asarray(made.frame_labels, object)
    fits = labels.shape == (made.frames,) and all(isinstance(each, (str, int, np.integer)) for each in labels)
    if label is not None or not fits:
        raise DataError(
            f"expected 'frame_labels' of {made.path} to be {made.frames} names or numbers, one per frame, and no label "
            f"beside, received an array {labels.shape} with {list(labels.flat)[:1]} and label {label!r}"
        )
    return labels.tolist()


def _from_dict(record, path):
    path, rate, frames = record.get("path", path), record.get("frame_rate", FRAME_RATE), np.asarray(record["frames"])
    if not isinstance(path, str):
        raise DataError(f"expected 'path' to be a text, received {path!r}")
    if not isinstance(rate, (int, float, np.number)) or not 0 < rate < math.inf:
        raise DataError(f"expected 'frame_rate' of {path} to be a number greater than 0, received {rate!r}")
    common = {"path": path, "frame_rate": float(rate), "frame_labels": record.get("frame_labels")}
    if frames.ndim == 4 and frames.dtype == np.uint8 and frames.shape[3] in (1, 3) and frames.size:
        return _to_clip(frames, common)
    if frames.ndim == 2 and frames.dtype.kind == "f" and frames.size:
        with np.errstate(over="ignore"):
            return Percept(frames if frames.dtype == np.float16 else frames.astype(np.float32), **common)
    raise DataError(
        f"expected 'frames' to be (T, H, W, 3 or 1) uint8 or (T, D) float with T >= 1, received {frames.shape} "
        f"{frames.dtype} for {path}"
    )


def _to_clip(frames, common):
    channels = frames.shape[3]
    images = [cv2.imencode(".png", frame[..., ::-1] if channels == 3 else frame)[1].tobytes() for frame in frames]
    timestamps = [round(1e6 * number / common["frame_rate"]) for number in range(len(frames))]
    size = {"height": frames.shape[1], "width": frames.shape[2]}
    return Clip(images, timestamps, **size, **common, format="png", channels=channels)


def name_labels(labels, given):
    """The class names in order of their index: those that the caller gave, or of all records' those that occur, sorted.

    Raises a DataError where they are not names, or not different ones.
    """
    if labels is None:
        numbers = sorted({label for label in given if label is not None and not isinstance(label, str)}, key=repr)
        if numbers:
            raise DataError(
                f"expected labels that are names, received {numbers[0]!r}; give the classes' names as `labels` to use "
                "their numbers"
            )
        return sorted({label for label in given if label is not None})
    names = list(labels)
    if isinstance(labels, str) or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise DataError(f"expected `labels` to be different names, received {labels!r}")
    return names


def find_label(label, labels, path):
    """The index of a record's label, a name or a number, or None; a DataError where there is no such label."""
    if label is None:
        return None
    is_number = isinstance(label, (int, np.integer)) and not isinstance(label, bool)
    if is_number and 0 <= label < len(labels):
        return int(label)
    if not isinstance(label, str) or label not in labels:
        raise DataError(
            f"expected a label of {path} among {', '.join(labels)}, or its number, received {label!r}; add it to "
            "`labels`"
        )
    return labels.index(label)


class Spool:
    """Records on disk until it is known how many there are and which labels occur; they come back in their order."""

    def __init__(self):
        self._file = tempfile.TemporaryFile(prefix="videorep-")  # noqa: SIM115 (close ends it)
        self._entries = []

    def add(self, record):
        """Appends a `Clip` or `Percept`."""
        images = record.images if isinstance(record, Clip) else [np.ascontiguousarray(record.array)]
        sizes = [self._file.write(image) for image in images]
        held = {"images": ()} if isinstance(record, Clip) else {"array": np.empty(0, record.array.dtype)}
        shape = None if isinstance(record, Clip) else record.array.shape
        self._entries.append((dataclasses.replace(record, **held), sizes, shape))

    def __iter__(self):
        """Gives the records, once."""
        self._file.seek(0)
        for record, sizes, shape in self._entries:
            images = [self._file.read(size) for size in sizes]
            if shape is None:
                yield dataclasses.replace(record, images=images)
            else:
                yield dataclasses.replace(record, array=np.frombuffer(images[0], record.array.dtype).reshape(shape))

    def close(self):
        self._file.close()
