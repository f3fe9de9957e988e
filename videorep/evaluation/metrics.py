"""Errors of predicted frames, in the units that the literature reports. NumPy, accumulated in float64.

All take targets and predictions of the same shape, values in [0, 1]; names carry the reduction. Shapes: (B, T, D),
or (B, T, H, W) and (B, T, H, W, C) where the figure needs the picture.
"""

import cv2
import numpy as np

from videorep.config import require

# Probabilities are kept this far from 0 and 1, so that a hard wrong prediction costs 16.1 nats, not infinitely many.
CLIPPING = 1e-7
SSIM_WINDOW = 7


def per_frame(function, targets, predictions):
    """Sums `function(targets, predictions)` over each frame's values: (B, T) float64."""
    targets, predictions = (np.asarray(each) for each in (targets, predictions))
    require(
        targets.shape == predictions.shape,
        "predictions",
        f"of shape {targets.shape}, as the targets",
        predictions.shape,
    )
    require(targets.ndim >= 3, "targets", "of shape (B, T, D) or (B, T, H, W[, C])", targets.shape)
    batch, steps = targets.shape[:2]
    sums = np.empty((batch, steps))
    for b in range(batch):
        # One sequence at a time: float64 copies stay small.
        both = (np.asarray(each[b], np.float64).reshape(steps, -1) for each in (targets, predictions))
        sums[b] = function(*both).sum(axis=-1)
    return sums


def _cross_entropy(targets, probabilities):
    p = np.clip(probabilities, CLIPPING, 1 - CLIPPING)
    return -(targets * np.log(p) + (1 - targets) * np.log1p(-p))


def _squared_error(targets, predictions):
    return np.square(targets - predictions)


def _absolute_error(targets, predictions):
    return np.abs(targets - predictions)


def cross_entropies(targets, probabilities):
    """Cross entropy of every frame, summed over its values: (B, T) float64, nats."""
    return per_frame(_cross_entropy, targets, probabilities)


def squared_errors(targets, predictions):
    """Squared error of every frame, summed over its values: (B, T) float64."""
    return per_frame(_squared_error, targets, predictions)


def absolute_errors(targets, predictions):
    """Absolute error of every frame, summed over its values: (B, T) float64."""
    return per_frame(_absolute_error, targets, predictions)


def cross_entropy_per_frame(targets, probabilities):
    """Bernoulli cross entropy, summed over a frame's values, mean over frames and sequences: nats per frame.

    0.5 everywhere gives 2839.1 on 64x64 frames. Probabilities are clipped to [1e-7, 1 - 1e-7].

    Args:
        targets, probabilities: (B, T, D) or (B, T, H, W[, C]), in [0, 1].
    Returns:
        float.
    Raises:
        ConfigError: the shapes differ.
    Source: Srivastava et al. 2015, table 2, first column.
    """
    return float(cross_entropies(targets, probabilities).mean())


def squared_error_per_frame(targets, predictions):
    """Squared error, summed over a frame's values (no half), mean over frames and sequences: float.

    The community's "MSE" of Moving MNIST.
    """
    return float(squared_errors(targets, predictions).mean())


def half_squared_error_per_frame(targets, predictions):
    """Half of `squared_error_per_frame`, which the paper's table 2 reports on image patches: float."""
    return 0.5 * squared_error_per_frame(targets, predictions)


def absolute_error_per_frame(targets, predictions):
    """Absolute error, summed over a frame's values, mean over frames and sequences: float. The community's "MAE"."""
    return float(absolute_errors(targets, predictions).mean())


def psnr(targets, predictions):
    """Peak signal-to-noise ratio of each frame for the range [0, 1], mean over frames and sequences: dB.

    uint8 frames must be scaled first: their differences would wrap round.
    """
    targets = _unit_interval("targets", targets)
    predictions = _unit_interval("predictions", predictions)
    size = np.prod(targets.shape[2:])
    mean_squared = squared_errors(targets, predictions) / size
    return float(np.mean(-10 * np.log10(np.maximum(mean_squared, 1e-10))))


def ssim(targets, predictions):
    """Structural similarity of each frame for the range [0, 1], mean over frames, channels and sequences.

    Uniform window of 7x7 and sample covariances, borders that the window does not cover left out: what papers on
    Moving MNIST report (scikit-image's default), with the range of the data stated.

    Args:
        targets, predictions: (B, T, H, W) or (B, T, H, W, C), H and W at least 7.
    Source: Wang et al. 2004.
    """
    targets = _unit_interval("targets", targets)
    predictions = _unit_interval("predictions", predictions)
    require(
        targets.shape == predictions.shape,
        "predictions",
        f"of shape {targets.shape}, as the targets",
        predictions.shape,
    )
    require(targets.ndim in (4, 5), "targets", "of shape (B, T, H, W) or (B, T, H, W, C)", targets.shape)
    height, width = targets.shape[2:4]
    require(min(height, width) >= SSIM_WINDOW, "frames", f"at least {SSIM_WINDOW} pixels a side", (height, width))
    frames = (each.reshape(-1, height, width, *targets.shape[4:]) for each in (targets, predictions))
    return float(np.mean([_ssim_of_frame(a, b) for a, b in zip(*frames, strict=True)]))


def _ssim_of_frame(target, prediction):
    a, b = (np.asarray(each, np.float64) for each in (target, prediction))
    border = SSIM_WINDOW // 2

    def smooth(image):
        return cv2.blur(image, (SSIM_WINDOW, SSIM_WINDOW))[border:-border, border:-border]

    mean_a, mean_b = smooth(a), smooth(b)
    sample = SSIM_WINDOW**2 / (SSIM_WINDOW**2 - 1)
    variance_a, variance_b = sample * (smooth(a * a) - mean_a**2), sample * (smooth(b * b) - mean_b**2)
    covariance = sample * (smooth(a * b) - mean_a * mean_b)
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return np.mean(similarity / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)))


def _unit_interval(name, frames):
    frames = np.asarray(frames)
    require(frames.dtype.kind == "f", f"the type of {name}", "floating point, in [0, 1]", str(frames.dtype))
    return frames


def frame_metrics(targets, predictions):
    """All figures of predicted frames at once.

    Args:
        targets, predictions: (B, T, D), floating point in [0, 1]; (B, T, H, W[, C]) for `ssim` too.
    Returns:
        dict of floats: cross_entropy_per_frame, squared_error_per_frame, half_squared_error_per_frame,
        absolute_error_per_frame, psnr, and ssim where the frames are pictures of at least 7x7.
    Raises:
        ConfigError: the shapes differ, or the frames are integers.
    """
    squared = squared_error_per_frame(targets, predictions)
    figures = {
        "cross_entropy_per_frame": cross_entropy_per_frame(targets, predictions),
        "squared_error_per_frame": squared,
        "half_squared_error_per_frame": 0.5 * squared,
        "absolute_error_per_frame": absolute_error_per_frame(targets, predictions),
        "psnr": psnr(targets, predictions),
    }
    shape = np.shape(targets)
    if len(shape) in (4, 5) and min(shape[2:4]) >= SSIM_WINDOW:
        figures["ssim"] = ssim(targets, predictions)
    return figures
