"""The loop: learns, resumes exactly, refuses to go on with a loss that is no number, keeps its figures."""

import contextlib
import dataclasses
import errno
import itertools
import json
import os
import shutil
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_disk import fill, small_disk

from videorep.config import ClassifierConfig, FinetuneConfig, ModelConfig, PretrainConfig, TrainingConfig
from videorep.errors import OutputError, RunError, VideorepWarning
from videorep.models import build_classifier, build_model
from videorep.runs import create_run, load_run
from videorep.training.callbacks import EventLog, MetricsLog
from videorep.training.loop import TrainingLoop, evaluate_objective
from videorep.training.objectives import classifier_objective, encoder_decoder_objective
from videorep.training.optimizers import learning_rate_schedule

TRAINING = TrainingConfig(
    steps=20, batch_size=4, learning_rate=1e-2, warmup_steps=3, report_every=5, checkpoint_every=7, seed=1
)


def sequences(start, features=6, frames=5):
    """Endless batches; batch k depends on k alone."""

    def generate():
        step = start
        while True:
            rng = np.random.default_rng(step)
            base = rng.integers(0, 2, (4, 1, features), dtype="uint8") * 255
            yield {"frames": np.repeat(base, frames, axis=1)}
            step += 1

    spec = {"frames": tf.TensorSpec((4, frames, features), tf.uint8)}
    return tf.data.Dataset.from_generator(generate, output_signature=spec)


def make_loop(folder, training=TRAINING, **options):
    config = PretrainConfig(model=ModelConfig("composite", 6, (5,), 3, 2, output="bernoulli"), training=training)
    run = create_run(folder, config, resume=True)
    model = build_model("composite", 6, (5,), 3, 2, seed=1, dtype=training.precision)
    return TrainingLoop(model, encoder_decoder_objective(model), training, run, **options)


def weights(loop):
    return [np.asarray(weight) for weight in loop.model.get_weights()]


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam"])
def test_training_lowers_the_loss(tmp_path, optimizer):
    loop = make_loop(tmp_path / "run", dataclasses.replace(TRAINING, optimizer=optimizer))
    loop.fit(sequences(0))
    lines = loop.run.metrics()
    assert [line["step"] for line in lines] == [5, 10, 15, 20]
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert lines[-1]["sequences"] == 80
    assert lines[-1]["loss"] == pytest.approx(
        lines[-1]["reconstruction_cross_entropy_per_frame"] + lines[-1]["future_cross_entropy_per_frame"], rel=1e-5
    )


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


def figures(loop):
    """The lines of metrics.jsonl without the time they took."""
    return [{name: value for name, value in line.items() if name != "seconds"} for line in loop.run.metrics()]


@contextlib.contextmanager
def handling(number, handler):
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.fixture(autouse=True)
def ctrl_c_is_heeded():
    """Whoever runs the tests in the background of a shell has it ignored."""
    with handling(signal.SIGINT, signal.default_int_handler):
        yield


class Signalling:
    """A reporter that sends this process signals once `after` steps were made."""

    def __init__(self, after, *numbers):
        self.left, self.numbers = after, numbers

    @contextlib.contextmanager
    def task(self, *_, **__):
        def advance(count=1, note=""):
            self.left -= count
            if self.left == 0:
                for number in self.numbers:
                    signal.raise_signal(number)

        yield advance


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


def test_dropout_resumes_where_it_was(tmp_path):
    training = dataclasses.replace(TRAINING, steps=14)
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


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(tmp_path):
    loop = make_loop(tmp_path)
    loop.run.metrics_path.write_text('{"step": 5, "loss": 2.0}\n')
    assert loop.restore() == 0


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


def untrained(loop, losses):
    """The loop with steps that do nothing but give the losses."""
    given = iter(losses)
    loop.train_step = lambda batch: {"loss": tf.constant(next(given))}
    return loop


def test_a_loss_that_rose_is_told(tmp_path):
    loop = untrained(make_loop(tmp_path / "run"), np.linspace(1, 3, 20, dtype="float32"))
    with pytest.warns(VideorepWarning, match=r"the loss rose from 1\.21\d* by step 5 to 2\.78\d* by step 20"):
        loop.fit(sequences(0))


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


