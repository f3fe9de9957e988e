"""Ctrl-C, SIGTERM and SIGHUP end a command as an exception that its cleanups see, even where somebody swallows it.

A signal's handler runs wherever Python happens to be. What it raises within a callback of the garbage collector, within
`__del__`, or under a library's bare `except:` goes no further, and the command would go on. So it is looked after: as
long as nobody is on the way out, the signal is sent again.
"""

import contextlib
import signal
import sys

PATIENCE = 1.0  # seconds until it is looked whether the exception goes its way
RECEIVED = []  # numbers of signals


class Terminated(BaseException):
    """The process was asked to end (SIGTERM, SIGHUP); raised so that workers are stopped on the way out.

    Args:
        signal_number: The signal that asked.
    """

    def __init__(self, signal_number=signal.SIGTERM):
        super().__init__(signal_number)
        self.signal_number = signal_number
        self.exit_status = 128 + signal_number


@contextlib.contextmanager
def ending_on_signals():
    """Has SIGTERM and SIGHUP raise `Terminated` in the block, and Ctrl-C KeyboardInterrupt.

    SIGHUP and Ctrl-C stay ignored where they are, as under nohup or in the background. Who takes a signal over for a
    while, as training does (`videorep.training.interruption`), gets it where it was swallowed before, and is left alone
    from then on.
    """
    signal.signal(signal.SIGTERM, _terminate)
    for number in (signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _terminate)
    try:
        yield
    finally:
        leave_alone()


def leave_alone():
    """Looks after the signal no longer: it has been answered, and what follows is nobody's cleanup."""
    if signal.getsignal(signal.SIGALRM) is _look_after:
        signal.signal(signal.SIGALRM, _look_away)  # first, or a look that is due would set the timer again
        signal.setitimer(signal.ITIMER_REAL, 0)


def _terminate(signal_number, _):
    RECEIVED.append(signal_number)
    signal.signal(signal.SIGALRM, _look_after)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    raise KeyboardInterrupt if signal_number == signal.SIGINT else Terminated(signal_number)


def _look_after(*_):
    if _is_on_the_way_out():
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    else:
        signal.raise_signal(RECEIVED[-1])


def _look_away(*_):
    """In place of SIG_IGN, of which Python prints where a signal is due at that moment."""


def _is_on_the_way_out():
    """Whether what runs now is a cleanup, or another answer, to what was raised; cleanups may handle errors in turn."""
    error, seen = sys.exception(), set()
    while error is not None and id(error) not in seen:
        if isinstance(error, (KeyboardInterrupt, Terminated)):
            return True
        seen.add(id(error))
        error = error.__context__
    return False
