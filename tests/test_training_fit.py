"""Keras' own fit on NumPy arrays reaches the loss of `pretrain` at equal batches, on TensorFlow and on JAX."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from videorep.config import ModelConfig, PretrainConfig, PretrainTrainingConfig
from videorep.runs import load_run
from videorep.training.pretrain import pretrain

SCRIPT = Path(__file__).with_name("fit_moving_mnist.py")


@pytest.fixture(scope="module", params=["float32", "mixed_bfloat16"])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained") / "run"
    training = PretrainTrainingConfig(
        steps=60,
        batch_size=16,
        learning_rate=2e-3,
        decay=0.99,
        start_at_mean=False,
        warmup_steps=10,
        report_every=20,
        precision=request.param,
        seed=3,
    )
    pretrain(PretrainConfig(ModelConfig(units=(64,), conditional=("future",)), training=training), folder)
    return load_run(folder)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_fit_reaches_the_loss_of_pretrain(run, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    command = [sys.executable, SCRIPT, run.path / "config.json"]
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    losses = json.loads(done.stdout.splitlines()[-1])
    reported = [report["loss"] for report in run.metrics()]
    assert reported[-1] < 0.9 * reported[0]
    np.testing.assert_allclose(losses, reported, rtol=0.01)
