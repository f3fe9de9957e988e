"""Layers and models on Keras' other backends, each in a process of its own in which TensorFlow cannot be imported."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
FILES = {
    "jax": ["layers_peephole_lstm", "layers_recurrence", "layers_decoder", "models_encoder_decoder"],
    "torch": ["layers_peephole_lstm", "layers_decoder"],
}
# One half precision and one of each kind of call: what else the tests vary, no backend decides.
LEFT_OUT = ["float16", "stacked", "saved", "prediction", "unmasked", "seed", "initial_weights"]
LEFT_OUT += ["bad", "horizon", "count", "number_of_layers", "KerasLayerTest", "outputs_and_parameters"]
RUN = "import sys; sys.modules['tensorflow'] = None; import pytest; sys.exit(pytest.main(sys.argv[1:]))"


@pytest.mark.parametrize("backend", FILES)
def test_layers_and_models_agree_with_the_oracle_on(backend):
    """The same tests: forward and gradients against the oracle, masks, states, lengths, precision."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    files = [str(TESTS / f"test_{name}.py") for name in FILES[backend]]
    chosen = " and ".join(f"not {word}" for word in LEFT_OUT)
    options = ["-q", "-x", "--noconftest", "-p", "no:cacheprovider", "--rootdir", str(TESTS), "-k", chosen]
    # XLA's slower optimisations cost more here than they save.
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    finished = subprocess.run(
        [sys.executable, "-c", RUN, *options, *files], env=environment, cwd=TESTS.parent, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stdout[-6000:] + finished.stderr[-2000:]
    assert " passed" in finished.stdout
