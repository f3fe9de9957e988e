"""Training losses, per frame, from read-outs before the logistic. Keras operations only."""

import keras
from keras import ops


def to_model_input(frames):
    """Pixels (uint8) as values in [0, 1], percepts as they are; float32."""
    is_pixels = keras.backend.standardize_dtype(frames.dtype) == "uint8"
    frames = ops.cast(frames, "float32")
    return frames * (1 / 255) if is_pixels else frames


def fused(function):
    """Compiles an element-wise function of arrays into one pass over memory, where the backend is TensorFlow.

    Inside a jitted JAX step that happens of itself; PyTorch runs it as it is.
    """
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, jit_compile=True)


@fused
def _cross_entropy_and_gradient(logits, targets):
    targets = to_model_input(targets)
    # softplus(l) - t l, with the one exponential that the logistic needs too; it neither overflows nor takes log 0.
    decay = ops.exp(-ops.abs(logits))
    softplus = ops.maximum(logits, 0.0) + ops.log(1.0 + decay)
    probabilities = ops.where(logits >= 0, 1.0, decay) / (1.0 + decay)
    return ops.sum(softplus - logits * targets, axis=-1), probabilities - targets


@fused
def _half_squared_error_and_gradient(values, targets):
    difference = values - to_model_input(targets)
    return 0.5 * ops.sum(ops.square(difference), axis=-1), difference


def _with_known_gradient(loss_and_gradient, outputs, targets):
    """A loss whose gradient by `outputs` was found together with it; `targets` get none."""

    @ops.custom_gradient
    def loss(outputs):
        value, by_outputs = loss_and_gradient(outputs, targets)

        def gradient(*arguments, upstream=None):
            upstream = arguments[-1] if upstream is None else upstream
            return by_outputs * ops.expand_dims(upstream, -1)

        return value, gradient

    return loss(outputs)


def bernoulli_loss(logits, targets):
    """Cross entropy of a Bernoulli distribution per value, summed over a frame's values.

        -sum_d [ t_d log p_d + (1 - t_d) log(1 - p_d) ],   p = sigmoid(logits)

    Args:
        logits: (..., D) float32.
        targets: (..., D) in [0, 1], or uint8 pixels.
    Returns:
        (...) float32, nats per frame.
    """
    return _with_known_gradient(_cross_entropy_and_gradient, logits, targets)


def gaussian_loss(values, targets):
    """Half the squared error, summed over a frame's values.

    Args:
        values: (..., D) float32.
        targets: (..., D), or uint8 pixels.
    Returns:
        (...) float32, half squared error per frame.
    """
    return _with_known_gradient(_half_squared_error_and_gradient, values, targets)


FRAME_LOSSES = {"bernoulli": bernoulli_loss, "gaussian": gaussian_loss}
FRAME_LOSS_NAMES = {"bernoulli": "cross_entropy_per_frame", "gaussian": "half_squared_error_per_frame"}
