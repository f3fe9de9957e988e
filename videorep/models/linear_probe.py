"""A softmax that starts as logistic regression on the LSTMs' states, so that finetuning does not begin with noise."""

import keras
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from videorep.models.averaging import average_steps

PENALTY = 0.1  # scikit-learn's C, on states of mean 0 and deviation 1
MOST_STEPS = 300
FEW = 1e-8  # probability of a class that no block shows


def state_reader(classifier):
    """A model from a `Classifier`'s inputs to the states of its top LSTM, (B, T, U)."""
    return keras.Model(classifier.inputs, classifier.lstms[-1].output)


def average_states(states, mask):
    """(B, U) float32: states (B, T, U) averaged over the steps that count, as `average_steps` does."""
    return average_steps(keras.ops.cast(states, "float32"), mask)


def start_softmax(classifier, states, labels):
    """Sets a `Classifier`'s softmax to logistic regression on states; left as it is where there is one class alone.

    The gradients of a random softmax would move the encoder away from what it has learned before they mean anything.

    Args:
        classifier: `Classifier` with LSTMs.
        states: (N, U), one per block, see `average_states`.
        labels: (N,) whole numbers, of the blocks.
    Source: Kumar et al., Fine-tuning can distort pretrained features and underperform out-of-distribution, ICLR 2022.
    """
    present = np.unique(labels)
    if len(present) < 2:
        return
    scaler = StandardScaler().fit(np.asarray(states, np.float64))
    with threadpool_limits(1):
        regression = LogisticRegression(C=PENALTY, max_iter=MOST_STEPS).fit(scaler.transform(states), labels)
    weights, bias = regression.coef_, regression.intercept_
    if len(present) == 2:  # scikit-learn gives one row, of the second class against the first
        weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    kernel, offsets = (np.asarray(weight) for weight in classifier.softmax.get_weights())
    kernel, offsets = np.zeros_like(kernel), np.full_like(offsets, bias.min() + np.log(FEW))
    kernel[:, present] = weights.T / scaler.scale_[:, None]
    offsets[present] = bias - scaler.mean_ @ kernel[:, present]
    classifier.softmax.set_weights([kernel, offsets])
