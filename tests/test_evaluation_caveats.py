"""Sentences on figures that mean nothing."""

import numpy as np

from videorep.evaluation.caveats import classifier_caveats, predictor_caveats

LABELS = np.array([0] * 6 + [1] * 4)
NAMES = ("run", "walk")


def test_an_accuracy_up_to_that_of_the_largest_class_means_nothing():
    [sentence] = classifier_caveats(LABELS == 0, LABELS, NAMES)
    assert sentence == (
        "the accuracy, 60.0% of 10 videos, is no better than always guessing 'run', the largest class (60.0%)"
    )


def test_an_accuracy_within_its_error_of_the_largest_class_says_how_that_was_found():
    correct = np.ones(10, bool)  # better on 4 videos, worse on none: p = 1/16
    [sentence] = classifier_caveats(correct, LABELS, NAMES)
    assert "cannot be told from always guessing 'run'" in sentence and "McNemar test, p = 0.06" in sentence
    assert classifier_caveats(np.ones(20, bool), np.tile(LABELS, 2), NAMES) == []  # on 8: p = 1/256


def test_a_predictor_no_better_than_copying_is_told_with_the_figure():
    figures = {"future_squared_error_per_frame": 3.0, "future_ssim_per_frame": 0.1, "reconstruction_psnr_per_frame": 1}
    rows = [
        {"predictor": "model", **figures},
        {"predictor": "model, fed with true frames", **dict.fromkeys(figures, 9.0)},
        {"predictor": "copy the last frame", **dict.fromkeys(figures, 2.5)},
        {"predictor": "predict the mean frame", **dict.fromkeys(figures, 4.0)},
    ]
    assert predictor_caveats(rows, "model") == [
        "the model's future squared error per frame, 3, is no better than that of 'copy the last frame', 2.5"
    ]
