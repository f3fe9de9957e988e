"""Video data: build shards, read them, generate Moving MNIST.

Names are imported when first used, so that workers that decode videos do not load TensorFlow.
"""

import importlib

_HOMES = {
    "MovingMNIST": "videorep.data.moving_mnist",
    "read_shards": "videorep.data.shards",
    "write_shards": "videorep.data.shards",
}
__all__ = ["MovingMNIST", "read_shards", "write_shards"]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__():
    return sorted([*globals(), *__all__])
