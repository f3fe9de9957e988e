"""`videorep finetune`: an action classifier on labelled frames, from a pretrained encoder or from random weights."""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from videorep.bounds import LARGEST, require
from videorep.config import AUTO
from videorep.data.batches.sources import LabelledBlocks
from videorep.data.shards.statistics import standardising_constants
from videorep.models import build_classifier
from videorep.models.averaging import last_step
from videorep.models.linear_probe import average_states, start_softmax, state_reader
from videorep.models.pixels import to_unit_range
from videorep.training.first_weights import frames_like, load_pretrained
from videorep.training.forecast import require_memory
from videorep.training.job import Job, run_job, run_jobs
from videorep.training.loop import make_validation
from videorep.training.objectives import classifier_objective

VALIDATION = "validation"
MOST_BLOCKS = 2048  # that the softmax's start is found on


def finetune(config, out, *, repeats=1, **choices):
    """Trains a classifier and leaves a run's folder; with `repeats`, one run per random training subset.

    Args:
        config: FinetuneConfig; `features` 0 and empty `classes` are filled in from the data, and the shape of the
            encoder and the treatment of frames from the pretrained run `config.init`.
        out: Folder of the run; repeat k goes to `out/repeat-k`, with seed `seed + k`.
        repeats: Runs to make, each with its own draw of `videos_per_class` videos and its own initial weights.
        choices: resume, overwrite, dry_run, progress and strategy, as for `run_job`.
    Returns:
        dict: where the run is and what its last report said, or {"repeats": [such dicts]}.
    Raises:
        ConfigError, DataError, ShardError: the settings or the data do not fit; nothing was written.
        RunError, OutputError: a folder cannot be used.
    Source: Srivastava et al. 2015, section 3.3.
    """
    if repeats == 1:
        return run_job(prepare, config, out, **choices)
    most = LARGEST["repeats"]
    require(1 < repeats <= most, "repeats", f"a whole number from 1 to {most:,}", repeats)
    require(config.data.videos_per_class > 0, "videos_per_class", "given with repeats, which draw different videos", 0)
    configs = {f"repeat-{number}": _with_seed(config, config.training.seed + number) for number in range(repeats)}
    return run_jobs(prepare, configs, out, **choices)


def _with_seed(config, seed):
    return dataclasses.replace(config, training=dataclasses.replace(config.training, seed=seed))


def prepare(config, hashed=True):
    """The `Job` of a FinetuneConfig; its shards are compared with their hashes if `hashed`."""
    pretrained = load_pretrained(config.init)
    if pretrained is not None:
        config = _like_pretrained(config, pretrained.config)
    if config.softmax == AUTO:
        config = dataclasses.replace(config, softmax="regression" if pretrained else "random")
    seed = config.training.seed
    choices = {"seed": seed, "videos_per_class": config.data.videos_per_class, "hashed": hashed}
    blocks = LabelledBlocks(config.data, "train", *config.model.block, **choices)
    shape = dataclasses.replace(config.model, features=blocks.features, classes=tuple(blocks.labels))
    config = dataclasses.replace(config, model=shape)
    require_memory(config)
    encoder = None if pretrained is None else pretrained.model()
    constants = standardising_constants(blocks.statistics()) if shape.standardise and not encoder else None
    model = build_classifier(shape, encoder, seed=seed, dtype=config.training.precision)
    if constants is not None:
        model.standardisation.assign(*constants)
    regressed = config.softmax == "regression"
    facts = {
        "model": shape.name,
        "initial_weights": config.init or "random",
        "initial_softmax": config.softmax,
        "parameters": model.count_params(),
        "classes": len(shape.classes),
        "training_videos": blocks.videos,
    }
    encoder_weights = [variable for lstm in model.lstms for variable in lstm.trainable_variables]
    return Job(
        config,
        blocks,
        model,
        classifier_objective(model),
        facts,
        evaluate=_validation(config, model, hashed),
        slow=tuple(encoder_weights) if config.encoder_rate < 1 else (),
        slow_rate=config.encoder_rate,
        pretrained=pretrained,
        begin=functools.partial(_start_softmax, model, blocks, config.training) if regressed else None,
    )


def _validation(config, model, hashed):
    """A function that scores the blocks of the split validation; None where not asked for."""
    if not config.training.evaluate_every:
        return None
    blocks = LabelledBlocks(config.data, VALIDATION, *config.model.block, hashed=hashed)
    return make_validation(classifier_objective(model), blocks.evaluation(config.training.batch_size))


def _start_softmax(model, blocks, training):
    """Sets the softmax to logistic regression on the mean states of the blocks, or of a choice of them.

    Where the loss is of the last step, or every step has a class of its own, it learns from each block's last state.
    """
    read, states, labels = tf.function(state_reader(model), reduce_retracing=True), [], []
    batches = -(-min(blocks.blocks, MOST_BLOCKS) // training.batch_size)
    for batch in blocks.training(training.batch_size, training.seed).take(batches):
        label, mask = batch["label"], tf.cast(batch["mask"], tf.float32)
        if model.config.loss == "last" or len(label.shape) == 2:
            mask = tf.cast(last_step(mask), tf.float32)
        if len(label.shape) == 2:
            label = tf.reduce_sum(label * tf.cast(mask, label.dtype), axis=1)
        states.append(average_states(read({"frames": to_unit_range(batch["frames"])}), mask))
        labels.append(label)
    start_softmax(model, np.concatenate(states), np.concatenate(labels))


def _like_pretrained(config, pretrained):
    """The configuration with the encoder's units and the treatment of frames that the encoder was pretrained on."""
    shape = {"units": pretrained.model.units, "standardise": pretrained.model.standardise}
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, **shape),
        data=frames_like(config.data, pretrained),
    )
