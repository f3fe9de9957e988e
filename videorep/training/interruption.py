"""Ctrl-C and SIGTERM wait until a step is whole, so that what it did can be kept."""

import contextlib
import signal
import threading


@contextlib.contextmanager
def deferred_interruption():
    """Holds back the first SIGINT or SIGTERM until the block ends; a second one acts at once.

    Yields:
        A list, empty until a signal came: whoever sees it filled brings the work in order and leaves the block.
        Outside the main thread, where Python delivers no signals, it stays empty.
    """
    received, previous = [], {}

    def restore():
        while previous:
            signal.signal(*previous.popitem())

    def hold(number, _):
        received.append(number)
        restore()

    if threading.current_thread() is threading.main_thread():
        previous |= {number: signal.signal(number, hold) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        restore()
    if received:
        signal.raise_signal(received[0])
