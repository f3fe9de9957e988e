"""Threads: how many to use, and how those of tf.data end.

They must not hold up the work, nor hang the program after Ctrl-C or an error. No TensorFlow until a function needs it.
"""

import atexit
import collections
import concurrent.futures
import contextlib
import functools
import gc
import os
import queue

POLL_SECONDS = 0.1  # in which a thread notices that it is to stop


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


def run_ahead(items, count, executor, stopped):
    """An iterator over the generator `items`, of which a thread of `executor` gets the next `count` ahead, from now on.

    What `items` raises is raised by the iterator. The event `stopped` ends both; the thread closes `items`.
    """
    ready = queue.Queue(count)

    def hand_over(*item):
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                return ready.put(item, timeout=POLL_SECONDS)

    def work():
        try:
            with contextlib.closing(items):
                for item in () if stopped.is_set() else items:
                    hand_over(item)
                    if stopped.is_set():
                        return
        finally:
            hand_over()

    return _taken(ready, executor.submit(work), stopped)


def _taken(ready, work, stopped):
    """What `run_ahead` hands over, until it is stopped."""
    item = None
    while item != () and not (stopped.is_set() and ready.empty()):
        with contextlib.suppress(queue.Empty):
            if item := ready.get(timeout=POLL_SECONDS):
                yield item[0]
    work.result()
