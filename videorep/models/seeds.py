"""Seeds of the random parts of a model."""

from videorep.layers.peephole_cell import uniform_fan_in

SEEDS = 1000  # of a model's parts, for each seed of a model: from 0 those of its LSTMs, two each
DECODER_SEEDS = 100  # of each decoder, from 100
DROPOUT_SEEDS = 500  # where those of dropouts begin


def part_seed(seed, number):
    """The seed of one of the parts of a model; None where the model has none."""
    return None if seed is None else seed * SEEDS + number


def initializers(seed, depth):
    """Of the kernels of the LSTM at a depth."""
    kernel, recurrent = (uniform_fan_in(part_seed(seed, 2 * depth + number)) for number in range(2))
    return {"kernel_initializer": kernel, "recurrent_initializer": recurrent}
