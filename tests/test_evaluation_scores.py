"""Scores of predictors against NumPy by hand, and against what scikit-image makes of the same frames."""

import numpy as np
import pytest

from videorep.config import ModelConfig
from videorep.evaluation.scores import Scores

N, T, F, SHAPE = 6, 3, 4, (9, 8, 1)
CONFIG = ModelConfig("future_predictor", 72, (5,), T, F, (), "bernoulli")


@pytest.fixture
def frames():
    return np.random.default_rng(0).uniform(size=(N, T + F, 72))


@pytest.fixture
def predicted():
    return np.random.default_rng(1).uniform(0.01, 0.99, size=(N, F, 72))


def score(frames, predicted, batches=(N,), order=slice(None), **options):
    scores, ends = Scores(CONFIG, SHAPE, **options), np.cumsum(batches)
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        part = np.arange(N)[order][start:end]
        scores.add(frames[part], {"model": {"future": predicted[part]}})
    return scores.result()


def test_means_and_standard_errors_by_hand(frames, predicted):
    mean, deviation, future = np.full(72, 0.4), np.linspace(0.1, 0.9, 72), frames[:, T:]
    result = score(frames, predicted, mean=mean, deviation=deviation)
    black = np.zeros_like(future)
    predictors = {"model": predicted, "predict the mean frame": mean + black, "predict black": black}
    predictors["copy the last frame"] = np.repeat(frames[:, T - 1 : T], F, axis=1)
    assert [row["predictor"] for row in result["rows"]] == list(predictors)
    for row, errors in zip(result["rows"], result["standard_errors"], strict=True):
        name = row["predictor"]
        p, safe = predictors[name], np.clip(predictors[name], 1e-7, 1 - 1e-7)
        squared = ((future - p) ** 2).sum(-1)
        figures = {
            "cross_entropy": -(future * np.log(safe) + (1 - future) * np.log(1 - safe)).sum(-1),
            "squared_error": squared,
            "half_squared_error": squared / 2,
            "absolute_error": np.abs(future - p).sum(-1),
            "standardised_half_squared_error": (((future - p) / deviation) ** 2).sum(-1) / 2,
            "psnr": 10 * np.log10(72 / squared),
        }
        assert set(row) == {"predictor", *(f"future_{figure}_per_frame" for figure in [*figures, "ssim"])}
        for figure, values in figures.items():
            error, by_frame = values.mean(1).std(ddof=1) / N**0.5, values.std(0, ddof=1) / N**0.5
            assert row[f"future_{figure}_per_frame"] == pytest.approx(values.mean(), rel=1e-6), (name, figure)
            assert errors[f"future_{figure}_per_frame"] == pytest.approx(error, rel=1e-6, abs=1e-6)
            for key, expected in (("", values.mean(0)), ("_standard_errors", by_frame)):
                received = result[f"future_by_frame{key}"][f"{figure}_per_frame"][name]
                np.testing.assert_allclose(received, expected, rtol=1e-6, atol=1e-6)


def test_scikit_image_agrees(frames, predicted):
    """As the community calls it: a frame at a time, its defaults, and the range of the data."""
    pytest.importorskip("skimage")
    from skimage import metrics

    by_frame, future = score(frames, predicted)["future_by_frame"], frames[:, T:].reshape(N, F, *SHAPE[:2])
    for figure, function in (("ssim", metrics.structural_similarity), ("psnr", metrics.peak_signal_noise_ratio)):
        pairs = zip(future, predicted.reshape(future.shape), strict=True)
        expected = [[function(t, p, data_range=1) for t, p in zip(*each, strict=True)] for each in pairs]
        np.testing.assert_allclose(by_frame[f"{figure}_per_frame"]["model"], np.mean(expected, axis=0), atol=1e-6)


def test_neither_batches_nor_their_order_decide(frames, predicted):
    expected = score(frames, predicted)
    for batches, order in (((1, 1, 4), slice(None)), ((2, 2, 2), slice(None, None, -1)), ((5, 1), [3, 1, 5, 0, 2, 4])):
        received = score(frames, predicted, batches, order)
        for name in ("rows", "standard_errors"):
            for row, other in zip(expected[name], received[name], strict=True):
                assert other.pop("predictor") == row["predictor"]
                assert other == pytest.approx({key: row[key] for key in other}, rel=1e-9, nan_ok=False)


def test_one_sequence_has_no_standard_error(frames, predicted):
    result = score(frames[:1], predicted[:1], (1,))
    assert set(result["standard_errors"][0].values()) == {"model", None}
    assert result["future_by_frame_standard_errors"]["ssim_per_frame"]["model"] == [None] * F
