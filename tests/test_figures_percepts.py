"""The picture of percepts: arrays at their place, and principal components against NumPy's covariance."""

import numpy as np
from PIL import Image

from videorep.figures.percepts import draw_percepts, principal_components, standardise_features


def test_principal_components_are_the_covariance_s_eigenvectors():
    points = np.random.default_rng(0).normal(size=(50, 4)) * [1.0, 5.0, 0.1, 2.0] + 7
    scores, shares = principal_components(points)
    values, vectors = np.linalg.eigh(np.cov(points.T))
    expected = (points - points.mean(axis=0)) @ vectors[:, [-1, -2]]
    np.testing.assert_allclose(np.abs(scores), np.abs(expected), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(shares, values[[-1, -2]] / values.sum())


def test_points_without_a_second_component():
    scores, shares = principal_components(np.ones((1, 3)))
    assert scores.tolist() == [[0, 0]] and shares.tolist() == [0, 0]


def test_a_component_of_rounding_noise_is_0():
    rng = np.random.default_rng(0)
    pair = rng.normal(1, 0.3, (2, 4096)).astype(np.float32)
    line = (rng.normal(size=(40, 1)) * rng.normal(size=(1, 4096)) + 3).astype(np.float32)
    for points in (pair, line):
        scores, shares = principal_components(points)
        assert np.all(scores[:, 0] != 0) and shares[0] > 0.999
        assert not scores[:, 1].any() and shares[1] == 0


def test_features_are_standardised_over_the_clip():
    array = np.random.default_rng(0).normal(5, 2, (30, 4)).astype(np.float32) * [1, 100, 0.01, 1]
    array[:, 3] = np.float32(0.1)
    received = standardise_features(array.astype(np.float32))
    expected = (array[:, :3] - array[:, :3].mean(axis=0)) / array[:, :3].std(axis=0)
    np.testing.assert_allclose(received[:, :3], expected, rtol=1e-4, atol=1e-4)
    assert not received[:, 3].any()


def test_arrays_and_classes_are_drawn(tmp_path):
    """Half of the features are always large and half always small; the picture shows that all of them rise."""
    ramp = np.linspace(-1, 1, 30) ** 3  # 2.6 deviations at both ends
    arrays = {f"clip {k}": np.stack([ramp, 1000 + ramp] * 4, axis=1) for k in range(3)}
    means = np.concatenate([np.random.default_rng(k).normal(8 * k, 1, (20, 8)) for k in range(3)])
    labels = np.repeat([0, 1, -1], 20)
    draw_percepts(tmp_path / "percepts.png", arrays, means, labels, ["jump", "run"])
    picture = np.asarray(Image.open(tmp_path / "percepts.png").convert("RGB")).astype(int)
    assert picture.shape == (2 * 150 + 560, 1100, 3)
    low, high = ((np.abs(picture - np.array(colour)).sum(-1) < 12) for colour in ((5, 48, 97), (103, 0, 31)))
    for left, right in ((0, 530), (530, 1010)):  # time runs to the right: from the blue to the red end of the scale
        columns = [np.flatnonzero(mask[:150, left:right].sum(axis=0) > 60) for mask in (low, high)]
        assert columns[0].max() < columns[1].min()
    assert not high[150:300, 550:1010].any(), "there is no fourth array"
    for colour in ("#4477AA", "#EE7733", "#BBBBBB"):
        wanted = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
        assert (np.abs(picture[300:] - wanted).sum(-1) < 12).sum() > 100, colour
