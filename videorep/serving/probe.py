"""Loads a SavedModel as others do, without videorep and Keras, and compares its answers; `check` runs it by its path.

Twice: with `tf.saved_model.load`, and with the C API in TensorFlow's own library, whose loader is that of TensorFlow
Serving; the latter replays the warm-up too.
"""

import ctypes
import pickle
import signal
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

STRING_BYTES = 24  # of a TF_TString
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux
MOST_RECORDS = 1000  # of a warm-up
WARM_UP = Path("assets.extra") / "tf_serving_warmup_requests"  # the name that the server looks for


class Pointer(ctypes.c_void_p):
    """An address; of a class of its own, so that ctypes makes no number of it, which it would cut to 32 bits."""


class Buffer(ctypes.Structure):
    """A TF_Buffer."""

    _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("free", ctypes.c_void_p)]


class Output(ctypes.Structure):
    """A TF_Output: an operation and the number of its output."""

    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


class Session:
    """A SavedModel as TensorFlow Serving loads it: by its tag and the tensors' names in its signatures.

    Threads may share it. It is freed when the process ends, the tensors of a run after the run.
    """

    def __init__(self, folder):
        library = next(Path(tf.sysconfig.get_lib()).glob("libtensorflow_cc*"))
        self._library = ctypes.CDLL(str(library))
        self._graph = self._call("TF_NewGraph")
        tags, found = (ctypes.c_char_p * 1)(b"serve"), Buffer()
        self._session = self._require_success(
            "TF_LoadSessionFromSavedModel",
            *(self._call("TF_NewSessionOptions"), None, str(folder).encode(), tags, 1),
            *(self._graph, ctypes.byref(found)),
        )
        graph = tf.compat.v1.MetaGraphDef.FromString(ctypes.string_at(found.data, found.length))
        self.signatures = {name: each for name, each in graph.signature_def.items() if not name.startswith("__")}

    def run(self, name, inputs):
        """Answers of a signature, {name: array}, to {name: array}."""
        signature = self.signatures[name]
        given, wanted = sorted(inputs), sorted(signature.outputs)
        if given != sorted(signature.inputs):
            raise KeyError(f"{name} takes {sorted(signature.inputs)}, received {given}")
        arrays = [np.asarray(inputs[each]) for each in given]  # tensors of texts point into them
        values, answers = (Pointer * len(given))(*map(self._tensor, arrays)), (Pointer * len(wanted))()
        try:
            self._require_success(
                "TF_SessionRun",
                *(self._session, None, self._places(signature.inputs, given), values, len(given)),
                *(self._places(signature.outputs, wanted), answers, len(wanted), None, 0, None),
            )
            return dict(zip(wanted, map(self._array, answers), strict=True))
        finally:
            for tensor in (*values, *answers):  # TF_SessionRun leaves the former and hands over the latter; or null
                self._call("TF_DeleteTensor", tensor, gives=None)

    def _call(self, name, *arguments, gives=Pointer):
        function = getattr(self._library, name)
        function.restype = gives
        return function(*arguments)

    def _require_success(self, name, *arguments):
        """What a function gives that takes a TF_Status as its last argument; a RuntimeError where it failed."""
        status = self._call("TF_NewStatus")
        try:
            given = self._call(name, *arguments, status)
            if self._call("TF_GetCode", status, gives=ctypes.c_int):
                told = self._call("TF_Message", status, gives=ctypes.c_char_p)
                raise RuntimeError(told.decode(errors="replace"))
            return given
        finally:
            self._call("TF_DeleteStatus", status, gives=None)

    def _places(self, tensors, names):
        parts = [tensors[name].name.split(":") for name in names]
        found = [(self._call("TF_GraphOperationByName", self._graph, name.encode()), int(at)) for name, at in parts]
        return (Output * len(names))(*(Output(operation.value, at) for operation, at in found))

    def _tensor(self, array):
        kind, dims = tf.as_dtype(array.dtype).as_datatype_enum, (ctypes.c_int64 * array.ndim)(*array.shape)
        texts = array.ravel().tolist() if array.dtype == object else []
        size = STRING_BYTES * array.size if array.dtype == object else array.nbytes
        tensor = self._call("TF_AllocateTensor", kind, dims, array.ndim, ctypes.c_size_t(size))
        place = self._call("TF_TensorData", tensor).value
        for number, text in enumerate(texts):
            at = Pointer(place + STRING_BYTES * number)
            self._call("TF_StringInit", at, gives=None)
            self._call("TF_StringAssignView", at, text, ctypes.c_size_t(len(text)), gives=None)  # nothing to free
        if array.dtype != object and size:
            ctypes.memmove(place, np.ascontiguousarray(array).ctypes.data, size)
        return tensor

    def _array(self, tensor):
        kind = tf.as_dtype(self._call("TF_TensorType", tensor, gives=ctypes.c_int))
        rank = self._call("TF_NumDims", tensor, gives=ctypes.c_int)
        shape = [self._call("TF_Dim", tensor, axis, gives=ctypes.c_int64) for axis in range(rank)]
        place, count = self._call("TF_TensorData", tensor).value, int(np.prod(shape))
        if kind != tf.string:
            size = self._call("TF_TensorByteSize", tensor, gives=ctypes.c_size_t)
            return np.frombuffer(ctypes.string_at(place, size) if size else b"", kind.as_numpy_dtype).reshape(shape)
        texts = []
        for at in (Pointer(place + STRING_BYTES * number) for number in range(count)):
            size = self._call("TF_StringGetSize", at, gives=ctypes.c_size_t)
            texts.append(ctypes.string_at(self._call("TF_StringGetDataPointer", at), size))
        return np.array(texts, object).reshape(shape)


