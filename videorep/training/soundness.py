"""Whether what a finished or interrupted run left can be read and is finite: its model, its checkpoints."""

import numpy as np
import tensorflow as tf

from videorep.errors import RunError
from videorep.runs import CONFIG, METRICS, MODEL, PROVENANCE
from videorep.storage import is_no_regular_file
from videorep.training.checkpoints import UNREADABLE


def find_flaws(run):
    """One sentence per file of a run that is damaged or holds a number that is not finite; empty if all is well.

    Args:
        run: `videorep.runs.Run`.
    """
    return [*_find_what_is_no_file(run), *_find_in_model(run), *_find_in_checkpoints(run)]


def _find_what_is_no_file(run):
    own = [run.path / name for name in (CONFIG, PROVENANCE, METRICS, MODEL)]
    for path in [*own, *sorted(run.checkpoints.glob("ckpt-*"))]:
        if is_no_regular_file(path):
            yield f"{path}: no regular file; restore it, or remove it and train again"


def _find_in_model(run):
    if not run.finished:
        return
    try:
        run.model()
    except RunError as error:
        yield str(error)


def _find_in_checkpoints(run):
    for index in sorted(run.checkpoints.glob("ckpt-*.index")):
        if any(map(is_no_regular_file, run.checkpoints.glob(f"{index.stem}.*"))):
            continue
        try:
            reader = tf.train.load_checkpoint(str(index.with_suffix("")))
            values = [reader.get_tensor(name) for name in reader.get_variable_to_shape_map()]
        except UNREADABLE:
            yield f"{index.with_suffix('')}: a checkpoint that cannot be read; remove its files"
            continue
        if not _all_finite(values):
            yield f"{index.with_suffix('')}: some values are not finite; remove its files"


def _all_finite(values):
    arrays = (np.asarray(value) for value in values)
    return all(np.isfinite(array).all() for array in arrays if np.issubdtype(array.dtype, np.floating))
