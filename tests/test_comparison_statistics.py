"""Intervals and paired tests against counting by hand and against scipy's own."""

import math

import numpy as np
import pytest
from scipy import stats

from videorep.comparison.statistics import holm, interval, paired_test


def test_one_draw_is_the_exact_sign_test_of_mcnemar():
    a, b = np.zeros((1, 20), bool), np.zeros((1, 20), bool)
    a[0, :9], b[0, 9:11] = True, True  # 9 videos that only a has right, 2 that only b has
    by_hand = 2 * sum(math.comb(11, k) for k in range(3)) / 2**11
    assert paired_test(a, b) == pytest.approx(by_hand)
    assert paired_test(b, a) == pytest.approx(by_hand)


def test_several_draws_are_wilcoxon_over_videos():
    generator = np.random.default_rng(0)
    a, b = generator.random((10, 40)) < 0.8, generator.random((10, 40)) < 0.6
    expected = stats.wilcoxon(a.mean(0), b.mean(0), zero_method="zsplit").pvalue
    assert paired_test(a, b) == pytest.approx(expected)
    assert paired_test(a, a) == 1.0


def test_equal_contenders_seldom_differ():
    """Of 200 pairs of equal contenders about one in twenty has p below 0.05."""
    generator = np.random.default_rng(0)
    hard = generator.random(60)
    draws = [generator.random((2, 5, 60)) < hard for _ in range(200)]
    assert np.mean([paired_test(a, b) < 0.05 for a, b in draws]) < 0.1


def test_the_interval_covers_the_true_accuracy_of_about_95_in_100():
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        low, high = interval(generator.random((1, 80)) < 0.7, seed=0)
        covered += low <= 0.7 <= high
    assert covered >= 88


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
