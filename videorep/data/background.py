"""Streams that are still alive at the program's end, after Ctrl-C or an error: they must not hang it."""

import atexit
import functools
import gc


@functools.cache
def release_iterators_at_exit():
    """To be called by whoever hands Python functions to tf.data.

    A thread of tf.data that calls Python while the interpreter shuts down never returns, and TensorFlow waits for it
    for ever. So iterators are let go of just before, when their threads can still end.
    """
    atexit.register(_release_iterators)


def _release_iterators():
    import tensorflow as tf

    kinds = {kind for kind in set(map(type, gc.get_objects())) if issubclass(kind, tf.data.Iterator)}
    for iterator in [one for one in gc.get_objects() if type(one) in kinds]:
        iterator.__dict__.clear()
