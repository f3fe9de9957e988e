"""Scheduled sampling: how much is shown when, and that a run goes on with the same draws."""

import dataclasses
import signal

import numpy as np
import pytest
from training_loops import Signalling

from videorep.config import ModelConfig, PretrainConfig, PretrainTrainingConfig
from videorep.data.batches.sources import open_source
from videorep.errors import ConfigError
from videorep.runs import load_run
from videorep.training.feeding import ScheduledSource
from videorep.training.pretrain import pretrain

pytestmark = pytest.mark.usefixtures("ctrl_c_is_heeded")
TRAINING = PretrainTrainingConfig(
    steps=6, batch_size=4, report_every=2, checkpoint_every=4, feeding="scheduled", seed=2**40
)


def shown_by(source, count, **options):
    return [batch["shown"].numpy() for batch in source.training(64, **options).take(count)]


def test_the_share_of_true_frames_falls_linearly_from_all(stored_percepts):
    source = ScheduledSource(open_source(stored_percepts[0], "train", 4), 4, 10)
    shares = [shown.mean() for shown in shown_by(source, 10, seed=3)]
    np.testing.assert_allclose(shares, 1 - np.arange(10) / 10, atol=4 * 0.5 / 256**0.5)
    assert shares[0] == 1 and source.provenance["windows"]


def test_a_step_draws_the_same_wherever_one_begins(stored_percepts):
    source = ScheduledSource(open_source(stored_percepts[0], "train", 4), 4, 10)
    whole, resumed, other = (
        shown_by(source, 7, seed=3),
        shown_by(source, 2, seed=3, start_step=5),
        shown_by(source, 7, seed=4),
    )
    np.testing.assert_array_equal(whole[5:], resumed)
    assert (whole[5] != other[5]).any() and (whole[5] != whole[6]).any()
    first = [batch["frames"].numpy() for batch in source.training(64, 3, 5).take(1)]
    np.testing.assert_array_equal(first[0], next(iter(source._source.training(64, 3, 5)))["frames"])


def test_an_interrupted_run_ends_with_the_same_weights(stored_percepts, tmp_path):
    model = ModelConfig(units=(5,), input_frames=2, future_frames=2, conditional=("reconstruction", "future"))
    config = PretrainConfig(model, stored_percepts[0], TRAINING)
    pretrain(config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        pretrain(config, tmp_path / "parts", progress=Signalling(3, signal.SIGINT))
    pretrain(config, tmp_path / "parts", resume=True)
    teacher = dataclasses.replace(config, training=dataclasses.replace(TRAINING, feeding="teacher"))
    pretrain(teacher, tmp_path / "teacher")
    whole, parts, taught = (load_run(tmp_path / name).model().get_weights() for name in ("whole", "parts", "teacher"))
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)
    assert any((one != other).any() for one, other in zip(whole, taught, strict=True))


def test_what_no_decoder_is_fed_with_cannot_be_chosen(tmp_path):
    with pytest.raises(ConfigError, match="--conditional"):
        pretrain(PretrainConfig(training=TRAINING), tmp_path / "run")
    assert not (tmp_path / "run").exists()
