"""What the models' configurations have in common."""

from videorep.config import from_dict


def training_config(model):
    """Name of a model, and what of it trains: {"name", "trainable", "frozen": names of the layers that do not}."""
    frozen = [layer.name for layer in model.layers if not layer.trainable]
    return {"name": model.name, "trainable": model.trainable, "frozen": frozen}


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
