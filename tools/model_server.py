"""A model server for tests and measurements: gRPC with the official stubs, and REST, on TensorFlow Serving's loader.

python tools/model_server.py FOLDER NAME    # prints the two ports
"""

import concurrent.futures
import http.server
import json
import sys
import threading
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis.predict_pb2 import PredictResponse
from tensorflow_serving.apis.prediction_service_pb2_grpc import (
    PredictionServiceServicer,
    add_PredictionServiceServicer_to_server,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "videorep" / "serving"))
from probe import Session


class Service(PredictionServiceServicer):
    def __init__(self, session, name):
        self._session, self._name = session, name

    def Predict(self, request, context):  # noqa: N802 (the stub's name)
        spec, answer = request.model_spec, PredictResponse()
        if spec.name != self._name:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: Latest({spec.name})")
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        try:
            outputs = self._session.run(spec.signature_name or "serving_default", inputs)
        except (RuntimeError, KeyError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        for key, array in outputs.items():
            answer.outputs[key].CopyFrom(tf.make_tensor_proto(array))
        return answer


def handler_of(session):
    class Handler(http.server.BaseHTTPRequestHandler):
        """Predict of TensorFlow Serving's REST: "instances" (rows) and "inputs" (columns)."""

        def do_POST(self):
            try:
                status, answer = 200, _answer(session, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            except (RuntimeError, LookupError, TypeError, ValueError) as error:
                status, answer = 400, {"error": str(error)}
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_):
            pass

    return Handler


def _answer(session, asked):
    """What a request in JSON gets; an error where its words or values do not fit the signature."""
    name = asked.get("signature_name", "serving_default")
    signature = session.signatures[name]
    columns = asked.get("inputs")
    if columns is None:
        (only, *_) = signature.inputs
        rows = [row if isinstance(row, dict) else {only: row} for row in asked["instances"]]
        columns = {key: [row[key] for row in rows] for key in rows[0]}
    kinds = {key: tf.as_dtype(tensor.dtype).as_numpy_dtype for key, tensor in signature.inputs.items()}
    outputs = session.run(name, {key: np.array(value, kinds[key]) for key, value in columns.items()})
    told = {key: _plain(array) for key, array in outputs.items()}
    if "instances" not in asked:
        return {"outputs": told}
    return {"predictions": [dict(zip(told, row, strict=True)) for row in zip(*told.values(), strict=True)]}


def _plain(array):
    return (np.char.decode(array.astype(bytes)) if array.dtype == object else array).tolist()


def main(folder, name):
    session = Session(folder)
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), options=options)
    add_PredictionServiceServicer_to_server(Service(session, name), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    rest = http.server.ThreadingHTTPServer(("localhost", 0), handler_of(session))
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    print(port, rest.server_port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
