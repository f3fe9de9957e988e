"""How large settings may be, and the one sentence that refuses what they may not."""

import numbers
import operator

from videorep.errors import ConfigError

# The largest whole numbers that settings may have: what memory and the arithmetic of positions and seeds can hold.
LARGEST = {
    "units": 2**16,
    "layers": 100,
    "features": 10**7,
    "input_frames": 10**5,
    "future_frames": 10**5,
    "frames": 10**5,
    "classes": 10**6,
    "block_frames": 10**5,
    "block_stride": 10**5,
    "flow_stack": 1000,
    "num_digits": 1000,
    "patch": 10**5,
    "stride": 10**6,
    "videos_per_class": 10**9,
    "batch_size": 10**6,
    "steps": 10**9,
    "warmup_steps": 10**9,
    "report_every": 10**9,
    "checkpoint_every": 10**9,
    "evaluate_every": 10**9,
    "patience": 10**9,
    "evaluation_sequences": 10**9,
    "seed": 2**53,  # initial weights are seeded by 1000 times it
    "repeats": 10**4,
    "quality": 100,
    "every": 10**6,
    "workers": 1024,
    "count": 10**7,  # the plan of a build is held in memory
}
LARGEST_FLOAT = 3.4e38  # of float32
SHOWN = 200


def require(condition, setting, expected, received, remedy="correct it"):
    """Raises ConfigError with the one sentence that names what is wrong."""
    if not condition:
        raise ConfigError(f"expected {setting} to be {expected}, received {_show(received)}; {remedy}")


def _show(value):
    if isinstance(value, int) and value.bit_length() > SHOWN:  # Python refuses to write the longest ones
        return f"a number of {value.bit_length():,} bits"
    shown = repr(value)
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."


def is_whole(value, least, largest):
    """Whether a value is a whole number of Python's or NumPy's within bounds; bool is none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and least <= value <= largest


def whole(setting, value, least=1):
    """A setting as Python's int.

    Raises:
        ConfigError: `value` is no whole number from `least` to the setting's largest.
    """
    largest = LARGEST[setting]
    require(is_whole(value, least, largest), setting, f"a whole number from {least} to {largest:,}", value)
    return operator.index(value)


def require_whole(config, least, *names):
    """Turns these fields of a frozen configuration into Python's int; raises ConfigError as `whole` does."""
    for name in names:
        object.__setattr__(config, name, whole(name, getattr(config, name), least))


def require_choice(config, name, choices):
    """Raises ConfigError where a field of a configuration is none of `choices`."""
    require(getattr(config, name) in choices, name, f"one of {', '.join(choices)}", getattr(config, name))
