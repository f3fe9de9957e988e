"""What models begin with beside random kernels: weights of another run, or read-outs that give the mean of the data."""

import dataclasses

import numpy as np
import tensorflow as tf

from videorep.config import PretrainConfig
from videorep.data.python_functions import readable
from videorep.errors import RunError
from videorep.runs import load_run

SEQUENCES = 1024  # whose mean frame is taken
LEAST = 1e-3  # probability of a pixel


def load_pretrained(path):
    """The run of `videorep pretrain` that --init names; None for "". Raises a RunError for any other run."""
    if not path:
        return None
    run = load_run(path)
    if not isinstance(run.config, PretrainConfig):
        raise RunError(
            f"expected --init to name a run of `videorep pretrain`, received {path}, a {run.config.kind} run"
        )
    return run


def frames_like(data, pretrained):
    """A DataConfig that treats frames as the configuration `pretrained` of a run did."""
    return dataclasses.replace(data, colour=pretrained.data.colour, patch=pretrained.data.patch)


def start_at_mean(model, source, training):
    """Sets the read-outs' biases so that the first frames are the mean frame; standardised ones are so already.

    Args:
        model: EncoderDecoder.
        source: Source of training batches {"frames": (B, T + F, D)}; the first ones are what the mean is of.
        training: PretrainTrainingConfig.
    """
    if model.standardisation:
        return
    batches = source.training(training.batch_size, training.seed).take(-(-SEQUENCES // training.batch_size))
    means = [batch["frames"].numpy().mean(axis=(0, 1)) for batch in readable(batches)]
    is_pixels = batches.element_spec["frames"].dtype == tf.uint8
    mean = (np.mean(means, axis=0) / (255 if is_pixels else 1)).astype(np.float32)
    for decoder in model.decoders.values():
        decoder.output_bias.assign(read_out_of(mean, decoder.output_kind))


def read_out_of(frame, output):
    """The read-outs, (D,) float32, that give the frame: its logits ("bernoulli") or itself ("gaussian")."""
    if output == "gaussian":
        return frame
    inside = np.clip(frame, LEAST, 1 - LEAST)
    return np.log(inside / (1 - inside))
