"""Ctrl-C, SIGTERM and SIGHUP wait until a step is whole, so that what it did can be kept."""

import contextlib
import signal
import sys
import threading

HEEDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_SECONDS = 0.5  # where Python drops an exception, as in a destructor or a callback of the garbage collector


@contextlib.contextmanager
def deferred_interruption():
    """Holds back the first of the signals until the block ends; a second one acts at once, an ignored one never.

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
        unheeded = (signal.SIG_IGN, None)  # None: a handler that Python does not know and could not put back
        heeded = [each for each in HEEDED if signal.getsignal(each) not in unheeded]
        previous |= {number: signal.signal(number, hold) for number in heeded}
    try:
        yield received
    finally:
        restore()
    if received:
        signal.raise_signal(received[0])
        raise KeyboardInterrupt


class OutOfTime(BaseException):
    """The block of `stopped_after` has run for too long; no Exception, which TensorFlow would wrap while it traces."""


@contextlib.contextmanager
def stopped_after(seconds):
    """Raises OutOfTime within the block once it has run for so long; outside of the main thread it runs to its end."""

    def stop(number, frame):
        if not isinstance(sys.exc_info()[1], OutOfTime):  # else the block is being left already
            raise OutOfTime

    def ignore(unraisable):
        if unraisable.exc_type is not OutOfTime:
            hook(unraisable)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    hook, sys.unraisablehook = sys.unraisablehook, ignore
    before, timer = signal.signal(signal.SIGALRM, stop), signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        if signal.getsignal(signal.SIGALRM) is stop:  # else a signal that ends the command has taken the timer over
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            signal.setitimer(signal.ITIMER_REAL, *timer)
