"""Gradients by whichever backend Keras runs on, so that one test serves all of them."""

import keras
import numpy as np


def gradients(loss, arguments, mode="eager"):
    """loss(*arguments) and its gradient by each argument, as NumPy arrays.

    Args:
        loss: Function of tensors that gives one number.
        arguments: NumPy arrays.
        mode: "eager", "graph" (TensorFlow's; elsewhere as "xla") or "xla" (torch: eager).
    """
    by_backend = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()]
    value, found = by_backend(loss, [np.asarray(each, "float32") for each in arguments], mode)
    return float(value), [keras.ops.convert_to_numpy(each) for each in found]


def _tensorflow(loss, arguments, mode):
    import tensorflow as tf

    def evaluate(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = loss(*tensors)
        return value, tape.gradient(value, tensors)

    if mode != "eager":
        evaluate = tf.function(evaluate, jit_compile=mode == "xla")
    return evaluate(*(tf.constant(each) for each in arguments))


def _jax(loss, arguments, mode):
    import jax

    evaluate = jax.value_and_grad(loss, argnums=tuple(range(len(arguments))))
    return evaluate(*arguments) if mode == "eager" else jax.jit(evaluate)(*arguments)


def _torch(loss, arguments, mode):
    import torch

    tensors = [torch.tensor(each, requires_grad=True) for each in arguments]
    value = loss(*tensors)
    return value.detach(), torch.autograd.grad(value, tensors)
