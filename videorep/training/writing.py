"""Numbers and files of a run: what is written, and what is said where it cannot be."""

import contextlib
import os

import numpy as np
import tensorflow as tf

from videorep.errors import OutputError
from videorep.storage import FULL


@contextlib.contextmanager
def written(what, place):
    """Turns what Python or TensorFlow raise while they write into one sentence.

    Raises:
        OutputError: `what` cannot be written into `place`.
    """
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        reason = _reason(error)
        remedy = "free some space there" if reason in map(os.strerror, FULL) else "see to it that it can be written"
        raise OutputError(
            f"expected to write {what} into {place}, received: {reason}; {remedy} and give the same command again "
            f"with --resume"
        ) from error


def _reason(error):
    if isinstance(error, OSError):
        return error.strerror or str(error)
    # TensorFlow's first line: the operation and the file, "; " and the reason, the operation again.
    return error.message.splitlines()[0].split("; ")[-1].split(" [Op:")[0]


def uncached(number):
    """A number as an array: TensorFlow keeps a tensor of every Python number that it has ever been given."""
    return np.asarray(number)
