"""Compilation with XLA where the backend has to be asked for it."""

import keras


def fused(function):
    """Compiles an element-wise function of arrays into one pass over memory, where the backend is TensorFlow.

    Inside a jitted JAX step that happens of itself; PyTorch runs it as it is.
    """
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, jit_compile=True)
