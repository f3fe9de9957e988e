"""What a trained model must beat: predictions that need no learning."""

import numpy as np


def copy_last_frame(inputs, frames):
    """The last of the input frames (B, T, D) again and again: (B, F, D)."""
    return np.repeat(inputs[:, -1:], frames, axis=1)


def mean_frame(batches, limit):
    """The mean (D,) float64 of the frames of `limit` sequences, from batches (B, T, D)."""
    total, count, sequences = 0.0, 0, 0
    for frames in batches:
        total = total + np.sum(frames, axis=(0, 1), dtype=np.float64)
        count += frames.shape[0] * frames.shape[1]
        sequences += len(frames)
        if sequences >= limit:
            break
    return total / count


def predict_mean_frame(mean, sequences, frames):
    """The mean frame for every sequence and step: (B, F, D)."""
    return np.broadcast_to(mean, (sequences, frames, len(mean)))


def predict_black(shape):
    """Frames without any light: zeros of the shape (B, F, D)."""
    return np.broadcast_to(0.0, shape)
