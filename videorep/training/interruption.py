"""Ctrl-C and SIGTERM wait until a step is whole, so that what it did can be kept."""

import contextlib
import signal
import threading


@contextlib.contextmanager
def deferred_interruption():
    """Holds back the first SIGINT or SIGTERM until the block ends; a second one acts at once, an ignored one never.

    Yields:
        A list, empty until a signal came: whoever sees it filled brings the work in order and leaves the block.
        Outside the main thread, where Python delivers no signals, it stays empty.
    Raises:
        KeyboardInterrupt: at the end of the block, where the handler of the signal that came raises nothing itself.
    """
    received, previous = [], {}

    def restore():
        while previous:
            signal.signal(*previous.popitem())

    def hold(number, _):
        received.append(number)
        restore()

    if threading.current_thread() is threading.main_thread():
        heeded = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]
        previous |= {number: signal.signal(number, hold) for number in heeded}
    try:
        yield received
    finally:
        restore()
    if received:
        signal.raise_signal(received[0])
        raise KeyboardInterrupt
