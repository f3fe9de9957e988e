"""What of a comparison is chance: videos are the independent units, draws are repetitions on the same videos."""

import numpy as np
from scipy import stats

from videorep.data.sampling import make_generator

BOOTSTRAP, RESAMPLES = 15, 10_000


def interval(correct, seed):
    """95 % interval of an accuracy, by a bootstrap over videos.

    Args:
        correct: (draws, V) bool.
        seed: Of the resampling.
    Returns:
        (low, high).
    """
    of_videos = correct.mean(0)
    picks = make_generator(seed, BOOTSTRAP).integers(0, len(of_videos), (RESAMPLES, len(of_videos)))
    low, high = np.quantile(of_videos[picks].mean(1), (0.025, 0.975))
    return float(low), float(high)


def paired_test(a, b):
    """Whether two contenders differ, on the same draws and videos.

    Of one draw McNemar's exact test; of several Wilcoxon's signed rank test on each video's share of draws in which a
    was right, less that of b.

    Args:
        a, b: (draws, V) bool, which videos were right.
    Returns:
        p, two-sided; 1.0 where they never differ.
    """
    differences = a.mean(0) - b.mean(0)
    if not differences.any():
        return 1.0
    if len(a) == 1:
        wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
        return float(stats.binomtest(wins, wins + losses).pvalue)
    return float(stats.wilcoxon(differences, zero_method="zsplit").pvalue)


def holm(ps):
    """Holm's correction of several p: the same order, each at least as large."""
    ps = np.asarray(ps, float)
    order = np.argsort(ps)
    corrected = np.maximum.accumulate(np.minimum(1.0, ps[order] * np.arange(len(ps), 0, -1)))
    result = np.empty_like(corrected)
    result[order] = corrected
    return result.tolist()
