"""Contenders that need no recurrent network: the largest class, and logistic regression (scikit-learn)."""

import dataclasses
import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from videorep.data.choices import spread
from videorep.training.forecast import LONGEST_SECONDS

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)  # scikit-learn's C, the inverse of the weight decay
MOST_STEPS = 300
FRAMES_PER_VIDEO = 16  # of which the single frames learn; all of them vote


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
        most: Rows per video to learn from, evenly spread.
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
        rows = np.concatenate([self._rows(video) for video in train])
        asked = np.flatnonzero(np.isin(self.owner, test))
        labels = self.videos.labels[self.owner[rows]]
        for penalty in PENALTIES:
            regression = LogisticRegression(C=penalty, max_iter=MOST_STEPS)
            steps = [StandardScaler(), regression] if trial["standardise"] else [regression]
            with warnings.catch_warnings(action="ignore", category=ConvergenceWarning), threadpool_limits(1):
                model = make_pipeline(*steps).fit(self.features[rows], labels)
            of_rows = np.zeros((len(asked), len(self.videos.classes)))
            of_rows[:, model.classes_] = model.predict_proba(self.features[asked])
            yield {"C": penalty}, np.stack([of_rows[self.owner[asked] == video].mean(0) for video in test])

    def seconds(self, train, test):
        """About what `fit` takes, by those of its penalties that do not take long, the first at least."""
        begun, times = time.monotonic(), []
        for _ in self.fit(train, test, {"standardise": True}, 0):
            times.append(time.monotonic() - begun)
            if times[-1] > LONGEST_SECONDS:
                break
        return times[-1] * len(PENALTIES) / len(times)

    def _rows(self, video):
        rows = np.flatnonzero(self.owner == video)
        return rows[spread(len(rows), self.most)]


def mean_pooled(videos):
    """Logistic regression on the mean of each video's frames."""
    return Linear(videos, videos.pooled(), np.arange(len(videos.paths)))


def single_frame(videos):
    """Logistic regression on single frames, whose probabilities are averaged over the video (paper section 3.3)."""
    owner = np.repeat(np.arange(len(videos.paths)), np.diff(videos.spans()))
    return Linear(videos, videos.frames, owner)
