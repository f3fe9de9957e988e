"""What the loop refuses to go on with, and what it keeps then."""

import contextlib
import dataclasses
import errno
import itertools
import os
import shutil
import signal

import numpy as np
import pytest
import tensorflow as tf
from small_disk import fill, small_disk
from training_loops import TRAINING, Signalling, make_loop, sequences, untrained

from videorep.errors import OutputError, RunError, VideorepWarning
from videorep.training.callbacks import EventLog, MetricsLog

pytestmark = pytest.mark.usefixtures("ctrl_c_is_heeded")


def test_a_loss_that_is_no_number_stops_training(tmp_path):
    loop = make_loop(tmp_path / "run")
    loop.model.set_weights([np.full_like(weight, np.nan) for weight in loop.model.get_weights()])
    with pytest.raises(RunError, match="expected a finite loss"):
        loop.fit(sequences(0))
    assert not loop.run.finished


def test_a_rate_that_is_too_high_keeps_what_was_sound(tmp_path):
    """The loss of a step is that before its update: that the weights are none any more shows in them alone."""
    loop = make_loop(tmp_path / "run", dataclasses.replace(TRAINING, steps=1, learning_rate=3e38))
    with pytest.raises(RunError, match=r"expected finite weights.*train again$"):
        loop.fit(sequences(0))
    assert not list(loop.run.path.rglob("*.index"))


@pytest.mark.parametrize("spoiled", [4, 3], ids=["at a checkpoint", "at Ctrl-C"])
def test_a_run_that_diverges_between_reports_keeps_its_checkpoint(tmp_path, spoiled):
    """Neither a checkpoint before the next report nor one at Ctrl-C replaces the sound one."""
    training = dataclasses.replace(TRAINING, checkpoint_every=2, report_every=20)
    numbers = itertools.count(1)

    def step(batch):
        if next(numbers) == spoiled:
            loop.model.trainable_variables[0].assign(loop.model.trainable_variables[0] * np.nan)
        return {"loss": tf.constant(1.0)}

    loop = make_loop(tmp_path / "run", training)
    loop.train_step = step
    with pytest.raises(RunError, match=rf"by step {spoiled}; .*checkpoint of step 2 in .* is sound"):
        loop.fit(sequences(0), Signalling(spoiled, signal.SIGINT))
    assert make_loop(tmp_path / "run", training).restore() == 2


def test_training_stops_where_the_checkpoints_that_reports_tell_of_are_gone(tmp_path):
    make_loop(tmp_path).fit(sequences(0))
    shutil.rmtree(tmp_path / "checkpoints")
    with pytest.raises(RunError, match=r"expected checkpoints in .* though .*metrics.jsonl has reports up to step"):
        make_loop(tmp_path).restore()


def test_garbled_metrics_are_told(tmp_path):
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1, "loss": 2.0}\n\xff\n\xfe{}\n{"step": 2')
    with pytest.warns(VideorepWarning, match=r"2 lines of .*metrics.jsonl are no reports"):
        MetricsLog(tmp_path / "metrics.jsonl").go_on_from(5)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1, "loss": 2.0}\n'


def test_a_resumed_run_keeps_what_is_sound_of_its_metrics(tmp_path):
    loop = make_loop(tmp_path / "run", dataclasses.replace(TRAINING, steps=20))
    loop.run.metrics_path.write_bytes(b'{"step": 0, "loss": 9}\n\xff\xfe\n[1]\n{"loss": 2}\n{"step": 99}\n{"step"')
    with pytest.warns(VideorepWarning, match="3 lines of"):
        MetricsLog(loop.run.metrics_path).go_on_from(7)
    assert loop.run.metrics_path.read_text() == '{"step": 0, "loss": 9}\n'
    assert sorted(path.name for path in loop.run.path.iterdir()) == ["config.json", "metrics.jsonl"]


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_the_events_are_closed_however_training_ends(tmp_path, error, monkeypatch):
    closed = []
    monkeypatch.setattr(EventLog, "close", lambda self: closed.append(self))
    loop = make_loop(tmp_path / "run", dataclasses.replace(TRAINING, steps=1))
    loop.train_step = lambda batch: {"loss": tf.constant(1.0)}
    numbers = [signal.SIGINT] if error else []
    with pytest.raises(error) if error else contextlib.nullcontext():
        loop.fit(sequences(0), Signalling(1, *numbers))
    assert len(closed) == 1


def test_a_full_disk_is_told_whatever_was_being_written(tmp_path, monkeypatch):
    loop = untrained(make_loop(tmp_path / "run"), itertools.repeat(1.0))
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with monkeypatch.context() as patch:
        patch.setattr("videorep.training.callbacks.to_line", lambda report: (_ for _ in ()).throw(full))
        with pytest.raises(OutputError, match=r"metrics into .*No space left on device; free some space .*--resume"):
            loop.fit(sequences(0))


def test_a_disk_that_is_full_of_events_is_told(tmp_path):
    with small_disk(tmp_path / "disk", "64k") as disk:
        fill(disk / "filler", leave=4)
        with pytest.raises(OutputError, match=r"events into .*No space left on device; free some space .*--resume"):
            log = EventLog(disk / "events", 0)
            for step in range(1000):
                log.on_epoch_end(step, {"loss": 1.0})
        (disk / "filler").unlink()
        log = EventLog(disk / "events", 3)
        log.on_epoch_end(4, {"loss": 1.0})
        log.close()
