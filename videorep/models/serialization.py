"""What `get_config` and `from_config` of the models have in common."""

import dataclasses

import keras

from videorep.config_values import from_dict


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
