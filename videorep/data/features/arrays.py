"""Arrays of one video: its features, how many of them come in a second, the classes of its frames. No TensorFlow."""

from pathlib import Path

import numpy as np

from videorep.data.array_files import GARBLED, read_array, read_shape

FPS, TIMES = "_fps", "_timestamps_ms"  # what video_features writes beside VIDEO_resnet.npy and the like
MOST_FPS = 1000


class FaultyArrayError(Exception):
    """Why an array is left out; the message goes into dataset.json."""


def features_shape(path, name=None):
    """(L, D) of the array in a file, (D,) being one frame; `name` says which of those in an `.npz` file.

    Raises a FaultyArrayError where it has another shape or cannot be read.
    """
    shape = _read(read_shape, path, name)
    rows = (1, *shape) if len(shape) == 1 else shape
    if len(rows) != 2 or 0 in rows:
        raise FaultyArrayError(f"wrong shape: {shape}, where (frames, features) is expected")
    return rows


def read_features(path, name, dtype):
    """The array (L, D) in a file as `dtype`; a FaultyArrayError also where that cannot hold its values."""
    shape = features_shape(path, name)
    values = _read(read_array, path, name).reshape(shape)
    with np.errstate(over="ignore"):
        stored = values.astype(dtype)
    flawed = int((~np.isfinite(values)).any(axis=1).sum())
    if flawed:
        raise FaultyArrayError(f"not finite: NaN or infinity in {flawed} of {len(values)} frames")
    if not np.isfinite(stored).all():
        raise FaultyArrayError(f"too large: {np.abs(values).max():g}, which {dtype} cannot hold; see --dtype")
    return stored


def read_targets(path, frames, classes):
    """The classes of so many frames, a list of numbers: where the rows (L, classes) have their largest value.

    Raises a FaultyArrayError where these are not as many rows, or not of as many classes.
    """
    values = _read(read_array, path)
    if values.shape != (frames, classes):
        raise FaultyArrayError(f"labels do not fit: {values.shape}, where {(frames, classes)} is expected")
    if not np.isfinite(values).all():
        raise FaultyArrayError("labels do not fit: NaN or infinity")
    return values.argmax(axis=1).tolist()


def read_rate(path):
    """Rows per second of the features in a file, as video_features wrote it beside; 0.0 where it did not.

    The times of the rows tell it: rows of stacks of frames come less often than frames, whose rate is beside too.
    """
    path = Path(path)
    for stem in (path.stem, path.stem.rpartition("_")[0]):
        times = _read_beside(path, stem + TIMES)
        lasts = (times[-1] - times[0]) / 1000 if len(times) > 1 else 0.0
        rates = [(len(times) - 1) / lasts] if lasts > 0 else _read_beside(path, stem + FPS)
        if len(rates) == 1 and 0 < rates[0] <= MOST_FPS:
            return float(rates[0])
    return 0.0


def _read_beside(path, stem):
    """The numbers in a file beside another, (N,) float64; none where there is no such file."""
    try:
        return np.ravel(_read(read_array, path.with_name(f"{stem}.npy"))).astype(np.float64)
    except FaultyArrayError:
        return np.zeros(0)


def _read(read, *arguments):
    """What `read` gives; its errors without the path, which depends on where a folder lies."""
    try:
        return read(*arguments)
    except GARBLED as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise FaultyArrayError(f"unreadable: {why}") from error
