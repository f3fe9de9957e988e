"""One sentence for a file that cannot be written."""

import contextlib
import errno
import os
import sys

from videorep.errors import OutputError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what a disk without room says


@contextlib.contextmanager
def written(what, again="give the same command again with --resume", otherwise="choose another --out"):
    """Turns what Python or TensorFlow raise while they write into one sentence, an OutputError.

    `what` is written, and where; `again` says what to do once there is room, `otherwise` where room is not what lacks.
    """
    tensorflow = sys.modules.get("tensorflow")
    errors = (OSError, tensorflow.errors.OpError) if tensorflow else OSError
    try:
        yield
    except errors as error:
        reason = _reason(error)
        full = any(os.strerror(number) in reason for number in FULL)
        remedy = f"free some space there and {again}" if full else otherwise
        raise OutputError(f"expected to write {what}, received: {reason}; {remedy}") from error


def _reason(error):
    if isinstance(error, OSError):
        return error.strerror or str(error)
    # TensorFlow's first line: the operation and the file, "; " and the reason, the operation again.
    return (error.message.strip() or type(error).__name__).splitlines()[0].split("; ")[-1].split(" [Op:")[0]
