"""Losses per frame, from the hidden states that frames are read off. Keras operations only."""

from keras import ops

from videorep.layers.recurrence import times_transposed
from videorep.models.pixels import to_unit_range
from videorep.xla import fused


@fused
def _cross_entropy_and_gradient(products, bias, targets):
    logits, targets = ops.cast(products, "float32") + bias, to_unit_range(targets)
    # softplus(l) - t l, with the one exponential that the logistic needs too; it neither overflows nor takes log 0.
    decay = ops.exp(-ops.abs(logits))
    softplus = ops.maximum(logits, 0.0) + ops.log(1.0 + decay)
    probabilities = ops.where(logits >= 0, 1.0, decay) / (1.0 + decay)
    return ops.sum(softplus - logits * targets, axis=-1), ops.cast(probabilities - targets, products.dtype)


@fused
def _half_squared_error_and_gradient(products, bias, targets):
    difference = ops.cast(products, "float32") + bias - to_unit_range(targets)
    return 0.5 * ops.sum(ops.square(difference), axis=-1), ops.cast(difference, products.dtype)


def _read_out_loss(loss_and_gradient, hiddens, kernel, bias, targets):
    """A loss of the read-outs hiddens @ kernel + bias, and its gradient, in one pass over them.

    What is as large as the read-outs (small models spend their time there) is written twice, in the dtype of the
    products: the products, and the gradient by them. The gradient that arrives, one number per frame, multiplies what
    is smaller: the hidden states and their gradient.
    """
    targets = ops.reshape(targets, (-1, targets.shape[-1]))

    @ops.custom_gradient
    def loss(hiddens, kernel, bias):
        rows = ops.cast(hiddens, kernel.dtype)
        losses, by_read_outs = loss_and_gradient(ops.matmul(rows, kernel), bias, targets)

        def gradient(*arguments, upstream=None):
            upstream = arguments[-1] if upstream is None else upstream
            upstream = ops.expand_dims(upstream, -1)
            by_hiddens = ops.cast(times_transposed(by_read_outs, kernel), "float32") * upstream
            by_kernel = ops.matmul(ops.transpose(ops.cast(hiddens * upstream, kernel.dtype)), by_read_outs)
            by_bias = ops.matmul(ops.transpose(ops.cast(upstream, kernel.dtype)), by_read_outs)
            return by_hiddens, by_kernel, ops.cast(by_bias[0], "float32")

        return losses, gradient

    losses = loss(ops.reshape(hiddens, (-1, hiddens.shape[-1])), kernel, ops.cast(bias, "float32"))
    return ops.reshape(losses, ops.shape(hiddens)[:-1])


def bernoulli_loss(hiddens, kernel, bias, targets):
    """Cross entropy of a Bernoulli distribution per value, summed over a frame's values.

        -sum_d [ t_d log p_d + (1 - t_d) log(1 - p_d) ],   p = sigmoid(hiddens @ kernel + bias)

    Args:
        hiddens: (..., U) float32, what the frames are read off.
        kernel: (U, D), in the dtype of the matrix products.
        bias: (D,) float32.
        targets: (..., D) in [0, 1], or uint8 pixels.
    Returns:
        (...) float32, nats per frame.
    """
    return _read_out_loss(_cross_entropy_and_gradient, hiddens, kernel, bias, targets)


def gaussian_loss(hiddens, kernel, bias, targets):
    """Half the squared error of hiddens @ kernel + bias, summed over a frame's values: (...) float32.

    Arguments as of `bernoulli_loss`, targets of any value, or uint8 pixels.
    """
    return _read_out_loss(_half_squared_error_and_gradient, hiddens, kernel, bias, targets)


FRAME_LOSSES = {"bernoulli": bernoulli_loss, "gaussian": gaussian_loss}
FRAME_LOSS_NAMES = {"bernoulli": "cross_entropy_per_frame", "gaussian": "half_squared_error_per_frame"}
