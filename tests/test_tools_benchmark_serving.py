"""tools/benchmark_serving.py, with a few requests to a small model."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow_serving", reason="tensorflow-serving-api, of the extra serving, is not installed")

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import benchmark_serving


def test_a_few_requests_are_answered_as_by_keras_and_measured():
    """Whether so few leave memory flat says nothing, so that the exit status is not looked at."""
    few = ["--requests", "60", "--clients", "3", "--units", "4", "--features", "5", "--frames", "6", "--seed", "1"]
    ended = subprocess.run([sys.executable, benchmark_serving.__file__, *few], capture_output=True, text=True)
    rows = re.findall(r"(.+): 60 answers, median (\d+\.\d+) ms, 99th percentile (\d+\.\d+) ms", ended.stdout)
    assert [name for name, *_ in rows] == ["server, 3 clients", "tf.saved_model.load", "C API"], ended.stderr
    assert all(0 < float(median) <= float(slow) for _, median, slow in rows)
    assert "seed 1" in ended.stdout and "server's memory: " in ended.stdout
    assert "differs" not in ended.stdout and "Error" not in ended.stdout


def test_answers_that_are_others_and_requests_that_fail_are_problems():
    expected, problems = np.float32([[[0.25, 0.75]], [[0.5, 0.5]]]), []

    def ask(number, _):
        if number:
            raise RuntimeError("refused")
        return expected[0] + np.float32([[0, 0.125]])

    assert len(benchmark_serving.time_requests(ask, expected, expected, range(4), problems)) == 2
    assert problems == ["an answer differs by 0.125 from Keras", "RuntimeError: refused"] * 2
