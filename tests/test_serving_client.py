"""What a server may say that is no TensorFlow Serving, or has no model of ours: told in a sentence."""

import concurrent.futures
import contextlib
import json
import time

import numpy as np
import pytest

pytest.importorskip("tensorflow_serving", reason="tensorflow-serving-api, of the extra serving, is not installed")

import grpc
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis.predict_pb2 import PredictResponse
from tensorflow_serving.apis.prediction_service_pb2_grpc import (
    PredictionServiceServicer,
    add_PredictionServiceServicer_to_server,
)

from videorep.errors import ServerError
from videorep.serving.client import ModelServer, RemoteClips

FACTS = {"classes": ["run", "walk"], "block": [4, 2], "clips": {"fps": 20.0, "size": [16, 30]}}


@contextlib.contextmanager
def server_of(wait=0, timeout=20, **answers):
    """A `ModelServer` whose signatures always answer the same, {output: value}, after a wait."""

    class Service(PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802 (the stub's name)
            time.sleep(wait)
            answer = PredictResponse()
            for name, value in answers[request.model_spec.signature_name].items():
                is_proto = isinstance(value, TensorProto)
                answer.outputs[name].CopyFrom(value if is_proto else tf.make_tensor_proto(value))
            return answer

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        add_PredictionServiceServicer_to_server(Service(), server)
        address = f"localhost:{server.add_insecure_port('localhost:0')}"
        server.start()
        with grpc.insecure_channel(address) as channel:
            yield ModelServer(channel, address, "other", timeout)
        server.stop(None).wait()


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"facts": np.float32([1])},
        {"facts": ["[1, 2]"]},
        {"facts": ["{"]},
        {"facts": [b"\xff"]},
        {"facts": ["[" * 100_000]},
        {"facts": [json.dumps(FACTS)] * 2},
        *(
            {"facts": [json.dumps(FACTS | change)]}
            for change in (
                {"classes": "run"},
                {"classes": []},
                {"classes": [1, 2]},
                {"block": [4]},
                {"block": [4, 0]},
                {"block": [4, True]},
                {"clips": {"fps": "fast"}},
                {"clips": {"other": 1}},
                {"clips": None},
            )
        ),
    ],
    ids=str,
)
def test_a_model_that_says_other_things_of_itself_is_told(facts):
    with server_of(describe=facts) as server, pytest.raises(ServerError, match="received another model") as caught:
        RemoteClips(server)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"probabilities": np.float32([[0.2, 0.3, 0.5]])},
        {"probabilities": np.float32([0.2, 0.8])},
        {"probabilities": np.float32([[0.2, 0.8], [0.2, 0.8]])},
        {"probabilities": np.float32([[np.nan, 0.8]])},
        {"probabilities": np.float32([[np.inf, 0.8]])},
        {"probabilities": np.float32([[-1, 2]])},
        {"probabilities": [["run", "walk"]]},
        {"probabilities": np.int32([[0, 1]])},
    ],
    ids=str,
)
def test_probabilities_that_are_none_are_told(answer):
    with server_of(describe={"facts": [json.dumps(FACTS)]}, classify_frames=answer) as server:
        clips = RemoteClips(server)
        with pytest.raises(ServerError, match="expected a probability of each of 2 classes from classify_frames"):
            clips.extract_clip([b"image"] * 5, (16, 30))


def test_a_tensor_that_is_none_is_told():
    flawed = tf.make_tensor_proto(np.float32([0.2, 0.8]))
    flawed.tensor_shape.dim[0].size = 3
    flawed.tensor_content = flawed.tensor_content or np.float32([0.2, 0.8]).tobytes()
    with server_of(describe={"facts": flawed}) as server, pytest.raises(ServerError, match="expected tensors from"):
        server.ask("describe", request=[""])


def test_a_server_that_takes_too_long_is_told_as_slow():
    with server_of(wait=2, timeout=0.5, describe={}) as server, pytest.raises(ServerError) as caught:
        server.ask("describe", request=[""])
    assert "none within 0.5 s; give a slow one more with --timeout" in str(caught.value)


def test_what_a_good_model_answers_is_taken():
    good = {"probabilities": np.float32([[0.25, 0.75]])}
    with server_of(describe={"facts": [json.dumps(FACTS)]}, classify_frames=good) as server:
        received = RemoteClips(server).extract_clip([b"image"] * 9, (16, 30))
    np.testing.assert_array_equal(received, [[0.25, 0.75]] * 3)  # blocks that begin at 0, 2 and 4
