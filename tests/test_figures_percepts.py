"""The picture of percepts: arrays at their place, and principal components against NumPy's covariance."""

import numpy as np
from PIL import Image

from videorep.figures.percepts import draw_percepts, principal_components


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


def test_arrays_and_classes_are_drawn(tmp_path):
    arrays = {f"clip {k}": np.repeat(np.linspace(0, 1, 30)[:, None], 8, axis=1) for k in range(3)}
    means = np.concatenate([np.random.default_rng(k).normal(8 * k, 1, (20, 8)) for k in range(3)])
    labels = np.repeat([0, 1, -1], 20)
    draw_percepts(tmp_path / "percepts.png", arrays, means, labels, ["jump", "run"])
    picture = np.asarray(Image.open(tmp_path / "percepts.png").convert("RGB")).astype(int)
    assert picture.shape == (2 * 150 + 560, 1100, 3)
    dark, bright = ((np.abs(picture - np.array(colour)).sum(-1) < 12) for colour in ((68, 1, 84), (253, 231, 37)))
    for left, right in ((0, 550), (550, 1100)):  # time runs to the right: viridis from its dark to its bright end
        columns = [np.flatnonzero(mask[:150, left:right].any(axis=0)) for mask in (dark, bright)]
        assert columns[0].mean() < columns[1].mean()
    assert not bright[150:300, 700:].any(), "there is no fourth array"
    for colour in ("#4477AA", "#EE7733", "#BBBBBB"):
        wanted = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
        assert (np.abs(picture[300:] - wanted).sum(-1) < 12).sum() > 100, colour
