"""The loop: learns, validates and keeps its figures."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from training_loops import TRAINING, make_loop, sequences, untrained

from videorep.config import TrainingConfig
from videorep.errors import VideorepWarning
from videorep.runs import load_run
from videorep.training.loop import evaluate_objective
from videorep.training.optimizers import learning_rate_schedule


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam", "bounded-rmsprop"])
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


def test_a_loss_that_rose_is_told(tmp_path):
    loop = untrained(make_loop(tmp_path / "run"), np.linspace(1, 3, 20, dtype="float32"))
    with pytest.warns(VideorepWarning, match=r"the loss rose from 1\.21\d* by step 5 to 2\.78\d* by step 20"):
        loop.fit(sequences(0))


def test_validation_figures_stand_beside(tmp_path):
    training = dataclasses.replace(TRAINING, evaluate_every=10)
    loop = make_loop(tmp_path / "run", training, evaluate=lambda: {"loss": 5.0})
    loop.fit(sequences(0))
    assert [line.get("validation_loss") for line in loop.run.metrics()] == [None, 5.0, None, 5.0]


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
