"""How the probabilities of several classifiers become one."""

import numpy as np

FUSE = ("mean", "weighted")
LEAST = 1e-7  # probability that a classifier is held to have given
STEPS = 500


def mixture_weights(probabilities, labels):
    """Weights of a mixture of classifiers under which the labels of held-out videos are most likely.

    Found by expectation maximisation, which begins with equal weights.

    Args:
        probabilities: (S, V, K), of S classifiers for V videos.
        labels: (V,) whole numbers.
    Returns:
        (S,) float64, at least 0, with the sum 1; equal where V is 0.
    Source: Dempster, Laird and Rubin 1977, section 4.3.
    """
    of_label = np.maximum(np.asarray(probabilities, np.float64)[:, np.arange(len(labels)), labels], LEAST)
    weights = np.full(len(of_label), 1 / len(of_label))
    for _ in range(STEPS if len(labels) else 0):
        parts = weights[:, None] * of_label
        weights = (parts / parts.sum(0)).mean(1)
    return weights
