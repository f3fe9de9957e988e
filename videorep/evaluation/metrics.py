"""How far predicted frames are from the true ones: sums over a frame's values, means over frames and sequences.

All take targets and predictions of one shape, (B, T, D), (B, T, H, W) or (B, T, H, W, C), as they are: pixels belong
into [0, 1] beforehand. Everything is computed in float64, so that bytes do not wrap round and sums do not round off.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike

from videorep.errors import ConfigError

CLIPPING = 1e-7  # cross entropy clips probabilities to [CLIPPING, 1 - CLIPPING]
STANDARDISED = "standardised_half_squared_error_per_frame"
DEFINITIONS = {  # all are means over frames and sequences
    "cross_entropy_per_frame": "nats, summed over a frame's values",
    "squared_error_per_frame": "summed over a frame's values; the literature's MSE of Moving MNIST",
    "half_squared_error_per_frame": "half the squared error; the unit of the paper's authors",
    STANDARDISED: "half the squared error of values divided by the training data's deviation",
    "absolute_error_per_frame": "summed over a frame's values; the literature's MAE",
    "psnr_per_frame": "decibels, of each frame, at most 100",
    "ssim_per_frame": "of each frame, uniform window of 7x7, data range 1",
}
SSIM_WINDOW = 7
CHUNK = 4
BEST_PSNR = 100.0  # decibels that an exact frame counts, so that means stay finite


def cross_entropy_per_frame(targets: ArrayLike, probabilities: ArrayLike) -> float:
    """Bernoulli cross entropy in nats, summed over a frame's values, mean over frames and sequences.

        -sum_d [ t_d log p_d + (1 - t_d) log(1 - p_d) ]

    Probabilities are clipped to [1e-7, 1 - 1e-7]: a wrong certainty costs 16.1 nats, not infinitely many.

    Args:
        targets: In [0, 1].
        probabilities: Of the same shape, in [0, 1].
    Returns:
        float. 4096 pixels at p = 0.5 give 2839.1.
    Raises:
        ConfigError: the shapes differ, or values lie outside [0, 1].
    Source: Srivastava et al. 2015, section 3.2.
    """
    return float(cross_entropies(targets, probabilities).mean())


def squared_error_per_frame(targets: ArrayLike, predictions: ArrayLike) -> float:
    """Squared error, summed over a frame's values, mean over frames and sequences: the literature's "MSE"."""
    return float(squared_errors(targets, predictions).mean())


def half_squared_error_per_frame(targets: ArrayLike, predictions: ArrayLike) -> float:
    """Half of `squared_error_per_frame`: the unit in which the paper's authors report squared loss."""
    return float((squared_errors(targets, predictions) / 2).mean())


def frame_metrics(
    targets: ArrayLike,
    predictions: ArrayLike,
    frame_shape: Sequence[int] | None = None,
    probabilities: bool | None = None,
    data_range: float = 1.0,
) -> dict[str, float]:
    """All figures at once.

    Args:
        targets, predictions: (B, T, D), (B, T, H, W) or (B, T, H, W, C).
        frame_shape: (H, W) or (H, W, C) of frames that come as (B, T, D); without it they get no PSNR and no SSIM.
        probabilities: Whether to give a cross entropy; by default where both lie in [0, 1].
        data_range: Distance from the darkest to the brightest value possible, for PSNR and SSIM.
    Returns:
        dict: cross_entropy_per_frame, squared_error_per_frame, half_squared_error_per_frame,
        absolute_error_per_frame, psnr_per_frame, ssim_per_frame, those that apply. Errors are sums over a frame's
        values; all are means over frames and sequences. PSNR and SSIM see predictions clipped to the data range.
    Raises:
        ConfigError: the shapes differ, or frames that get PSNR and SSIM are whole numbers.
    """
    figures = frame_figures(targets, predictions, frame_shape, probabilities, data_range)
    return {name: float(values.mean()) for name, values in figures.items()}


