"""What the tests of the worker pool let its workers do."""

import ctypes
import importlib
import os
import time
from pathlib import Path


def square(number, beat):
    return (number * number, os.getpid()), b""


def slow_square(number, seconds, beat):
    time.sleep(seconds)
    return number * number, b""


def misbehave(how, beat):
    if how == "segfault":
        ctypes.string_at(0)
    if how == "hang":
        time.sleep(3600)
    if how == "raise":
        raise KeyError("bad task")
    if how == "exit":
        os._exit(3)
    return how, b""


def fail_once(marker, beat):
    """Crashes the first time and works the second."""
    if not Path(marker).exists():
        Path(marker).touch()
        ctypes.string_at(0)
    return "worked", b""


def send_parts(count, size, marker, beat):
    """Sends so many parts and returns their number; crashes the first time, halfway, where there is a marker."""
    for number in range(count):
        if marker and number == count // 2 and not Path(marker).exists():
            Path(marker).touch()
            ctypes.string_at(0)
        beat.send(number, bytes(size))
    return count, b""


def take_memory(count, beat):
    """Asks for so many bytes."""
    return "taken", bytes(count)[:0]


def show_life(seconds, beat):
    """Takes long but shows that it lives."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.05)
        beat()
    return "done", b""


def big(size, beat):
    return size, bytes(size)


def imported(names, beat):
    import sys

    return [name for name in names if name in sys.modules], b""


def find_module(name, beat):
    """The file of a module as a worker finds it."""
    try:
        return importlib.import_module(name).__file__, b""
    except ImportError:
        return None, b""
