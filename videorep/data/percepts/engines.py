"""What computes a convnet: OpenVINO, ONNX Runtime or TensorFlow, on one graph that holds the weights as constants."""

import dataclasses
import functools
import importlib.metadata
import queue
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from videorep.build_config import ENGINES
from videorep.data.percepts.onnx_graph import to_onnx
from videorep.data.threads import count_cores
from videorep.errors import BackboneError
from videorep.quiet import quiet_libraries

NEEDED = {"openvino": ["openvino"], "onnxruntime": ["onnxruntime", "tf2onnx", "onnx"], "tensorflow": []}
EXTRAS = {"openvino": "openvino", "onnxruntime": "onnx"}
LARGEST_GRAPH = (1 << 31) - (1 << 24)  # bytes of constants: protobuf ends at 2 GiB
MOST_AT_ONCE = 4  # batches that ONNX Runtime or TensorFlow compute side by side


@dataclasses.dataclass(frozen=True)
class Engine:
    """A convnet made ready for batches of one size.

    `run` maps images (B, S, S, C) of `input_dtype` to percepts (B, D) float32. Threads may call it, best `at_once` of
    them: each batch then has some cores for itself, and none waits for the others' layers to end.
    """

    name: str
    precision: str
    run: Callable
    at_once: int

    @property
    def description(self):
        """What dataset.json says of it; another version may round otherwise."""
        return {"engine": f"{self.name} {importlib.metadata.version(self.name)}", "precision": self.precision}


class _UnfitError(Exception):
    """An engine cannot compute this convnet; says why."""


def open_engine(net, batch_size, name="auto", precision="float32", *, alone=False):
    """Makes a convnet ready to be computed by an engine.

    Args:
        net: `videorep.data.percepts.backbones.Backbone`.
        batch_size: B of every batch.
        name: One of `ENGINES`. "auto" is the first of OpenVINO, ONNX Runtime and TensorFlow that is installed and has
            the convnet's operations, in the order of their speed on CPUs; where TensorFlow has a GPU, TensorFlow.
        precision: "float32", whose percepts are Keras' but for rounding, or "bfloat16", which OpenVINO alone computes.
        alone: Whether batches come one at a time, each to be computed by all cores.
    Returns:
        Engine.
    Raises:
        BackboneError: the engine is not installed, lacks an operation, or the processor has no bfloat16.
    """
    tried = _candidates(name, precision)
    require_installed(tried[0])
    signature = tf.TensorSpec((batch_size, net.size, net.size, net.channels), input_dtype(net), "images")
    function = tf.function(lambda images: net.extract(images), input_signature=[signature])
    for each in tried:
        try:
            run, at_once = _OPENERS[each](function, precision, 1 if alone else min(count_cores(), MOST_AT_ONCE))
            return Engine(each, precision, run, at_once)
        except _UnfitError as error:
            flaw = error
    raise BackboneError(f"expected a convnet that {tried[-1]} computes in {precision}, received one where {flaw}")


def require_installed(name):
    """Raises a BackboneError where an engine is not installed."""
    absent = [module for module in NEEDED[name] if not find_spec(module)]
    if absent:
        raise BackboneError(
            f"expected {name}, received an installation without {', '.join(absent)}; pip install "
            f"'videorep[{EXTRAS[name]}]', or choose --engine tensorflow with --precision float32"
        )


def input_dtype(net):
    """Of the images: "uint8" where they are RGB, "float32" where they are stacks of flow."""
    return "uint8" if net.channels == 3 else "float32"


def _candidates(name, precision):
    """The engines to try, one after the other."""
    if name != "auto":
        return [name]
    if precision != "float32":
        return ["openvino"]
    if tf.config.list_physical_devices("GPU"):
        return ["tensorflow"]
    return [each for each in ENGINES if each in NEEDED and all(map(find_spec, NEEDED[each]))]


def _freeze(function):
    """A function whose variables have become constants, which TensorFlow and OpenVINO fold into one another."""
    concrete = function.get_concrete_function()
    size = sum(int(np.prod(each.shape)) * each.dtype.size for each in concrete.variables)
    if size >= LARGEST_GRAPH:
        return None
    with quiet_libraries():  # TensorFlow 2.17 tells how many GPUs it counts
        return convert_variables_to_constants_v2(concrete)


def _open_tensorflow(function, precision, at_once):
    compute = _freeze(function) or function

    def run(images):
        return tf.nest.flatten(compute(tf.constant(images)))[0].numpy()

    return run, min(at_once, 2)  # its threads are shared: a second batch fills the gaps of the first


@functools.cache
def _openvino_core():
    """The one of this process: where a second one ends, it frees the stack that Ctrl-C runs on, which then crashes."""
    sys.modules.setdefault("openvino_telemetry", None)  # it forks this process, to tell a server of every import
    import openvino

    return openvino.Core()


def _open_openvino(function, precision, at_once):
    core, frozen = _openvino_core(), _freeze(function)
    if frozen is None:
        raise _UnfitError("weights fill more than 2 GiB; choose --engine tensorflow")
    if precision == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise _UnfitError("the processor has no bfloat16; choose --precision float32")
    options = {
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
        "PERFORMANCE_HINT": "LATENCY" if at_once == 1 else "THROUGHPUT",
        "INFERENCE_NUM_THREADS": count_cores(),
        "ENABLE_CPU_PINNING": False,  # decoding needs the cores too
    }
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "convnet.pb"
            path.write_bytes(frozen.graph.as_graph_def().SerializeToString())
            compiled = core.compile_model(core.read_model(path), "CPU", options)
        at_once = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        requests = queue.SimpleQueue()
        for _ in range(at_once):
            requests.put(compiled.create_infer_request())
    except RuntimeError as error:
        raise _UnfitError(f"OpenVINO says: {_last_line(error)}; choose --engine tensorflow") from error

    def run(images):
        request = requests.get()
        try:
            return request.infer({0: images}, share_inputs=True)[0].copy()
        finally:
            requests.put(request)

    return run, at_once


def _open_onnxruntime(function, precision, at_once):
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = max(1, count_cores() // at_once)
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    )  # waiting threads leave the cores to others
    try:
        session = InferenceSession(to_onnx(function), options, providers=["CPUExecutionProvider"])
    except (ValueError, RuntimeError) as error:
        raise _UnfitError(f"ONNX says: {_last_line(error)}; choose --engine tensorflow") from error
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0], at_once


def _last_line(error):
    return ([line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__])[-1]


_OPENERS = {"tensorflow": _open_tensorflow, "openvino": _open_openvino, "onnxruntime": _open_onnxruntime}
