"""Contenders that need no recurrent network: the largest class, and logistic regression (scikit-learn)."""

import dataclasses
import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from videorep.data.sampling import spread
from videorep.training.forecast import LONGEST_SECONDS

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)  # scikit-learn's C, the inverse of the weight decay
MOST_STEPS = 300
MANY_FEATURES = 2048
FRAMES_PER_VIDEO = 16  # of which the single frames learn; all of them vote
MOST_NUMBERS = 1 << 21  # to learn from: 1,638 frames of 1,280 features, 512 of 4,096; one frame per video at least


@dataclasses.dataclass
class Majority:
    """Every video belongs to the class that most of all training videos belong to."""

    videos: object

    def trials(self, generator, count):
        """One: there is nothing to choose."""
        return [{}]

    def fit(self, train, test, trial, seed):
        """As `Linear.fit`."""
        largest = np.bincount(self.videos.labels[self.videos.training]).argmax()
        yield {}, np.tile(np.eye(len(self.videos.classes))[largest], (len(test), 1))


@dataclasses.dataclass
class Linear:
    """Logistic regression on features of the videos; where these are of frames, the mean of the frames' probabilities.

    Args:
        videos: LabelledVideos.
        features: (R, D) rows of features.
        owner: (R,) numbers of the videos that the rows belong to.
        most: Rows per video to learn from, evenly spread; fewer where all would be more than `MOST_NUMBERS`.
    """

    videos: object
    features: np.ndarray
    owner: np.ndarray
    most: int = FRAMES_PER_VIDEO

    def trials(self, generator, count):
        """At most `count` settings to try: features standardised, or as they are."""
        return [{"standardise": True}, {"standardise": False}][:count]

    def fit(self, train, test, trial, seed):
        """Trains on the videos `train` and classifies the videos `test`.

        Yields:
            For each strength of the penalty its setting, and probabilities (len(test), K).
        """
        most = self.rows_per_video(train)
        rows = np.concatenate([self._rows(video, most) for video in train])
        asked = np.flatnonzero(np.isin(self.owner, test))
        labels = self.videos.labels[self.owner[rows]]
        learnt, tried = self.features[rows], self.features[asked]
        if trial["standardise"]:
            scaler = StandardScaler().fit(learnt)
            learnt, tried = scaler.transform(learnt), scaler.transform(tried)
        axes = _axes_of(learnt)
        for penalty in PENALTIES:
            model = _regress(learnt, labels, penalty, axes)
            of_rows = np.zeros((len(asked), len(self.videos.classes)))
            of_rows[:, model.classes_] = model.predict_proba(tried)
            yield {"C": penalty}, np.stack([of_rows[self.owner[asked] == video].mean(0) for video in test])

    def seconds(self, train, test):
        """About what `fit` takes, by those of its penalties that do not take long, the first at least."""
        begun, times = time.monotonic(), []
        for _ in self.fit(train, test, {"standardise": True}, 0):
            times.append(time.monotonic() - begun)
            if times[-1] > LONGEST_SECONDS:
                break
        return times[-1] * len(PENALTIES) / len(times)

    def rows_per_video(self, train):
        """Of how many rows of each of the videos `train` it learns, at most."""
        return max(1, min(self.most, MOST_NUMBERS // (len(train) * self.features.shape[1])))

    def _rows(self, video, most):
        rows = np.flatnonzero(self.owner == video)
        return rows[spread(len(rows), most)]


def _axes_of(rows):
    """Orthonormal axes (D, R) of R rows of many more features, None where there are not as many.

    The weights that fit best are a sum of the rows, so they may be sought along these axes: far fewer numbers, and the
    same optimum, since turning the axes changes neither loss nor penalty.
    """
    if not len(rows) < rows.shape[1] > MANY_FEATURES:
        return None
    with threadpool_limits(1):
        return np.linalg.qr(rows.T)[0]


def _regress(rows, labels, penalty, axes):
    """A fitted LogisticRegression, its weights sought along `axes`."""
    model = LogisticRegression(C=penalty, max_iter=MOST_STEPS)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning), threadpool_limits(1):
        model.fit(rows if axes is None else rows @ axes, labels)
    if axes is not None:
        model.coef_, model.n_features_in_ = model.coef_ @ axes.T, len(axes)
    return model


def mean_pooled(videos):
    """Logistic regression on the mean of each video's frames."""
    return Linear(videos, videos.pooled(), np.arange(len(videos.paths)))


def halves_pooled(videos):
    """Logistic regression on the means of each video's two halves: the least that can tell the order of frames."""
    return Linear(videos, videos.pooled(parts=2), np.arange(len(videos.paths)))


def single_frame(videos):
    """Logistic regression on single frames, whose probabilities are averaged over the video (paper section 3.3)."""
    owner = np.repeat(np.arange(len(videos.paths)), np.diff(videos.spans()))
    return Linear(videos, videos.frames, owner)
