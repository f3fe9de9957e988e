"""Metrics against plain loops, known values and the traps that the literature fell into."""

import numpy as np
import pytest

from videorep.errors import ConfigError
from videorep.evaluation import metrics


@pytest.fixture
def frames():
    rng = np.random.default_rng(1)
    return rng.uniform(size=(2, 3, 12, 10)), rng.uniform(0.01, 0.99, size=(2, 3, 12, 10))


def psnr(targets, predictions, data_range=1.0):
    return metrics.frame_metrics(targets, predictions, data_range=data_range)["psnr_per_frame"]


def ssim(targets, predictions, data_range=1.0):
    return metrics.frame_metrics(targets, predictions, data_range=data_range)["ssim_per_frame"]


def mean_over_frames(function, targets, predictions):
    values = []
    for target, prediction in zip(targets.reshape(6, -1), predictions.reshape(6, -1), strict=True):
        values.append(sum(function(t, p) for t, p in zip(target, prediction, strict=True)))
    return np.mean(values)


def test_sums_over_values_and_means_over_frames(frames):
    expected = {
        "cross_entropy_per_frame": lambda t, p: -(t * np.log(p) + (1 - t) * np.log(1 - p)),
        "squared_error_per_frame": lambda t, p: (t - p) ** 2,
        "half_squared_error_per_frame": lambda t, p: (t - p) ** 2 / 2,
        "absolute_error_per_frame": lambda t, p: abs(t - p),
    }
    figures = metrics.frame_metrics(*frames)
    for name, function in expected.items():
        assert figures[name] == pytest.approx(mean_over_frames(function, *frames), rel=1e-9)
        assert getattr(metrics, name, metrics.frame_metrics)(*frames) in (figures[name], figures)


def test_one_half_everywhere_costs_4096_log_2():
    targets = np.random.default_rng(0).integers(0, 2, (2, 3, 4096))
    assert metrics.cross_entropy_per_frame(targets, np.full(targets.shape, 0.5)) == pytest.approx(2839.1, abs=0.05)


def test_a_certain_mistake_costs_what_the_clipping_says():
    cost = metrics.cross_entropy_per_frame(np.ones((1, 1, 1)), np.zeros((1, 1, 1)))
    assert cost == pytest.approx(-np.log(metrics.CLIPPING))


def test_accumulation_is_in_float64():
    targets = np.zeros((1, 1, 4_000_000), np.float32)
    predictions = np.full(targets.shape, 0.1, np.float32)
    assert metrics.squared_error_per_frame(targets, predictions) == pytest.approx(4e6 * float(np.float32(0.1)) ** 2)


def test_psnr_of_known_error():
    targets = np.zeros((1, 2, 4, 4))
    predictions = np.stack([np.full((4, 4), 0.1), np.full((4, 4), 0.01)])[None]
    assert psnr(targets, predictions) == pytest.approx((20 + 40) / 2)


def test_integer_frames_are_refused_where_they_would_wrap_round():
    bytes_ = np.zeros((1, 1, 12, 12), np.uint8)
    for shape in (None, (12, 12)):
        frames = bytes_ if shape is None else bytes_.reshape(1, 1, 144)
        with pytest.raises(ConfigError, match="floating point"):
            metrics.frame_metrics(frames, frames + 1, shape)


def ssim_by_loops(a, b, window=7):
    values = []
    for top in range(a.shape[0] - window + 1):
        for left in range(a.shape[1] - window + 1):
            x = a[top : top + window, left : left + window].ravel()
            y = b[top : top + window, left : left + window].ravel()
            covariance = np.cov(x, y)
            values.append(
                (2 * x.mean() * y.mean() + 0.01**2)
                * (2 * covariance[0, 1] + 0.03**2)
                / ((x.mean() ** 2 + y.mean() ** 2 + 0.01**2) * (covariance[0, 0] + covariance[1, 1] + 0.03**2))
            )
    return np.mean(values)


def test_ssim_by_loops(frames):
    a, b = frames
    expected = np.mean([ssim_by_loops(a[i, j], b[i, j]) for i in range(2) for j in range(3)])
    assert ssim(a, b) == pytest.approx(expected, rel=1e-6)
    colour = [np.stack([each, each[..., ::-1]], axis=-1) for each in frames]
    assert ssim(*colour) == pytest.approx(expected, rel=1e-6)
    assert ssim(a, a) == pytest.approx(1)


def test_shapes_must_agree(frames):
    with pytest.raises(ConfigError, match="shape"):
        metrics.squared_error_per_frame(frames[0], frames[1][:1])
    with pytest.raises(ConfigError, match="shape"):
        metrics.squared_error_per_frame(np.zeros(3), np.zeros(3))


def test_bytes_do_not_wrap_round():
    targets, predictions = np.full((1, 1, 4), 10, np.uint8), np.full((1, 1, 4), 250, np.uint8)
    assert metrics.squared_error_per_frame(targets, predictions) == 4 * 240**2
    assert metrics.frame_metrics(targets, predictions, probabilities=False)["absolute_error_per_frame"] == 4 * 240
    with pytest.raises(ConfigError, match="divide pixels by 255"):
        metrics.cross_entropy_per_frame(targets, predictions)


def test_ssim_and_psnr_depend_on_the_stated_range(frames):
    a, b = frames
    assert ssim(a * 255, b * 255, data_range=255) == pytest.approx(ssim(a, b))
    assert psnr(a * 255, b * 255, data_range=255) == pytest.approx(psnr(a, b))
    assert ssim(a, b, data_range=2) > ssim(a, b)


def test_exact_frames_keep_the_mean_finite(frames):
    assert psnr(frames[0], frames[0]) == metrics.BEST_PSNR


def test_frames_too_small_or_flat_have_no_ssim(frames):
    a, b = frames
    assert "ssim_per_frame" not in metrics.frame_metrics(a.reshape(2, 3, 2, 60), b.reshape(2, 3, 2, 60))
    flat = metrics.frame_metrics(a.reshape(2, 3, 120), b.reshape(2, 3, 120))
    assert "psnr_per_frame" not in flat and "ssim_per_frame" not in flat
    assert metrics.frame_metrics(a.reshape(2, 3, 120), b.reshape(2, 3, 120), (12, 10)) == metrics.frame_metrics(a, b)


def test_values_have_no_cross_entropy_probabilities_have(frames):
    a, b = frames
    figures = metrics.frame_metrics(a, 3 * b - 1)
    assert "cross_entropy_per_frame" not in figures
    assert figures["ssim_per_frame"] == pytest.approx(ssim(a, np.clip(3 * b - 1, 0, 1)))
    with pytest.raises(ConfigError, match="cross entropy"):
        metrics.frame_metrics(a, 3 * b - 1, probabilities=True)


def test_figures_of_many_sequences_are_those_of_each():
    a, b = np.random.default_rng(2).uniform(size=(2, 9, 2, 8, 8))
    figures = metrics.frame_figures(a, b)
    for n in range(9):
        for name, value in metrics.frame_metrics(a[n : n + 1], b[n : n + 1]).items():
            assert figures[name].shape == (9, 2)
            assert figures[name][n].mean() == pytest.approx(value)
