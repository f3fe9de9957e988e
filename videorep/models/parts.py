"""What the models' configurations have in common."""

import dataclasses

import keras

from videorep.config_values import from_dict
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


def describe(model, policy):
    """`get_config` of a model with `config` and `seed`: these, its dtype policy, its name and what of it trains."""
    return {
        "config": dataclasses.asdict(model.config),
        "seed": model.seed,
        "dtype": keras.dtype_policies.serialize(policy),
        "name": model.name,
        "trainable": model.trainable,
        "frozen": [layer.name for layer in model.layers if not layer.trainable],
    }


def restore(cls, config_class, config):
    """The model of class `cls` that its `get_config` tells of; `config_class` is ModelConfig or ClassifierConfig.

    Raises:
        ConfigError: a setting that no such model can have.
    """
    settings = dict(config)
    frozen = settings.pop("frozen")
    model = cls(from_dict(config_class, settings.pop("config")), **settings)
    for layer in model.layers:
        layer.trainable = layer.name not in frozen
    return model
