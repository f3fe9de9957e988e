"""Threads: how many to use, and how those of tf.data end.

They must not hold up the work, nor hang the program after Ctrl-C or an error. No TensorFlow until a function needs it.
"""

import atexit
import collections
import concurrent.futures
import functools
import gc
import os


@functools.cache
def release_iterators_at_exit():
    """To be called by whoever hands Python functions to tf.data: lets go of iterators before Python shuts down.

    A thread of tf.data that calls Python during that never returns, and TensorFlow waits for it for ever.
    """
    atexit.register(_release_iterators)


def without_tuning(stream):
    """A tf.data stream whose end nobody waits for; its maps name their parallelism.

    The thread that tunes a stream sleeps up to five seconds at a time, and the end of the stream waits for it.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return stream.with_options(options)


def _release_iterators():
    import tensorflow as tf

    kinds = {kind for kind in set(map(type, gc.get_objects())) if issubclass(kind, tf.data.Iterator)}
    for iterator in [one for one in gc.get_objects() if type(one) in kinds]:
        iterator.__dict__.clear()


def map_ahead(function, items, threads):
    """Yields `function` of each item, in their order, while so many threads work on those that come next."""
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        waiting = collections.deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def count_cores():
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1
