"""Whole videos, classified by TensorFlow Serving over gRPC (tensorflow-serving-api); no model is loaded here."""

import json
import types

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from videorep.build_config import ClipsConfig
from videorep.config_values import from_dict
from videorep.data.batches.windows import list_windows
from videorep.data.shards.json_types import MismatchError, is_whole, listed, plain, record, typed
from videorep.data.videos.find import printable
from videorep.errors import ConfigError, ServerError
from videorep.exports import MODEL_NAME
from videorep.live.videos import find_inputs, perceive_videos

MOST_FRAMES = 256  # of a request
RETRIES = {
    "maxAttempts": 5,
    "initialBackoff": "0.2s",
    "maxBackoff": "5s",
    "backoffMultiplier": 3,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
OPTIONS = [
    ("grpc.service_config", json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": RETRIES}]})),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
]

SIZES = typed("two sizes", lambda value: type(value) is list and len(value) == 2 and all(map(_is_size, value)))
TEXT = typed("a text", lambda value: type(value) is str)
require_facts = record({"classes": listed(TEXT, 1), "block": SIZES, "clips": plain()}, plain())


def classify_on_server(address, names, *, model=MODEL_NAME, timeout=60.0, stop=(), progress=None):
    """Classifies videos as `videorep.live.classify_videos` does, by a model that `videorep export` made.

    Clips are made here, as those of the run were; the server's signature `classify_frames` does the rest.

    Args:
        address: HOST:PORT of the server's gRPC.
        names, stop, progress: As for `classify_videos`.
        model: The model's name there.
        timeout: Seconds until a request is given up; where the server is not there, it is asked again for a while.
    Returns:
        (classes, rows): as `classify_videos`; a video that the server refuses has its words as the reason.
    Raises:
        ServerError: no server there, no such model, one that no `classify_frames` was exported with, or that says
            other things of itself than `videorep export` does.
    """
    with grpc.insecure_channel(address, OPTIONS) as channel:
        server = ModelServer(channel, address, model, timeout)
        clips, blocks = RemoteClips(server), {}

        def take(_, video, probabilities, seconds):
            blocks.setdefault(video.file.path, []).append(probabilities)

        reasons = perceive_videos([clips], find_inputs(names), take, "Classifying", progress, stop)
    means = {path: np.concatenate(each).mean(axis=0) for path, each in blocks.items()}
    return clips.classes, [(printable(path), means.get(path), reason) for path, reason in reasons.items()]


class ModelServer:
    """A model of a TensorFlow Serving at the other end of a gRPC channel."""

    def __init__(self, channel, address, model, timeout):
        self._predict = PredictionServiceStub(channel).Predict
        self._address, self._model, self._timeout = address, model, timeout

    def ask(self, signature, **inputs):
        """The answer of a signature, {name: array}."""
        request = PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = self._model, signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        try:
            answer = self._predict(request, timeout=self._timeout)
        except grpc.RpcError as error:
            received = (
                f"none within {self._timeout:g} s; give a slow one more with --timeout, or see that one is there"
                if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
                else f"{error.code().name}: {_first_line(error.details())}; see that it is there (videorep "
                "serve-config tells how) and has the model"
            )
            raise ServerError(
                f"expected an answer of {signature} of the model {self._model} from TensorFlow Serving at "
                f"{self._address}, received {received}"
            ) from error
        try:
            return {name: tf.make_ndarray(tensor) for name, tensor in answer.outputs.items()}
        except (TypeError, ValueError) as error:
            raise ServerError(
                f"expected tensors from {signature} of the model {self._model}, received: {_first_line(str(error))}; "
                "see that the server is one of TensorFlow Serving"
            ) from error


class RemoteClips:
    """Takes the place of a `videorep.live.perception.Perception`; its features are the probabilities of blocks."""

    def __init__(self, server):
        self._server = server
        try:
            facts = json.loads(server.ask("describe", request=[""])["facts"].item())
            require_facts(facts, "describe")
            self.classes, self._block = tuple(facts["classes"]), tuple(facts["block"])
            clips = from_dict(ClipsConfig, facts["clips"])
        except (KeyError, TypeError, ValueError, RecursionError, MismatchError, ConfigError) as error:
            raise ServerError(
                "expected a classifier on percepts that videorep export wrote with the convnet, received another "
                f"model ({_first_line(str(error))}); export it again, with --backbone where the convnet has moved"
            ) from error
        self.stages = types.SimpleNamespace(clips=clips, raw=False, dtype="float32")

    def extract_clip(self, images, size):
        """Probabilities (N, K) of the N blocks of a clip's images; those of one request are their mean."""
        length, stride = self._block
        _, starts = list_windows(np.array([len(images)]), length, stride, pad=True)
        together = max((MOST_FRAMES - length) // stride + 1, 1)
        parts = []
        for first in range(0, len(starts), together):
            some = starts[first : first + together]
            answer = self._server.ask("classify_frames", images=np.array([images[some[0] : some[-1] + length]], object))
            parts.append(np.repeat(self._probabilities(answer), len(some), axis=0))
        return np.concatenate(parts)

    def _probabilities(self, answer):
        """(1, K) of an answer of `classify_frames`."""
        received = answer.get("probabilities", np.array(None))
        wanted = (1, len(self.classes))
        if received.dtype.kind != "f" or received.shape != wanted or not np.all((received >= 0) & (received <= 1.001)):
            raise ServerError(
                f"expected a probability of each of {wanted[1]} classes from classify_frames, received "
                f"{received.dtype} of shape {received.shape}, or numbers that are none; export the model again"
            )
        return received.astype(np.float64)


def _is_size(value):
    return is_whole(value, 1, 1 << 20)


def _first_line(text):
    return (text or "no words").strip().splitlines()[0]
