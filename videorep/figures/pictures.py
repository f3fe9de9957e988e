"""Rows of numbers as pictures: frames, and weights of the same shape."""

import numpy as np

from videorep.config import require


def require_pictures(features, frame_shape):
    """Raises ConfigError unless `features` numbers are the pixels of frames of (H, W, C)."""
    require(
        frame_shape is not None,
        "frames",
        "pictures",
        f"percepts of {features} features",
        "of percepts, draw curves, activity or horizon, or write arrays with predict --out FILE.npz",
    )
    require(
        len(frame_shape) == 3 and frame_shape[2] in (1, 3) and int(np.prod(frame_shape)) == features,
        "frame_shape",
        f"(height, width, 1 or 3) of {features} values",
        tuple(frame_shape),
    )


def to_pictures(frames, frame_shape):
    """Frames (..., D) in [0, 1] as (..., H, W, 3) uint8; what lies outside [0, 1] is cut off."""
    frames = np.asarray(frames, np.float32)
    require_pictures(frames.shape[-1], frame_shape)
    pixels = np.round(np.clip(frames, 0, 1) * 255).astype(np.uint8).reshape(*frames.shape[:-1], *frame_shape)
    return np.broadcast_to(pixels, (*pixels.shape[:-1], 3))


def enlarge_to(pictures, side):
    """Pictures (..., H, W, 3) enlarged by the largest whole factor that keeps their longer side within `side`."""
    factor = max(1, side // max(pictures.shape[-3:-1]))
    return pictures.repeat(factor, axis=-3).repeat(factor, axis=-2)
