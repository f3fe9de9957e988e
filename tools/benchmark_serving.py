"""Many requests of several clients at once to an exported classifier: errors, the server's memory, milliseconds.

python tools/benchmark_serving.py --requests 10000 --clients 8

The server is tools/model_server.py in a process of its own: gRPC with the official stubs in front of the loader that
TensorFlow Serving has. The clients are threads with a connection each. Every answer is held against the Keras model.
Beside it the bare signature in this process, one request after the other. Needs tensorflow-serving-api and Linux.
Exit status 1 if a request failed, an answer differs or the server's memory grew by more than 2 %.
"""

import argparse
import contextlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
from endurance_soak import judge, sample
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from videorep.config import ClassifierConfig, FinetuneConfig
from videorep.models import build_classifier
from videorep.runs import create_run
from videorep.serving.export import export
from videorep.serving.probe import Session

NAME, SIGNATURE, CLOSE = "classifier", "classify", 1e-5
BARE = 1000  # requests without a server, at most
DIFFERENT = 16  # requests, then they come again
CLASSES = tuple(map(str, range(101)))
SERVER = Path(__file__).with_name("model_server.py")
ALONE = [("grpc.use_local_subchannel_pool", 1)]  # a client's connection is its own


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=10_000, help=f"to the server; at most {BARE:,} without")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--units", type=int, nargs="+", default=[512], help="of every layer")
    parser.add_argument("--features", type=int, default=1280)
    parser.add_argument("--frames", type=int, default=16, help="of a request, whose batch is 1; one block")
    parser.add_argument("--seed", type=int, default=0, help="of the weights and the frames")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(arguments)
        path = export_model(model, Path(folder))
        videos, expected = draw_videos(model, arguments)
        with served(path) as (process, port):
            times, problems, samples = ask_server(process, port, videos, expected, arguments)
        rows = {f"server, {arguments.clients} clients": times}
        for name, ask in open_bare(path).items():
            rows[name] = time_requests(ask, videos, expected, range(min(arguments.requests, BARE)), problems)
    figures, faults = judge(samples)
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, seed {arguments.seed}")
    for name, each in rows.items():
        median, slow = np.percentile(each, (50, 99)) if each else (np.nan, np.nan)
        print(f"{name}: {len(each):,} answers, median {median:.2f} ms, 99th percentile {slow:.2f} ms")
    before, after = figures.get("memory_mib", (np.nan, np.nan))
    print(f"server's memory: {before:,.1f} MiB in the second quarter, {after:,.1f} MiB in the last")
    print("; ".join([*problems[:5], *faults]) or "no error, all answers those of Keras")
    sys.exit(1 if problems or faults else 0)


def make_model(arguments):
    """A classifier with random weights, of which a request is one block."""
    options = {"features": arguments.features, "units": tuple(arguments.units), "block_frames": arguments.frames}
    return build_classifier(ClassifierConfig(classes=CLASSES, **options), seed=arguments.seed)


def export_model(model, folder):
    """Path of the model's export, within an empty folder."""
    run = create_run(folder / "run", FinetuneConfig(model.config))
    run.save_model(model)
    run.write_provenance({"data": {}})
    return export(run.path, folder / "serving", check=False)["path"]


def draw_videos(model, arguments):
    """Frames of several requests, (N, 1, T, D), and what Keras makes of them, probabilities (N, 1, K)."""
    shape = (DIFFERENT, 1, arguments.frames, arguments.features)
    videos = np.random.default_rng(arguments.seed).normal(size=shape).astype(np.float32)
    return videos, model({"frames": videos[:, 0]}, training=False).numpy().mean(axis=1)[:, None]


@contextlib.contextmanager
def served(path):
    """(process, gRPC port) of a server of an export."""
    words, settings = [sys.executable, SERVER, path, NAME], os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=settings) as process:
        try:
            yield process, int(process.stdout.readline().split()[0])
        finally:
            process.kill()


def ask_server(process, port, videos, expected, arguments):
    """([milliseconds], [what is wrong with answers], [samples of the server]) of all clients' requests."""
    problems, samples, begun = [], [], time.monotonic()
    with ThreadPoolExecutor(arguments.clients) as pool:
        shares = [range(first, arguments.requests, arguments.clients) for first in range(arguments.clients)]
        running = [pool.submit(be_client, port, videos, expected, share, problems) for share in shares]
        while wait(running, timeout=0.1).not_done:
            with contextlib.suppress(FileNotFoundError, KeyError):  # it has ended, as every request will tell
                samples.append(sample(process.pid, (time.monotonic() - begun) / 60))
    return [each for client in running for each in client.result()], problems, samples


def be_client(port, videos, expected, share, problems):
    """As `time_requests`, over a connection of its own."""
    requests = [PredictRequest() for _ in videos]
    for request, frames in zip(requests, videos, strict=True):
        request.model_spec.name, request.model_spec.signature_name = NAME, SIGNATURE
        request.inputs["frames"].CopyFrom(tf.make_tensor_proto(frames))
    with grpc.insecure_channel(f"localhost:{port}", ALONE) as channel:
        predict = PredictionServiceStub(channel).Predict

        def ask(number, _):
            return tf.make_ndarray(predict(requests[number], timeout=60).outputs["probabilities"])

        return time_requests(ask, videos, expected, share, problems)


def open_bare(path):
    """{name: function of a request's number and frames that gives an array} of the export without a server."""
    session, loaded = Session(path), tf.saved_model.load(path)

    def ask_loaded(_, frames):
        return loaded.signatures[SIGNATURE](tf.constant(frames))["probabilities"].numpy()

    def ask_session(_, frames):
        return session.run(SIGNATURE, {"frames": frames})["probabilities"]

    return {"tf.saved_model.load": ask_loaded, "C API": ask_session}


def time_requests(ask, videos, expected, share, problems):
    """Milliseconds of each of a share of the requests; what is wrong is added to `problems`."""
    times = []
    for number in share:
        number %= len(videos)
        begun = time.perf_counter()
        try:
            received = ask(number, videos[number])
        except (grpc.RpcError, RuntimeError, tf.errors.OpError) as error:
            problems.append(f"{type(error).__name__}: {error}")
            continue
        times.append(1000 * (time.perf_counter() - begun))
        apart = np.abs(received - expected[number]).max() if received.shape == expected[number].shape else np.inf
        if not apart <= CLOSE:
            problems.append(f"an answer differs by {apart:g} from Keras")
    return times


if __name__ == "__main__":
    main()
