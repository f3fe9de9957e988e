"""What the models' configurations have in common."""

import dataclasses

import keras

from videorep.config import from_dict


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
    """The model of class `cls` that a `get_config` tells of.

    Args:
        cls: Class of the model, called with an instance of `config_class`, `seed`, `dtype`, `name` and `trainable`.
        config_class: ModelConfig or ClassifierConfig.
        config: What `get_config` gave.
    Raises:
        ConfigError: a setting that no such model can have.
    """
    settings = dict(config)
    frozen = settings.pop("frozen")
    model = cls(from_dict(config_class, settings.pop("config")), **settings)
    for layer in model.layers:
        layer.trainable = layer.name not in frozen
    return model


def offset(seed, number):
    """The seed of a model's part that `number` tells apart; None where there is no seed."""
    return None if seed is None else seed * 1000 + number
