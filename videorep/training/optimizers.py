"""Optimizers and their learning rate, from a TrainingConfig."""

import keras

NOT_DECAYED = ("bias", "peephole_kernel")  # of these a unit has a few each, which keep nothing by heart


def build_optimizer(config):
    """A Keras optimizer; with loss scaling under float16. The training loop clips the gradients.

    Args:
        config: TrainingConfig.
    """
    choices = {"learning_rate": learning_rate_schedule(config), "weight_decay": config.weight_decay or None}
    if config.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(momentum=config.momentum, **choices)
    elif config.optimizer == "rmsprop":
        optimizer = keras.optimizers.RMSprop(rho=config.decay, **choices)
    else:
        optimizer = keras.optimizers.Adam(**choices)
    if config.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    return keras.optimizers.LossScaleOptimizer(optimizer) if config.precision == "mixed_float16" else optimizer


def learning_rate_schedule(config):
    """Linear warm-up from 0, then a cosine down to `final_fraction` of the rate at the last step."""
    warmup = min(config.warmup_steps, config.steps - 1)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else config.learning_rate,
        decay_steps=max(1, config.steps - warmup),
        alpha=config.final_fraction,
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
