"""Models read from .keras files that may be damaged or another model's."""

import os
import struct
import zipfile
import zlib

import h5py
import keras

import videorep.models.temporal_stream  # noqa: F401 (registers the layer that a stream run names)
from videorep.config import ClassifierConfig, ModelConfig, StreamModelConfig
from videorep.errors import RunError
from videorep.models.classifier import Classifier
from videorep.models.encoder_decoder import EncoderDecoder

LARGEST_SETTINGS = 1 << 23  # bytes of a member of JSON; NASNetLarge's, of a thousand layers, has an eighth of that
SETTINGS, WEIGHTS = ("config.json", "metadata.json"), "model.weights.h5"
ASSETS = "assets/"  # what Keras stores of vocabularies
# What reading a damaged file raises: zip, JSON, HDF5 and Keras check little of what they are given.
UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


class UnboundedError(ValueError):
    """A .keras file may take more memory than it has bytes; the message says what was received."""


def load_keras(path):
    """The model in a .keras file. Keras' safe mode holds: no code within the file runs.

    Raises:
        UnboundedError: see `require_bounded`; nothing was unpacked.
        Some of UNREADABLE: the file is damaged.
    """
    require_bounded(path)
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def require_bounded(path):
    """Raises an UnboundedError where unpacking a .keras file could give more bytes than it has.

    Keras stores what it saves as it is, so a packed member is nobody's model. Who reads a stored member gets no more
    than the file has, whatever its directory says of it; members that share their bytes show in the sum, and arrays
    that HDF5 packed, or never stored, in theirs.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        archive.fp.seek(0, os.SEEK_END)
        size = archive.fp.tell()
    for member in members:
        name = member.filename
        if name not in (*SETTINGS, WEIGHTS) and not name.startswith(ASSETS):
            raise UnboundedError(f"a member {name!r} that Keras does not write")
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise UnboundedError(f"{name!r} packed, which Keras does not do")
        if name in SETTINGS and member.file_size > LARGEST_SETTINGS:
            raise UnboundedError(f"{name!r} of {member.file_size:,} bytes, more than {LARGEST_SETTINGS:,}")
    if (total := sum(member.file_size for member in members)) > size:
        raise UnboundedError(f"members of {total:,} bytes in a file of {size:,}")
    if WEIGHTS in [member.filename for member in members]:
        with zipfile.ZipFile(path) as archive, archive.open(WEIGHTS) as weights:
            require_bounded_arrays(weights, size)


def require_bounded_arrays(file, size):
    """Raises an UnboundedError where the arrays of an HDF5 file of `size` bytes are larger than it, or no numbers."""
    with h5py.File(file, "r") as weights:
        arrays = []
        weights.visititems(lambda _, each: arrays.append(each) if isinstance(each, h5py.Dataset) else None)
        if texts := [array.name for array in arrays if array.dtype.hasobject]:
            raise UnboundedError(f"texts in place of numbers in {texts[0]}")
        if (total := sum(array.size * array.dtype.itemsize for array in arrays)) > size:
            raise UnboundedError(f"arrays of {total:,} bytes in a file of {size:,}")


def read_model(path, config):
    """The model of a run that has this configuration. Keras' safe mode holds: no code within the file runs.

    Raises:
        RunError: the file is damaged, or holds another model.
    """
    try:
        model = load_keras(path)
        fits = _fits(model, config)
    except UNREADABLE as error:
        flaw = f"received {error}" if isinstance(error, UnboundedError) else "which cannot be read"
        raise RunError(
            f"expected a Keras model in {path}, {flaw}; restore the file, or train again with --overwrite"
        ) from error
    if not fits:
        raise RunError(
            f"expected the model that the run's config.json describes in {path}, received another one; restore the "
            "file, or train again with --overwrite"
        )
    return model


def _fits(model, config):
    if isinstance(config, StreamModelConfig):
        channels = 3 if config.stream == "rgb" else 2 * config.flow_stack
        shapes = model.input_shape[-1], tuple(model.output_shape)
        return shapes == (channels, (None, len(config.classes))) and "fc6" in [layer.name for layer in model.layers]
    kind = {ModelConfig: EncoderDecoder, ClassifierConfig: Classifier}[type(config)]
    return isinstance(model, kind) and model.config == config
