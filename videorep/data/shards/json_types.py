"""Types of JSON values from anybody: each is a function (value, place) that raises MismatchError. No TensorFlow."""

import math
import reprlib

from videorep.bounds import LARGEST_FLOAT

LARGEST_WHOLE = 2**62
DEEPEST = 16  # of what a builder tells


class MismatchError(Exception):
    """What a value should be, and what it is."""

    def __init__(self, place, expected, received):
        super().__init__(f"expected {place or 'it'} to be {expected}, received {reprlib.repr(received)[:80]}")


def typed(expected, accepts):
    """A value that `accepts` accepts."""

    def check(value, place):
        if not accepts(value):
            raise MismatchError(place, expected, value)

    return check


def is_whole(value, low, high):
    """Whether it is an int, no bool, of that range; asked of millions."""
    return type(value) is int and low <= value <= high


def is_number(value, low, high):
    """Whether it is an int or a float, no bool and no NaN, of that range."""
    return type(value) in (int, float) and low <= value <= high  # false of NaN


def whole(low=0, high=LARGEST_WHOLE):
    """A whole number."""
    return typed(f"a whole number from {low} to {high}", lambda value: is_whole(value, low, high))


def number(low=0.0, high=LARGEST_FLOAT):
    """A finite number."""
    return typed(f"a number from {low:g} to {high:g}", lambda value: is_number(value, low, high))


def one_of(*choices):
    """One of these texts."""
    return typed(" or ".join(map(repr, choices)), lambda value: type(value) is str and value in choices)


def matching(pattern, meaning):
    """A text that a pattern matches as a whole."""
    return typed(meaning, lambda value: type(value) is str and pattern.fullmatch(value) is not None)


def optional(check):
    """That, or null."""
    return lambda value, place: None if value is None else check(value, place)


def listed(check, least=0):
    """A list whose items all pass `check`."""
    is_long_enough = typed(f"a list of at least {least}", lambda value: type(value) is list and len(value) >= least)

    def check_all(values, place):
        is_long_enough(values, place)
        for position, value in enumerate(values):
            check(value, f"{place}[{position}]")

    return check_all


def numbers(accepts, meaning):
    """A list of numbers, checked without a name for each."""
    return typed(f"a list of {meaning}", lambda value: type(value) is list and all(map(accepts, value)))


def mapping(keys, check):
    """An object of any names, at least one."""
    is_mapping = typed("an object with at least one name", lambda value: type(value) is dict and len(value) > 0)

    def check_all(values, place):
        is_mapping(values, place)
        for key, value in values.items():
            keys(key, f"a name in {place}")
            check(value, f"{place}.{key}")

    return check_all


def record(fields, others=None):
    """An object with these fields; with more of them only where `others` checks those."""
    is_record = typed(
        "an object with " + ", ".join(fields),
        lambda value: (
            type(value) is dict and fields.keys() <= value.keys() and (others or value.keys() <= fields.keys())
        ),
    )

    def check_all(values, place):
        is_record(values, place)
        for key, value in values.items():
            fields.get(key, others)(value, f"{place}.{key}" if place else key)

    return check_all


def plain(depth=DEEPEST):
    """Anything, but not too deep for those who walk through it."""

    def check(value, place, left=depth):
        if isinstance(value, (dict, list)):
            if not left:
                raise MismatchError(place, f"nested at most {depth} deep", "more")
            for part in value.values() if isinstance(value, dict) else value:
                check(part, place, left - 1)
        elif type(value) is float and not math.isfinite(value):
            raise MismatchError(place, "finite", value)

    return check
