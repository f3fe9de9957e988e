"""TensorFlow functions as files of LiteRT and of ONNX, and what runs such a file."""

import dataclasses
from collections.abc import Callable
from importlib.util import find_spec

import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError

from videorep.data.percepts.onnx_graph import to_onnx
from videorep.errors import OutputError


@dataclasses.dataclass(frozen=True)
class Format:
    """A format of models.

    `convert` makes bytes of a tf.function with a signature and of the tf.Module that has its variables; `load` makes
    of a file a function of named arrays that gives named arrays; `converter` and `runtime` are the modules that these
    need.
    """

    suffix: str
    convert: Callable
    load: Callable
    converter: str
    runtime: str

    @property
    def checkable(self):
        return bool(find_spec(self.runtime))


def find_format(name):
    """The `Format` of a name in `FORMATS`; an OutputError where what converts to it is not installed."""
    found = FORMATS[name]
    if not find_spec(found.converter):
        raise OutputError(
            f"expected {found.converter}, which writes {name}, received an installation without it; pip install "
            f"'videorep[{name}]'"
        )
    return found


def _to_litert(function, owner):
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], owner)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]  # what every runtime has: no Flex
    try:
        return converter.convert()
    except ConverterError as error:
        raise _inconvertible("LiteRT", error) from error


def _load_litert(path):
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(path), num_threads=1).get_signature_runner()


def _to_onnx(function, owner):
    try:
        return to_onnx(function)
    except ValueError as error:
        raise _inconvertible("ONNX", error) from error


def _load_onnx(path):
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = 1
    session = InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    return lambda **inputs: dict(zip(names, session.run(None, inputs), strict=True))


def _inconvertible(name, error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return OutputError(
        f"expected operations that {name} has, received: {lines[0] if lines else type(error).__name__}; export a "
        "SavedModel, or use another convnet"
    )


FORMATS = {
    "litert": Format(".tflite", _to_litert, _load_litert, "tensorflow", "ai_edge_litert"),
    "onnx": Format(".onnx", _to_onnx, _load_onnx, "tf2onnx", "onnxruntime"),
}
