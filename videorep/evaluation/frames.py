"""Frames as models take them."""

import numpy as np


def to_unit_range(frames):
    """Pixels (uint8) as values in [0, 1], percepts as they are: float32."""
    return frames / np.float32(255) if frames.dtype == np.uint8 else np.asarray(frames, np.float32)
