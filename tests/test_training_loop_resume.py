"""Training that is interrupted, and goes on as if it had not been."""

import dataclasses
import itertools
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from training_loops import TRAINING, Signalling, figures, handling, make_loop, sequences, untrained, weights

from videorep.config import ClassifierConfig, FinetuneConfig, TrainingConfig
from videorep.models import build_classifier
from videorep.runs import create_run, load_run
from videorep.training.loop import TrainingLoop
from videorep.training.objectives import classifier_objective

pytestmark = pytest.mark.usefixtures("ctrl_c_is_heeded")


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path, precision):
    training = dataclasses.replace(TRAINING, precision=precision)
    whole = make_loop(tmp_path / "whole", training)
    whole.fit(sequences(0))

    class StopHereError(Exception):
        pass

    def interrupted_batches():
        yield from sequences(0).take(12)
        raise StopHereError

    first = make_loop(tmp_path / "parts", training)
    spec = {"frames": tf.TensorSpec((4, 5, 6), tf.uint8)}
    with pytest.raises(tf.errors.OpError):
        first.fit(tf.data.Dataset.from_generator(interrupted_batches, output_signature=spec))
    second = make_loop(tmp_path / "parts", training)
    assert second.restore() == 7
    second.fit(sequences(7))
    for expected, received in zip(weights(whole), weights(second), strict=True):
        np.testing.assert_array_equal(expected, received)
    assert [line["step"] for line in second.run.metrics()] == [5, 10, 15, 20]
    assert figures(second) == figures(whole)


@pytest.mark.parametrize("after", [1, 5, 9])
def test_ctrl_c_keeps_every_whole_step(tmp_path, after):
    """No figure and no weight differs, also where the signal falls between two reports."""
    whole, first = make_loop(tmp_path / "whole"), make_loop(tmp_path / "parts")
    whole.fit(sequences(0))
    with pytest.raises(KeyboardInterrupt):
        first.fit(sequences(0), Signalling(after, signal.SIGINT))
    second = make_loop(tmp_path / "parts")
    assert second.restore() == after
    second.fit(sequences(after))
    for expected, received in zip(weights(whole), weights(second), strict=True):
        np.testing.assert_array_equal(expected, received)
    assert figures(second) == figures(whole)


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    loop = make_loop(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        loop.fit(sequences(0), Signalling(2, signal.SIGINT, signal.SIGINT))
    assert make_loop(tmp_path / "run").restore() == 0


def test_sigterm_is_handed_on_to_who_listened_before(tmp_path):
    """It ends training whatever the listener does: an unfinished model must not pass for a finished one."""
    received = []
    with handling(signal.SIGTERM, lambda number, frame: received.append(number)), pytest.raises(KeyboardInterrupt):
        make_loop(tmp_path / "run").fit(sequences(0), Signalling(3, signal.SIGTERM))
    assert received == [signal.SIGTERM] and make_loop(tmp_path / "run").restore() == 3


def test_a_hang_up_ends_training_as_sigterm_does(tmp_path):
    received = []
    with handling(signal.SIGHUP, lambda number, frame: received.append(number)), pytest.raises(KeyboardInterrupt):
        untrained(make_loop(tmp_path / "run"), itertools.repeat(1.0)).fit(sequences(0), Signalling(3, signal.SIGHUP))
    assert received == [signal.SIGHUP] and make_loop(tmp_path / "run").restore() == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_is_ignored_stays_ignored(tmp_path, number):
    """As SIGINT is in a shell's background jobs, and SIGHUP under nohup."""
    loop = untrained(make_loop(tmp_path / "run"), itertools.repeat(1.0))
    with handling(number, signal.SIG_IGN):
        loop.fit(sequences(0), Signalling(3, number))
    assert loop.run.metrics()[-1]["step"] == TRAINING.steps


@pytest.mark.filterwarnings("ignore:the loss rose")  # the labels are random, nothing is learned
def test_dropout_resumes_where_it_was(tmp_path):
    training = TrainingConfig(steps=14, batch_size=4, learning_rate=1e-2, report_every=5, checkpoint_every=7, seed=1)
    config = ClassifierConfig(features=3, units=(4,), classes=("a", "b"))

    def labelled(start):
        def generate():
            step = start
            while True:
                rng = np.random.default_rng(step)
                yield {
                    "frames": rng.normal(size=(4, 6, 3)).astype("float32"),
                    "mask": np.ones((4, 6), bool),
                    "label": rng.integers(0, 2, 4, dtype="int32"),
                }
                step += 1

        spec = {
            "frames": tf.TensorSpec((4, 6, 3), tf.float32),
            "mask": tf.TensorSpec((4, 6), tf.bool),
            "label": tf.TensorSpec((4,), tf.int32),
        }
        return tf.data.Dataset.from_generator(generate, output_signature=spec)

    def loop(name, steps):
        run = create_run(tmp_path / name, FinetuneConfig(model=config, training=training), resume=True)
        model = build_classifier(config, seed=1)
        return TrainingLoop(model, classifier_objective(model), dataclasses.replace(training, steps=steps), run)

    whole = loop("whole", 14)
    whole.fit(labelled(0))
    # Both loops share one learning-rate schedule, so the first part is cut off by stopping, not by fewer steps.
    part = loop("part", 14)

    class StopAfter(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch >= 10

    part.callbacks = (StopAfter(),)
    part.fit(labelled(0))
    rest = loop("part", 14)
    assert rest.restore() == 7
    rest.fit(labelled(7))
    for expected, received in zip(weights(whole), weights(rest), strict=True):
        np.testing.assert_array_equal(expected, received)


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(tmp_path):
    loop = make_loop(tmp_path)
    loop.run.metrics_path.write_text('{"step": 5, "loss": 2.0}\n')
    assert loop.restore() == 0


def test_a_resumed_run_reads_its_reports_once(tmp_path, monkeypatch):
    make_loop(tmp_path / "run").fit(sequences(0))
    before, read = load_run(tmp_path / "run").metrics(), []
    monkeypatch.setattr("videorep.metrics_file.read_file", lambda path: read.append(path) or path.read_bytes())
    loop = make_loop(tmp_path / "run")
    assert loop.restore() == 20 and loop.fit(sequences(20)) == before[-1]
    assert read == [loop.run.metrics_path] and loop.run.metrics() == before
