"""Training losses, per frame, from read-outs before the logistic. Keras operations only."""

from keras import ops


def bernoulli_loss(logits, targets):
    """Cross entropy of a Bernoulli distribution per value, summed over a frame's values.

        -sum_d [ t_d log p_d + (1 - t_d) log(1 - p_d) ],   p = sigmoid(logits)

    Args:
        logits: (..., D) float32.
        targets: (..., D) in [0, 1].
    Returns:
        (...) float32, nats per frame.
    """
    targets = ops.cast(targets, "float32")

    @ops.custom_gradient
    def summed(logits):
        # softplus(l) - t l, which neither overflows nor takes the logarithm of 0.
        loss = ops.sum(ops.softplus(logits) - logits * targets, axis=-1)

        def gradient(*arguments, upstream=None):
            upstream = arguments[-1] if upstream is None else upstream
            return (ops.sigmoid(logits) - targets) * ops.expand_dims(upstream, -1)

        return loss, gradient

    return summed(logits)


def gaussian_loss(values, targets):
    """Half the squared error, summed over a frame's values.

    Args:
        values, targets: (..., D).
    Returns:
        (...) float32, half squared error per frame.
    """
    return 0.5 * ops.sum(ops.square(values - ops.cast(targets, "float32")), axis=-1)


FRAME_LOSSES = {"bernoulli": bernoulli_loss, "gaussian": gaussian_loss}
FRAME_LOSS_NAMES = {"bernoulli": "cross_entropy_per_frame", "gaussian": "half_squared_error_per_frame"}
