"""`videorep train-stream`: the temporal-stream convnet on stacks of optical flow, or the same net on RGB frames."""

import dataclasses

import numpy as np
import tensorflow as tf
from keras import ops

from videorep.data.batches.stacks import LabelledStacks
from videorep.models.temporal_stream import INPUT_SIZE, build_temporal_stream
from videorep.training.job import Job, run_job

HELD_OUT = "test"


def train_stream(config, out, **choices):
    """Trains CNN-M-2048 on labelled clip shards and leaves a run whose "fc6" gives percepts.

    With `config.training.evaluate_every`, the accuracy on the split "test" is reported: the probabilities of 25 stacks
    of each clip averaged, beside the accuracy of the commonest class ("chance").

    Args:
        config: StreamConfig; empty `classes` are filled in from the data.
        out: Folder of the run.
        choices: resume, overwrite, dry_run and progress, as for `run_job`.
    Returns:
        dict: where the run is and what its last report said.
    Raises:
        ConfigError, ShardError: the settings or the data do not fit; nothing was written.
        RunError, OutputError: the folder cannot be used.
    Source: Simonyan and Zisserman 2014.
    """
    return run_job(prepare, config, out, **choices)


def prepare(config, hashed=True):
    """The `Job` of a StreamConfig; its shards are compared with their hashes if `hashed`."""
    stack = config.model.flow_stack if config.model.stream == "flow" else 0
    stacks = LabelledStacks(config.data.path, "train", INPUT_SIZE, stack, hashed=hashed)
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, classes=tuple(stacks.labels)))
    shape, training = config.model, config.training
    model = build_temporal_stream(
        len(shape.classes), shape.stream, shape.flow_stack, shape.dropout, training.seed, training.precision
    )
    facts = {
        "model": f"{shape.stream} stream",
        "parameters": model.count_params(),
        "classes": len(shape.classes),
        "training_clips": stacks.clips,
    }
    evaluate = _evaluation(config, model, stack, hashed) if training.evaluate_every else None
    return Job(config, stacks, model, stream_objective(model), facts, evaluate)


def stream_objective(model):
    """Cross entropy of the label of each stack.

    Returns:
        A function of a batch {"frames": (B, S, S, C), "label": (B,)} and `training` that gives the loss (B,), nats, and
        its parts: the loss again and the accuracy.
    """

    def objective(batch, training=True):
        probabilities = model(ops.cast(batch["frames"], "float32"), training=training)
        wanted = ops.one_hot(batch["label"], probabilities.shape[-1], dtype="float32")
        loss = -ops.log(ops.maximum(ops.sum(probabilities * wanted, axis=-1), 1e-7))
        right = ops.equal(ops.argmax(probabilities, axis=-1), ops.cast(batch["label"], "int32"))
        return loss, {"cross_entropy_per_stack": loss, "stack_accuracy": ops.cast(right, "float32")}

    return objective


def _evaluation(config, model, stack, hashed):
    """A function that gives the accuracy on the held-out clips, and chance."""
    stacks = LabelledStacks(config.data.path, HELD_OUT, INPUT_SIZE, stack, hashed)
    predict = tf.function(lambda frames: model(tf.cast(frames, tf.float32), training=False), reduce_retracing=True)

    labels = stacks.clip_labels

    def evaluate():
        probabilities = stacks.average(predict, config.training.batch_size)
        return {
            "clip_accuracy": float(np.mean(probabilities.argmax(axis=1) == labels)),
            "chance": float(np.bincount(labels).max() / len(labels)),
            "clips": stacks.clips,
        }

    return evaluate
