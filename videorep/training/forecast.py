"""What a run will take, told by a dry run: time per step, memory and disk. Nothing is written."""

import contextlib
import dataclasses
import os
import resource
import statistics
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from videorep.config import ClassifierConfig, ModelConfig, StreamModelConfig
from videorep.errors import ConfigError
from videorep.progress import format_seconds
from videorep.runs import Run
from videorep.training.checkpoints import KEPT
from videorep.training.interruption import OutOfTime, stopped_after
from videorep.training.loop import TrainingLoop

FLOAT = 4  # bytes
MOMENTS = {"sgd": 1, "rmsprop": 1, "adam": 2, "bounded-rmsprop": 2}
STEPS = 5
LONGEST_SECONDS = 10.0  # that steps are compiled and measured for
MATRIX = 1024
CGROUP = Path("/sys/fs/cgroup/memory.max")


def require_memory(config):
    """Refuses a model and batches that cannot fit into the memory of this machine, before they are made.

    Args:
        config: PretrainConfig or FinetuneConfig whose `features` are known.
    Raises:
        ConfigError: weights, gradients, moments and one batch take more than there is.
    """
    least, there = _least_bytes(config), memory()
    if least > there:
        raise ConfigError(
            f"expected a model and batches that fit into the {format_bytes(there)} of memory of this machine, received "
            f"ones that take at least {format_bytes(least)}; lower --units, --layers, --batch-size or the number of "
            "frames"
        )


def _least_bytes(config):
    model, training = config.model, config.training
    is_classifier = isinstance(model, ClassifierConfig)
    units = () if model.name == "single-frame" else model.units
    widths = (model.features, *units)
    recurrent = sum(4 * size * (size + 1) for size in units)
    encoder = recurrent + sum(4 * size * width for size, width in zip(units, widths[:-1], strict=True))
    heads = [len(model.classes)] if is_classifier else [model.features] * len(model.branches)
    decoders = 0 if is_classifier else recurrent * len(heads)
    weights = encoder + decoders + sum(heads) * widths[-1]
    frames = model.block[0] if is_classifier else model.sequence_frames
    batch = training.batch_size * frames * (model.features + 4 * sum(units))
    return FLOAT * (weights * (2 + MOMENTS[training.optimizer]) + batch)


def memory():
    """Bytes of memory that this process may have."""
    limit = CGROUP.read_text().strip() if CGROUP.is_file() else "max"
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(physical, int(limit)) if limit.isdecimal() else physical


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a job takes: seconds per step, whether these were measured, else at least, bytes of memory and of disk."""

    seconds: float
    is_measured: bool
    memory: int
    disk: int


def measure_cost(job):
    """Runs a few steps of a job on made-up data, as far as that does not take long, and reckons the rest.

    Args:
        job: `videorep.training.job.Job`.
    Returns:
        Cost.
    """
    training = job.config.training
    loop = TrainingLoop(job.model, job.objective, training, Run(Path(os.devnull), job.config))
    seconds = 6 * training.batch_size * _multiplications(job.model, job.config.model) / _speed(job.model.compute_dtype)
    times = []
    if seconds * (1 + STEPS) <= LONGEST_SECONDS:
        times = _measure(loop, job.data.training(training.batch_size, training.seed).element_spec)
    trained = _bytes(job.model.variables) + _bytes(loop.optimizer.variables)
    held = peak_memory() if times else peak_memory() + trained + _activations(job)
    disk = (KEPT + 1) * trained  # checkpoints, and model.keras, which has the moments too
    return Cost(statistics.median(times or [seconds]), bool(times), held, disk)


def forecast(job):
    """dict of words: time per step, and of all steps, memory and disk that a job takes; see `measure_cost`."""
    cost = measure_cost(job)
    least, how = ("", "measured") if cost.is_measured else ("at least ", "reckoned from its matrix products")
    return {
        "time_per_step": f"{least}{_seconds(cost.seconds)}, {how} on this machine, as busy as it is now",
        "time_of_all_steps": least + format_seconds(cost.seconds * job.config.training.steps),
        "memory": format_bytes(cost.memory),
        "disk": format_bytes(cost.disk),
    }


def peak_memory():
    """Bytes of memory that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB


def _measure(loop, spec):
    """The seconds of each step that came to its end within the longest time; the first, which compiles, left out."""
    generator = np.random.default_rng(0)
    batch = tf.nest.map_structure(lambda each: _make_up(each, generator), spec)
    times = []
    with contextlib.suppress(OutOfTime), stopped_after(LONGEST_SECONDS):
        float(loop.train_step(batch)["loss"])
        while len(times) < STEPS:
            begun = time.monotonic()
            float(loop.train_step(batch)["loss"])
            times.append(time.monotonic() - begun)
    return times


def _make_up(spec, generator):
    """An array of this shape: frames at random, every step unmasked, label 0."""
    dtype = spec.dtype.as_numpy_dtype
    if spec.dtype.is_floating:
        return tf.constant(generator.random(spec.shape, np.float32), dtype)
    if spec.dtype == tf.uint8:
        return tf.constant(generator.integers(0, 256, spec.shape, dtype))
    return tf.ones(spec.shape, dtype) if spec.dtype == tf.bool else tf.zeros(spec.shape, dtype)


def _multiplications(model, config):
    """Multiplications of one sequence, forwards."""
    if isinstance(config, ModelConfig):
        frames = {"reconstruction": config.input_frames, "future": config.future_frames}
        encoder = sum(layer.count_params() for layer in model.encoder) * config.input_frames
        return encoder + sum(each.count_params() * frames[branch] for branch, each in model.decoders.items())
    if isinstance(config, StreamModelConfig):
        kernels = [layer for layer in model.layers if getattr(layer, "kernel", None) is not None]
        return sum(np.prod(each.kernel.shape) * np.prod(each.output.shape[1:-1], initial=1) for each in kernels)
    return model.count_params() * config.block[0]


def _speed(dtype):
    """Multiplications and additions per second of a matrix product."""
    matrix = tf.ones((MATRIX, MATRIX), dtype)
    product = tf.function(lambda: tf.reduce_sum(tf.cast(tf.matmul(matrix, matrix), tf.float32)))
    float(product())
    times = []
    for _ in range(3):
        begun = time.monotonic()
        float(product())
        times.append(time.monotonic() - begun)
    return 2 * MATRIX**3 / min(times)


def _activations(job):
    return _least_bytes(job.config) if not isinstance(job.config.model, StreamModelConfig) else 0


def _bytes(variables):
    return sum(int(np.prod(each.shape)) * tf.as_dtype(each.dtype).size for each in variables)


def _seconds(seconds):
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def format_bytes(number):
    """A number of bytes in words."""
    return f"{number / 2**20:.0f} MiB" if number < 2**30 else f"{number / 2**30:,.1f} GiB"
