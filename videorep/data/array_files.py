"""Arrays in files of others, `.npy` and `.npz`: what they promise is looked at first, and nothing is unpickled."""

import contextlib
import io
import math
import tokenize
import zipfile
import zlib

import numpy as np

MAX_HEADER = 1000  # bytes; that of a plain array has about 100
MOST_BYTES = 2**31 - 1  # of an array that is to be a record
NUMBERS = "fiub"  # kinds of dtype
# What gzip, zipfile and NumPy raise on files that are garbled; RuntimeError where they are encrypted.
GARBLED = (OSError, EOFError, ValueError, TypeError, RuntimeError, zlib.error, zipfile.BadZipFile, tokenize.TokenError)
GARBLED += (OverflowError, MemoryError)


def read_header(file):
    """The dtype and the shape that an npy file promises, which then is where the values begin.

    Of a header that is longer than `MAX_HEADER` no more is read.
    """
    start = io.BytesIO(file.read(2 * MAX_HEADER))
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(np.lib.format.read_magic(start))
    if read is None:
        raise ValueError("a version of the npy format that plain numbers do not need")
    shape, _, dtype = read(start, max_header_size=MAX_HEADER)
    file.seek(start.tell())
    return dtype, shape


def read_shape(path, name=None):
    """The shape of the array of a file, as `read_array` would find it; raises the same."""
    with _opened(path, name) as (_, shape):
        return shape


def read_array(path, name=None):
    """The array of numbers in a `.npy` file, or in an `.npz` file that holds one alone or one called `name`.

    Raises:
        Some of GARBLED: it is not whole, no numbers, too long for a record, or one of several without a `name`.
    """
    with _opened(path, name) as (file, _):
        return np.lib.format.read_array(file, allow_pickle=False, max_header_size=MAX_HEADER)


@contextlib.contextmanager
def _opened(path, name):
    """The file of an array at its beginning, and the shape, where the file can hold what it promises."""
    with contextlib.ExitStack() as stack:
        if str(path).lower().endswith(".npz"):
            archive = stack.enter_context(zipfile.ZipFile(path))
            member = open_member(archive, name)
            file, size = stack.enter_context(archive.open(member)), member.file_size
        else:
            file = stack.enter_context(open(path, "rb"))
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
        dtype, shape = read_header(file)
        if dtype.kind not in NUMBERS:
            raise ValueError(f"an array of {'objects' if dtype.hasobject else dtype}, not of numbers")
        promised = math.prod(shape) * dtype.itemsize
        if promised > min(size - file.tell(), MOST_BYTES):
            flaw = "is too long for a record" if size >= promised else "is cut off"
            raise ValueError(f"an array of {promised:,} bytes that {flaw}")
        file.seek(0)
        yield file, shape


def open_member(archive, name):
    """The member of an `.npz` file that is called `name`, or the only one; a ValueError where there is no such."""
    names = [member.removesuffix(".npy") for member in archive.namelist() if member.endswith(".npy")]
    wanted = names[0] if name is None and len(names) == 1 else name
    if wanted not in names:
        held = ", ".join(names[:5]) or "none"
        raise ValueError(f"{len(names)} arrays ({held}), {'one' if name is None else name} is wanted")
    member = archive.getinfo(f"{wanted}.npy")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("a compression that NumPy does not write")
    return member
