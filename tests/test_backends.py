"""Layers and models on Keras' other backends, each in a process of its own in which TensorFlow cannot be imported."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
FILES = {
    "jax": [
        "layers_peephole_lstm",
        "layers_recurrence",
        "layers_decoder",
        "layers_keras_options",
        "layers_keras_machinery",
        "layers_standardisation",
        "models_encoder_decoder",
        "models_fit",
    ],
    "torch": ["layers_peephole_lstm", "layers_decoder"],
}
# One half precision and one of each kind of call: what else the tests vary, no backend decides.
LEFT_OUT = ["float16", "saved", "prediction", "unmasked", "seed", "initial_weights"]
LEFT_OUT += ["bad", "horizon", "count", "number_of_layers", "KerasLayerTest", "outputs_and_parameters"]
# For arrays this small, XLA's slower optimisations and more than one thread cost more than they save.
SMALL_WORK = {
    "JAX_PLATFORMS": "cpu",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "OMP_NUM_THREADS": "1",
}
RUN = "import sys; sys.modules['tensorflow'] = None; import pytest; sys.exit(pytest.main(sys.argv[1:]))"


def start(backend):
    files = [str(TESTS / f"test_{name}.py") for name in FILES[backend]]
    chosen = " and ".join(f"not {word}" for word in LEFT_OUT)
    options = ["-q", "-x", "--noconftest", "-p", "no:cacheprovider", "--rootdir", str(TESTS), "-k", chosen]
    environment = {**os.environ, **SMALL_WORK, "KERAS_BACKEND": backend}
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *options, *files],
        env=environment,
        cwd=TESTS.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def processes():
    """One process per installed backend, side by side."""
    running = {backend: start(backend) for backend in FILES if importlib.util.find_spec(backend) is not None}
    yield running
    for process in running.values():
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("backend", FILES)
def test_layers_and_models_agree_with_the_oracle_on(backend, processes):
    """The same tests: forward and gradients against the oracle, masks, states, lengths, precision."""
    if backend not in processes:
        pytest.skip(f"{backend} is not installed")
    output, _ = processes[backend].communicate()
    assert processes[backend].returncode == 0, output[-6000:]
    assert " passed" in output
