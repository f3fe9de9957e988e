"""Optimizers and their learning rate, from a TrainingConfig."""

import keras
from keras import ops

NOT_DECAYED = ("bias", "peephole_kernel")  # of these a unit has a few each, which keep nothing by heart


def build_optimizer(config, summed=False):
    """A Keras optimizer; with loss scaling under float16. The training loop clips the gradients.

    Args:
        config: TrainingConfig.
        summed: Whether the gradients that it will be given are summed over all replicas already, as for clipping.
    """
    choices = {"learning_rate": learning_rate_schedule(config), "weight_decay": config.weight_decay or None}
    if config.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(momentum=config.momentum, **choices)
    elif config.optimizer == "rmsprop":
        optimizer = keras.optimizers.RMSprop(rho=config.decay, **choices)
    elif config.optimizer == "bounded-rmsprop":
        optimizer = BoundedRMSprop(rho=config.decay, momentum=config.momentum, **choices)
    else:
        optimizer = keras.optimizers.Adam(**choices)
    if summed:
        optimizer._all_reduce_sum_gradients = lambda gradients_and_variables: gradients_and_variables
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


@keras.saving.register_keras_serializable(package="videorep")
class BoundedRMSprop(keras.optimizers.RMSprop):
    """RMSProp with momentum that moves no weight by more than the learning rate in one step.

    Source: the code of Srivastava et al. 2015, whose `gradient_clip` bounds the momentum, and equals its rate.
    """

    def update_step(self, gradient, variable, learning_rate):
        index, rate = self._get_variable_index(variable), ops.cast(learning_rate, variable.dtype)
        square, step = self._velocities[index], self._momentums[index]
        self.assign(square, self.rho * square + (1 - self.rho) * ops.square(gradient))
        moved = self.momentum * step + rate * gradient * ops.rsqrt(square + self.epsilon)
        self.assign(step, ops.clip(moved, -rate, rate))
        self.assign_sub(variable, step)
