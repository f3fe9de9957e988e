"""Handwritten-looking digits, 28x28: MNIST by name or from files, or drawn by the project itself."""

import gzip
import hashlib
import os
import urllib.request
import zipfile
from pathlib import Path

import numpy as np

from videorep.config import require
from videorep.data.array_files import GARBLED, MAX_HEADER, open_member, read_header
from videorep.data.digits.rendered import render_digits
from videorep.errors import DataError
from videorep.storage import replacing

DIGIT_SIZE = 28
SPLITS = ("train", "test")
MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
MNIST_BYTES = 11_490_434
MNIST_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
IDX_NAMES = {
    "train": ("train-images-idx3-ubyte", "train-images.idx3-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"),
}
IDX_HEADER = bytes([0, 0, 8, 3])  # unsigned bytes, three axes
MAX_DIGITS = 500_000  # a file of a few MB can promise, and expand to, any number


def load_digits(source, split):
    """Loads the digit images that a split, "train" or "test", is drawn from.

    Args:
        source: "rendered" (drawn here, no network), "mnist" (Keras' cached or downloaded file), or a path: a folder
            with MNIST's idx files (plain or .gz) or with `mnist.npz`, or an npz file with `x_train` and `x_test`.
    Returns:
        (N, 28, 28) uint8, bright ink on black, in the order of the source.
    Raises:
        DataError: the digits are missing, unreadable, of another shape or more than `MAX_DIGITS`.
    """
    require(split in SPLITS, "the split of the digits", f"one of {', '.join(SPLITS)}", split)
    if source == "rendered":
        return render_digits(split)[0]
    if source == "mnist":
        return _read_npz(_cached_mnist(), split)
    return _read_path(Path(source), split)


def describe_digits(source, images):
    """Says where digits came from, for provenance."""
    origin = {"rendered": "drawn by videorep; this is not MNIST", "mnist": MNIST_URL}.get(str(source), str(source))
    digest = hashlib.sha256(np.ascontiguousarray(images)).hexdigest()
    return {"digits": str(source), "digits_origin": origin, "digits_count": len(images), "digits_sha256": digest}


def _read_path(path, split):
    if path.is_dir():
        names = [name + ending for name in IDX_NAMES[split] for ending in ("", ".gz")]
        found = [path / name for name in names if (path / name).is_file()]
        if found:
            return _read_idx(found[0])
        if (path / "mnist.npz").is_file():
            return _read_npz(path / "mnist.npz", split)
        raise DataError(
            f"expected {names[0]}[.gz] or mnist.npz in {path}, found neither; "
            "put MNIST's files there or use --digits rendered"
        )
    if not path.is_file():
        raise DataError(
            f"expected digits at {path}, found nothing; give mnist, rendered or a folder with MNIST's files as --digits"
        )
    if path.suffix == ".npz":
        return _read_npz(path, split)
    raise DataError(
        f"expected a folder or an npz file of digits, received {path}; "
        "give the folder that holds the idx files as --digits"
    )


def _read_idx(path):
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            header = file.read(16)
            shape = tuple(int(n) for n in np.frombuffer(header[4:], ">u4")) if len(header) == 16 else ()
            if header[:4] != IDX_HEADER or not shape:
                raise _not_whole(path)
            _require_digits(np.dtype(np.uint8), shape, path)
            images = np.empty(shape, np.uint8)
            if file.readinto(images) != images.size or file.read(1):
                raise _not_whole(path)
    except GARBLED as error:
        raise DataError(f"expected readable digits in {path}, received: {error}; fetch the file again") from error
    return images


def _not_whole(path):
    return DataError(
        f"expected a whole idx file of images in {path}, received bytes that are not one; fetch the file again"
    )


def _read_npz(path, split):
    key = f"x_{split}"
    try:
        with zipfile.ZipFile(path) as archive:
            if f"{key}.npy" not in archive.namelist():
                raise DataError(
                    f"expected the array {key} in {path}, found none of that name; save the digits as x_train and "
                    "x_test"
                )
            with archive.open(open_member(archive, key)) as file:
                _require_digits(*read_header(file), path)
                file.seek(0)
                return np.lib.format.read_array(file, allow_pickle=False, max_header_size=MAX_HEADER)
    except GARBLED as error:
        raise DataError(f"expected an npz file of digits at {path}, received: {error}; fetch the file again") from error


def _require_digits(dtype, shape, path):
    """Checks what a file promises, before anything is read."""
    if dtype != np.uint8 or len(shape) != 3 or shape[1:] != (DIGIT_SIZE, DIGIT_SIZE) or not shape[0]:
        raise DataError(f"expected uint8 digits of shape (N, 28, 28) in {path}, received {dtype} {shape}; convert them")
    if not 1 <= shape[0] <= MAX_DIGITS:
        raise DataError(
            f"expected at most {MAX_DIGITS:,} digits in {path}, received a promise of {shape[0]:,}; fetch the file "
            "again or keep fewer"
        )


def _cached_mnist():
    """The path of mnist.npz in Keras' cache, where `keras.datasets.mnist` also looks; downloads it if need be."""
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    path = home / "datasets" / "mnist.npz"
    if path.is_file():
        return path
    try:
        with urllib.request.urlopen(MNIST_URL, timeout=30) as response:
            content = response.read(MNIST_BYTES + 1)
    except OSError as error:
        raise DataError(
            f"expected MNIST at {path} or a network to download it, received: {error}; "
            "give --digits PATH of MNIST's files or --digits rendered"
        ) from error
    if hashlib.sha256(content).hexdigest() != MNIST_SHA256:
        raise DataError(
            f"expected MNIST at {MNIST_URL}, received {len(content)} other bytes; give --digits PATH of MNIST's files"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, shared=True) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise DataError(
            f"expected to store MNIST at {path}, received: {error}; set KERAS_HOME to a writable folder"
        ) from error
    return path
