"""What a run was made with."""

import keras
import numpy as np
import tensorflow as tf

import videorep


def versions():
    """Versions of videorep and of what decides its numbers."""
    return {
        "videorep": videorep.__version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
        "backend": keras.backend.backend(),
    }
