"""Pictures for tests."""

import cv2
import numpy as np
from PIL import Image


def coloured_frame(height, width, seed=0):
    """A smooth picture whose three channels and whose every region differ."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (height // 20, width // 20, 3)) * [1.0, 0.6, 0.3]
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


def size_of(path):
    """Width and height of a picture's file in pixels."""
    with Image.open(path) as image:
        return image.size