def frame_figures(targets, predictions, frame_shape=None, probabilities=None, data_range=1.0):
    """`frame_metrics` before the mean: {name: (B, T)}."""
    targets, predictions = np.asarray(targets), np.asarray(predictions)
    _require_same_shape(targets, predictions)
    if frame_shape is not None or targets.ndim > 3:
        _require_floats(targets, predictions)
    if probabilities is None:
        probabilities = all(array.min() >= 0 and array.max() <= 1 for array in (targets, predictions))
    parts = [  # a few sequences at a time, so that float64 copies stay in the processor's cache
        _figures(targets[start:end], predictions[start:end], frame_shape, probabilities, data_range)
        for start, end in ((start, start + CHUNK) for start in range(0, len(targets), CHUNK))
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _figures(targets, predictions, frame_shape, probabilities, data_range):
    targets, predictions = _paired(targets, predictions)
    squared = squared_errors(targets, predictions)
    figures = {"cross_entropy_per_frame": cross_entropies(targets, predictions)} if probabilities else {}
    figures["squared_error_per_frame"] = squared
    figures["half_squared_error_per_frame"] = squared / 2
    figures["absolute_error_per_frame"] = _per_frame(np.abs(targets - predictions))
    if frame_shape is not None:
        targets, predictions = (array.reshape(*array.shape[:2], *frame_shape) for array in (targets, predictions))
    if targets.ndim > 3:
        predictions = np.clip(predictions, 0.0, data_range)
        figures["psnr_per_frame"] = _psnrs(targets, predictions, data_range)
        if min(targets.shape[2:4]) >= SSIM_WINDOW:
            figures["ssim_per_frame"] = _ssims(targets, predictions, data_range)
    return figures


def _paired(targets, predictions):
    targets, predictions = np.asarray(targets, np.float64), np.asarray(predictions, np.float64)
    _require_same_shape(targets, predictions)
    return targets, predictions


def _require_same_shape(targets, predictions):
    if targets.shape != predictions.shape or targets.ndim < 3 or 0 in targets.shape:
        raise ConfigError(
            "expected targets and predictions of one shape (B, T, ...), not empty, "
            f"received {targets.shape} and {predictions.shape}; pass matching arrays"
        )


def _require_floats(*arrays):
    for array in arrays:
        if not np.issubdtype(array.dtype, np.floating):
            raise ConfigError(
                f"expected floating point frames, received {array.dtype}; divide pixels by 255, to fit data_range"
            )


def _per_frame(values):
    return values.reshape(*values.shape[:2], -1).sum(axis=-1)


def cross_entropies(targets, probabilities):
    """`cross_entropy_per_frame` before the mean: (B, T)."""
    targets, probabilities = _paired(targets, probabilities)
    for name, values in (("targets", targets), ("probabilities", probabilities)):
        low, high = values.min(), values.max()
        if not (low >= 0 and high <= 1):
            raise ConfigError(
                f"expected {name} in [0, 1] for a cross entropy, received {low:.6g} to {high:.6g}; "
                "divide pixels by 255, or compare squared errors"
            )
    chances = np.clip(probabilities, CLIPPING, 1 - CLIPPING)
    return -_per_frame(targets * np.log(chances) + (1 - targets) * np.log1p(-chances))


def squared_errors(targets, predictions):
    """`squared_error_per_frame` before the mean: (B, T)."""
    targets, predictions = _paired(targets, predictions)
    return _per_frame(np.square(targets - predictions))


def _psnrs(targets, predictions, data_range):
    """10 log10(data_range^2 / mean_d (t_d - p_d)^2) of each frame in decibels, (B, T), at most 100."""
    values_per_frame = np.prod(targets.shape[2:])
    noise = squared_errors(targets, predictions) / values_per_frame / data_range**2
    return -10 * np.log10(np.maximum(noise, 10 ** (-BEST_PSNR / 10)))


def _ssims(targets, predictions, data_range):
    """Structural similarity of each frame, (B, T): the mean over windows and channels.

    The definition that the Moving MNIST literature uses (OpenSTL calls scikit-image's `structural_similarity` with its
    defaults): uniform 7x7 window, sample covariance, K1 = 0.01, K2 = 0.03, mean over the windows that lie within the
    frame, mean over channels. Unlike there, `data_range` is always the one given, never guessed from the array's type:
    for floats the guess is 2, which gives higher values.

    Source: Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity".
    """
    batch, time, height, width = targets.shape[:4]
    channels = targets.reshape(batch, time, height, width, -1).shape[-1]
    # channels before height: then all frames are one tall picture, which one filter call serves
    x, y = (
        np.moveaxis(array.reshape(batch, time, height, width, channels), -1, 2).reshape(-1, width)
        for array in (targets, predictions)
    )
    mean_x, mean_y, mean_xy, mean_squares = (_window_mean(field, height) for field in (x, y, x * y, x * x + y * y))
    unbiased = SSIM_WINDOW**2 / (SSIM_WINDOW**2 - 1)
    covariance = unbiased * (mean_xy - mean_x * mean_y)
    variances = unbiased * (mean_squares - mean_x**2 - mean_y**2)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity /= (mean_x**2 + mean_y**2 + c1) * (variances + c2)
    return similarity.reshape(batch, time, -1).mean(axis=-1)


def _window_mean(field, height):
    """Means over the windows that lie within each of the frames stacked in `field` (n * height, width)."""
    margin = SSIM_WINDOW // 2
    means = cv2.boxFilter(field, -1, (SSIM_WINDOW, SSIM_WINDOW)).reshape(-1, height, field.shape[1])
    return means[:, margin:-margin, margin:-margin]
