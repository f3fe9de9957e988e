"""Pictures for tests."""

import struct

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


def jpeg(seed=0, height=24, width=32):
    """A JPEG of a smooth picture."""
    picture = cv2.GaussianBlur(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8), (7, 7), 2)
    return cv2.imencode(".jpg", picture)[1].tobytes()


def with_size(image, height, width):
    """A JPEG whose header tells of another size."""
    place = image.index(b"\xff\xc0") + 5
    return image[:place] + struct.pack(">HH", height, width) + image[place + 4 :]
