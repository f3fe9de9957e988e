"""From pixels to what models take."""

import keras
from keras import ops


def to_unit_range(frames):
    """Pixels (uint8) as values in [0, 1], percepts as they are; a float32 tensor of any shape."""
    is_pixels = keras.backend.standardize_dtype(frames.dtype) == "uint8"
    frames = ops.cast(frames, "float32")
    return frames * (1 / 255) if is_pixels else frames
