"""Loads TensorFlow without the lines that its C++ libraries write to standard error while they are loaded.

They come before TF_CPP_MIN_LOG_LEVEL is looked at (TensorFlow 2.18 to 2.21 at least), so the file descriptor itself has
to point elsewhere for the moment.
"""

import contextlib
import os
import sys
import tempfile

QUIET_LEVEL = "3"


def silence_tensorflow():
    """Sets the log level of TensorFlow's C++ parts, unless the user has; to be called before they are loaded."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", QUIET_LEVEL)


def load_tensorflow():
    """Imports TensorFlow, quietly unless the user set TF_CPP_MIN_LOG_LEVEL; what it wrote is shown if it fails."""
    with quiet_libraries(ImportError):
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def quiet_libraries(*failures):
    """Keeps from standard error what is written there meanwhile, unless the user set TF_CPP_MIN_LOG_LEVEL.

    It is shown after all where one of `failures` is raised.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") != QUIET_LEVEL:
        yield
        return
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except failures:
            said.seek(0)
            os.write(stderr, said.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
