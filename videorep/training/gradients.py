"""Gradients between the tape and the optimizer. They are as large as the weights: what counts is the bytes moved."""

import tensorflow as tf

PARTS = 8


def before_cast(gradient):
    """A gradient in the dtype of the product that made it, before its cast to float32: equal values, half the bytes.

    Args:
        gradient: tf.Tensor of a graph, as a tape gives it for a variable.
    """
    if gradient.op.type != "Cast":
        return gradient
    source = gradient.op.inputs[0]
    return source if source.dtype.is_floating and source.dtype.size < gradient.dtype.size else gradient


def global_norm(gradients):
    """The square root of the sum of all squares of all gradients, summed in float32.

    Args:
        gradients: tf.Tensors of any shapes, float32, bfloat16 or float16.
    """
    # Stacked, since TensorFlow's AddN adds in the order in which its inputs are ready, which is not always the same.
    return tf.sqrt(tf.reduce_sum(tf.stack([_sum_of_squares(gradient) for gradient in gradients])))


def _sum_of_squares(gradient):
    return 2.0 * tf.nn.l2_loss(gradient) if gradient.dtype == tf.float32 else _sum_of_narrow_squares(gradient)


@tf.function(jit_compile=True)
def _sum_of_narrow_squares(gradient):
    """Reads the gradient once, and stores an eighth of it in float32.

    XLA on a CPU adds single values one after the other, but slices as vectors: first the parts are added up. With 16
    parts it no longer does.
    """
    parts = tf.split(gradient, PARTS) if gradient.shape.rank and gradient.shape[0] % PARTS == 0 else [gradient]
    total = 0.0
    for part in parts:
        total += tf.square(tf.cast(part, tf.float32))
    return tf.reduce_sum(total)
