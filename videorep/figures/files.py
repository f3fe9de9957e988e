"""Result files that are there whole or not at all."""

import io
from pathlib import Path

import numpy as np

from videorep.storage import replacing
from videorep.writing import written


def write_file(path, content):
    """Writes bytes under a temporary name, then renames; where that fails, an OutputError, and nothing is left."""
    remedies = "give the same command again", "choose a name in a folder that can be written"
    with written(path, *remedies), replacing(Path(path), shared=True) as temporary:
        temporary.write_bytes(content)


def write_arrays(path, arrays):
    """Writes {name: array} as a NumPy .npz file, as `write_file` does."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_file(path, buffer.getvalue())
