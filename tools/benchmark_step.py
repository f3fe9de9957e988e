"""Milliseconds per step of a classifier in TensorFlow, LiteRT and ONNX Runtime, one thread each; needs both extras.

python tools/benchmark_step.py --units 512 --features 1280
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from videorep.config import ClassifierConfig, FinetuneConfig
from videorep.models import build_classifier
from videorep.serving.converters import FORMATS
from videorep.serving.formats import make_functions
from videorep.serving.signatures import serve

CLASSES = tuple(map(str, range(101)))


def open_steps(config, folder):
    """{name: function of named arrays that gives named arrays} of the three."""
    served = serve(build_classifier(config, seed=0), FinetuneConfig(config))
    function, steps = make_functions(served)["step"], {}
    concrete = function.get_concrete_function()

    def in_tensorflow(**inputs):
        answer = concrete(**{name: tf.constant(array) for name, array in inputs.items()})
        return {name: each.numpy() for name, each in answer.items()}

    for name, each in FORMATS.items():
        path = folder / f"step{each.suffix}"
        path.write_bytes(each.convert(function, served))
        steps[name] = each.load(path)
    return {"tensorflow": in_tensorflow} | steps, served.state_size


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--units", type=int, nargs="+", default=[512], help="of every layer")
    parser.add_argument("--features", type=int, default=1280)
    parser.add_argument("--steps", type=int, default=1000)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    config = ClassifierConfig(features=arguments.features, units=tuple(arguments.units), classes=CLASSES)
    frames = np.random.default_rng(0).random((arguments.steps, 1, config.features), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        steps, size = open_steps(config, Path(folder))
        states, times = dict.fromkeys(steps, np.zeros((1, size), np.float32)), {name: [] for name in steps}
        answers = {name: [] for name in steps}
        for frame in frames:  # in turn, so that other programs disturb all alike
            for name, step in steps.items():
                begun = time.perf_counter()
                answer = step(frame=frame, state=states[name])
                times[name].append(1000 * (time.perf_counter() - begun))
                states[name] = answer["next_state"]
                answers[name].append(answer["probabilities"])
    for name in steps:
        median, slow = np.percentile(times[name], (50, 99))
        apart = np.abs(np.stack(answers[name]) - np.stack(answers["tensorflow"])).max()
        print(f"{name}: median {median:.3f} ms, 99th percentile {slow:.3f} ms, at most {apart:.1e} from TensorFlow")


if __name__ == "__main__":
    main()