def compare(who, answer, requests):
    """Ends the process with a sentence where `answer`, a function of a signature's name and inputs, gives others."""
    for name, inputs, expected, tolerance in requests:
        received = answer(name, inputs)
        if received.keys() != expected.keys():
            sys.exit(f"{who}: {name} answers {sorted(received)}, not {sorted(expected)}")
        for key, array in expected.items():
            same = array.shape == received[key].shape
            if same and array.dtype.kind == "f":  # classes follow from these, and of two equal ones either comes first
                same = np.allclose(received[key], array, tolerance, tolerance)
            if not same:
                sys.exit(f"{who}: {key!r} of {name} differs by more than {tolerance:g}")


def replay(folder, session):
    """Has a session answer the warm-up's records; ends the process where they are not what the server takes."""
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    records = [PredictionLog.FromString(each.numpy()) for each in tf.data.TFRecordDataset(str(folder / WARM_UP))]
    requests = [record.predict_log.request for record in records]
    for request in requests:
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        session.run(request.model_spec.signature_name, inputs)
    answered = {request.model_spec.signature_name for request in requests}
    if answered != session.signatures.keys() or len(records) > MOST_RECORDS:
        sys.exit(f"the warm-up: {len(records)} records, not 1 to {MOST_RECORDS} of every signature")


def main(folder):
    requests = pickle.load(sys.stdin.buffer)
    signatures = tf.saved_model.load(str(folder)).signatures

    def answer(name, inputs):
        answers = signatures[name](**{key: tf.constant(array) for key, array in inputs.items()})
        return {key: tensor.numpy() for key, tensor in answers.items()}

    compare("tf.saved_model.load", answer, requests)
    session = Session(folder)
    compare("the C API", session.run, requests)
    if (folder / WARM_UP).exists():
        replay(folder, session)


if __name__ == "__main__":
    if sys.platform == "linux":  # ends with the export, also where that is killed
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    sys.modules["videorep"] = sys.modules["keras"] = None  # from here on, importing them is an error
    main(Path(sys.argv[1]))