def test_validation_figures_stand_beside(tmp_path):
    training = dataclasses.replace(TRAINING, evaluate_every=10)
    loop = make_loop(tmp_path / "run", training, evaluate=lambda: {"loss": 5.0})
    loop.fit(sequences(0))
    assert [line.get("validation_loss") for line in loop.run.metrics()] == [None, 5.0, None, 5.0]


def test_a_resumed_run_reads_its_reports_once(tmp_path, monkeypatch):
    make_loop(tmp_path / "run").fit(sequences(0))
    before, read = load_run(tmp_path / "run").metrics(), []
    monkeypatch.setattr("videorep.reports.read_file", lambda path: read.append(path) or path.read_bytes())
    loop = make_loop(tmp_path / "run")
    assert loop.restore() == 20 and loop.fit(sequences(20)) == before[-1]
    assert read == [loop.run.metrics_path] and loop.run.metrics() == before


def test_every_validation_is_reported(tmp_path):
    """Between two reports of the loss it makes one of its own, and the next averages over what is left."""
    training = dataclasses.replace(TRAINING, evaluate_every=7)
    values = iter([{"loss": 5.0}, {"loss": 4.0}, {"loss": 3.0}])
    loop = make_loop(tmp_path / "run", training, evaluate=lambda: next(values))
    summary = untrained(loop, np.arange(20, 0, -1, dtype="float32")).fit(sequences(0))
    lines = [(line["step"], line["loss"], line.get("validation_loss")) for line in loop.run.metrics()]
    assert lines == [(5, 18, None), (7, 14.5, 5), (10, 12, None), (14, 8.5, 4), (15, 6, None), (20, 3, 3)]
    assert summary["validation_loss"] == 3


def test_events_hold_the_same_figures(tmp_path):
    loop = make_loop(tmp_path / "run")
    loop.fit(sequences(0))
    (path,) = loop.run.events.iterdir()
    losses = {}
    for record in tf.data.TFRecordDataset(str(path)):
        event = tf.compat.v1.Event.FromString(record.numpy())
        for value in event.summary.value:
            if value.tag == "loss":
                losses[event.step] = float(tf.make_ndarray(value.tensor))
    assert losses == {line["step"]: pytest.approx(line["loss"], rel=1e-6) for line in loop.run.metrics()}


def test_evaluate_objective_averages_over_examples():
    def objective(batch):
        return batch["x"], {"double": 2 * batch["x"]}

    batches = tf.data.Dataset.from_tensor_slices({"x": tf.range(5, dtype=tf.float32)}).batch(2)
    assert evaluate_objective(objective, batches) == {"loss": 2.0, "double": 4.0}


def test_learning_rate_warms_up_and_falls():
    schedule = learning_rate_schedule(TrainingConfig(steps=1000, learning_rate=2.0, warmup_steps=100))
    at = [float(schedule(step)) for step in (0, 50, 100, 550, 1000)]
    np.testing.assert_allclose(at, [0, 1, 2, 2 * (0.02 + 0.98 * 0.5), 0.04], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_gradients_are_clipped_by_their_global_norm(tmp_path, precision):
    rate, clip = 0.1, 1e-3
    training = TrainingConfig(
        batch_size=4, optimizer="sgd", momentum=0.0, learning_rate=rate, clip_norm=clip, warmup_steps=0,
        precision=precision,
    )  # fmt: skip
    loop = make_loop(tmp_path / "run", training)
    batch = next(iter(sequences(0)))
    variables = loop.model.trainable_variables
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(loop.objective(batch)[0])
    gradients = [np.asarray(each) for each in tape.gradient(loss, [variable.value for variable in variables])]
    norm = np.sqrt(sum(np.sum(np.square(each.astype(np.float64))) for each in gradients))
    before = [np.asarray(variable) for variable in variables]
    loop.train_step(batch)
    assert norm > 10 * clip
    for variable, old, gradient in zip(variables, before, gradients, strict=True):
        wanted = -rate * clip / norm * gradient
        np.testing.assert_allclose(np.asarray(variable) - old, wanted, rtol=0.02, atol=rate * clip * 2e-3)


def test_metrics_file_is_lines_of_json(tmp_path):
    loop = make_loop(tmp_path / "run")
    loop.fit(sequences(0))
    for line in load_run(tmp_path / "run").metrics_path.read_text().splitlines():
        assert {"step", "sequences", "seconds", "loss", "learning_rate"} <= json.loads(line).keys()
