"""What a dry run foretells agrees with what a run then takes."""

import dataclasses
import signal
import time
import types

import pytest
import tensorflow as tf

from videorep.config import (
    ClassifierConfig,
    DataConfig,
    FinetuneConfig,
    ModelConfig,
    PretrainConfig,
    PretrainTrainingConfig,
)
from videorep.errors import ConfigError
from videorep.models import build_model
from videorep.models.temporal_stream import build_temporal_stream
from videorep.training import forecast as module
from videorep.training.pretrain import pretrain

MODEL = ModelConfig(units=(40,), input_frames=2, future_frames=2)
TRAINING = PretrainTrainingConfig(steps=3, batch_size=2, report_every=1, checkpoint_every=1, warmup_steps=1)


def megabytes(text):
    number, unit = text.split()
    return float(number.replace(",", "")) * {"MiB": 1, "GiB": 1024}[unit]


@pytest.mark.slow
def test_disk_is_what_a_run_takes_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_SECONDS", 300.0)  # a machine that runs tests may be busy
    config = PretrainConfig(MODEL, DataConfig(), TRAINING)
    foretold = pretrain(config, tmp_path / "run", dry_run=True)["forecast"]
    assert list(tmp_path.iterdir()) == []
    assert foretold["time_per_step"].endswith(", measured on this machine, as busy as it is now")
    assert megabytes(foretold["memory"]) > 50
    pretrain(config, tmp_path / "run")
    taken = sum(path.stat().st_size for path in (tmp_path / "run").rglob("*") if path.is_file()) / 2**20
    assert megabytes(foretold["disk"]) == pytest.approx(taken, rel=0.1, abs=1)


def test_a_step_that_would_take_long_is_reckoned(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_measure", None)
    monkeypatch.setattr(module, "_speed", lambda dtype: 1e6)
    foretold = pretrain(PretrainConfig(MODEL, DataConfig(), TRAINING), tmp_path / "run", dry_run=True)["forecast"]
    assert "reckoned" in foretold["time_per_step"] and list(tmp_path.iterdir()) == []


class Loop:
    """Steps that take so many seconds, the first, which compiles, others."""

    def __init__(self, first, later):
        self._first, self._later = first, later

    def train_step(self, batch):
        time.sleep(self._first or self._later)
        self._first = 0
        return {"loss": 1.0}


@pytest.mark.parametrize(("first", "later", "count"), [(0.01, 0.01, 5), (0.01, 0.4, 2), (30.0, 0.01, 0)])
def test_what_is_measured_has_a_bound(monkeypatch, first, later, count):
    monkeypatch.setattr(module, "LONGEST_SECONDS", 1.0)
    begun = time.monotonic()
    assert len(module._measure(Loop(first, later), tf.TensorSpec((2, 3)))) == count
    assert time.monotonic() - begun < 10
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0) and signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


def test_a_bound_holds_where_python_drops_the_first_exception(monkeypatch, capsys):
    class Slow:
        def __del__(self):
            time.sleep(1)

    def step(batch):
        Slow()
        time.sleep(30)

    monkeypatch.setattr(module, "LONGEST_SECONDS", 0.5)
    begun = time.monotonic()
    assert module._measure(types.SimpleNamespace(train_step=step), tf.TensorSpec((2, 3))) == []
    assert time.monotonic() - begun < 10 and capsys.readouterr().err == ""


def test_compiling_is_cut_off_and_leaves_tensorflow_sound(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_SECONDS", 0.2)
    config = PretrainConfig(MODEL, DataConfig(), TRAINING)
    for _ in range(2):
        foretold = pretrain(config, tmp_path / "run", dry_run=True)["forecast"]
        assert foretold["time_per_step"].startswith("at least ") and foretold["time_of_all_steps"][:9] == "at least "
        assert foretold["time_per_step"].endswith(
            "reckoned from its matrix products on this machine, as busy as it is now"
        )
    assert float(tf.function(lambda: tf.constant(2.0) + 1)()) == 3 and tf.executing_eagerly()


def test_multiplications_of_an_encoder_decoder_are_its_matrix_products():
    model = build_model("composite", 50, (8,), 3, 2)
    gates, read_out = 4 * 8 * 8, 8 * 50
    products = 3 * 4 * 8 * 50 + (3 + 3 + 2) * gates + (3 + 2) * read_out
    assert module._multiplications(model, model.config) == pytest.approx(products, rel=0.2)


@pytest.mark.slow
def test_multiplications_of_the_stream_are_those_of_the_paper_s_net():
    from videorep.config import StreamModelConfig

    model = build_temporal_stream(101)
    assert module._multiplications(model, StreamModelConfig()) == pytest.approx(2.6e9, rel=0.2)


HUGE = [
    PretrainConfig(ModelConfig(features=4096, units=(2**16, 2**16))),
    PretrainConfig(ModelConfig(features=4096, input_frames=10**5), training=PretrainTrainingConfig(batch_size=10**6)),
    FinetuneConfig(ClassifierConfig(features=4096, classes=("a", "b"), units=(2**16, 2**16))),
]


@pytest.mark.parametrize("config", HUGE)
def test_what_no_memory_holds_is_refused_before_it_is_made(config):
    with pytest.raises(ConfigError, match=r"GiB of memory.*lower --units"):
        module.require_memory(config)


def test_what_fits_is_accepted(monkeypatch):
    config = PretrainConfig(
        ModelConfig(features=4096, units=(2048, 2048)), training=PretrainTrainingConfig(batch_size=100)
    )
    monkeypatch.setattr(module, "memory", lambda: 8 * 2**30)
    module.require_memory(config)
    single = ClassifierConfig("single-frame", features=1280, classes=("a", "b"))
    module.require_memory(dataclasses.replace(FinetuneConfig(), model=single))


def test_the_least_memory_holds_the_weights_that_the_model_has(monkeypatch):
    """Weights, gradients and one moment each: within the model's own count, and not far below."""
    config = PretrainConfig(ModelConfig(features=300, units=(70, 60)), training=PretrainTrainingConfig(batch_size=1))
    built = build_model("composite", 300, (70, 60)).count_params() * 4 * 3
    assert 0.7 * built < module._least_bytes(config) < 1.2 * built
