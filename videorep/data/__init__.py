"""Video data, in rooms: shards (the format and its life); videos, digits and percepts, which make them; batches.

What several rooms need and none owns lies beside them. The names of this module, for users, are imported when first
used, so that workers that decode videos do not load TensorFlow.
"""

import importlib

_HOMES = {
    "MovingMNIST": "videorep.data.digits.moving_mnist",
    "read_shards": "videorep.data.shards.read",
    "write_shards": "videorep.data.shards.write",
}
__all__ = ["MovingMNIST", "read_shards", "write_shards"]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__():
    return sorted([*globals(), *__all__])
