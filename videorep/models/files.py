"""Models read from .keras files that may be damaged or another model's."""

import struct
import zipfile
import zlib

import keras

import videorep.models.temporal_stream  # noqa: F401 (registers the layer that a stream run names)
from videorep.config import ClassifierConfig, ModelConfig, StreamModelConfig
from videorep.errors import RunError
from videorep.models.classifier import Classifier
from videorep.models.encoder_decoder import EncoderDecoder

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


def read_model(path, config):
    """The model of a run, as it was trained. Keras' safe mode holds: no code within the file runs.

    Args:
        path: Of the .keras file.
        config: ModelConfig, ClassifierConfig or StreamModelConfig that the model must have.
    Raises:
        RunError: the file is damaged, or holds another model.
    """
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        fits = _fits(model, config)
    except UNREADABLE as error:
        raise RunError(
            f"expected a Keras model in {path}, which cannot be read; restore the file, or train again with --overwrite"
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
