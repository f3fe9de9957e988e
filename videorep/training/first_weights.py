"""What an encoder-decoder begins with beside random kernels: read-outs that give the mean of its data."""

import numpy as np
from keras import ops

from videorep.data.python_functions import readable
from videorep.models.pixels import to_unit_range

SEQUENCES = 1024  # whose mean frame is taken
LEAST = 1e-3  # probability of a pixel


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
    means = [ops.mean(to_unit_range(batch["frames"]), (0, 1)) for batch in readable(batches)]
    mean = ops.convert_to_numpy(ops.mean(ops.stack(means), 0))
    for decoder in model.decoders.values():
        decoder.output_bias.assign(read_out_of(mean, decoder.output_kind))


def read_out_of(frame, output):
    """The read-outs, (D,) float32, that give the frame: its logits ("bernoulli") or itself ("gaussian")."""
    if output == "gaussian":
        return frame
    inside = np.clip(frame, LEAST, 1 - LEAST)
    return np.log(inside / (1 - inside))
