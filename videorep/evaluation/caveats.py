"""When a figure means nothing: sentences for whoever reads it."""

import numpy as np
from scipy import stats

SIGNIFICANCE = 0.05
FIGURES = ("cross_entropy_per_frame", "squared_error_per_frame")


def classifier_caveats(correct, labels, names):
    """What must be said of an accuracy that may be that of always guessing the largest class of these videos.

    The test is McNemar's, exact and one-sided, on the same videos: of those that only one of both has right, would a
    coin have given the classifier as many?

    Args:
        correct: (V,) bool, which videos the classifier has right.
        labels: (V,) int, their classes, numbered as in `names`.
    Returns:
        List of sentences; empty where the classifier is better with p <= 0.05.
    """
    largest = int(np.bincount(labels).argmax())
    guessed = labels == largest
    told = (
        f"the accuracy, {np.mean(correct):.1%} of {len(labels)} videos,",
        f"always guessing {names[largest]!r}, the largest class ({np.mean(guessed):.1%})",
    )
    if correct.sum() <= guessed.sum():
        return [f"{told[0]} is no better than {told[1]}"]
    wins, losses = int((correct & ~guessed).sum()), int((guessed & ~correct).sum())
    p = stats.binomtest(wins, wins + losses, alternative="greater").pvalue
    if p > SIGNIFICANCE:
        return [f"{told[0]} cannot be told from {told[1]}: exact one-sided McNemar test, p = {p:.2f}"]
    return []


def predictor_caveats(rows, model):
    """What must be said of a model that predicts no better than a predictor without learning.

    Args:
        rows: The "rows" of `evaluate_future_prediction`.
        model: Name of the model's own row; those that begin with it are not compared.
    """
    own = next(row for row in rows if row["predictor"] == model)
    others = [row for row in rows if not row["predictor"].startswith(model)]
    return [
        f"the model's {name.replace('_', ' ')}, {own[name]:.5g}, is no better than that of '{row['predictor']}', "
        f"{row[name]:.5g}"
        for row in others
        for name in own
        if name.partition("_")[2] in FIGURES and row.get(name) is not None and not own[name] < row[name]
    ]
