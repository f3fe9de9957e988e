"""The softmax that starts as logistic regression, beside scikit-learn's own pipeline."""

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from videorep.config import ClassifierConfig
from videorep.models import build_classifier
from videorep.models.linear_probe import average_states, start_softmax, state_reader

FEATURES, UNITS = 3, 5


def classifier(*classes):
    return build_classifier(ClassifierConfig(features=FEATURES, units=(4, UNITS), classes=classes), seed=0)


def probabilities(model, states):
    logits = states @ np.asarray(model.softmax.kernel) + np.asarray(model.softmax.bias)
    return np.asarray(keras.ops.softmax(logits))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_it_gives_the_probabilities_of_scikit_learn(count):
    generator = np.random.default_rng(count)
    labels = np.arange(40) % count
    states = generator.normal(size=(40, UNITS)) * 0.1 + generator.normal(size=(count, UNITS))[labels] * 0.1 + 3
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300)).fit(states, labels)
    model = classifier(*"abcde"[:count])
    start_softmax(model, states, labels)
    np.testing.assert_allclose(probabilities(model, states), oracle.predict_proba(states), atol=1e-5)


def test_a_class_that_no_block_shows_is_improbable_and_one_class_alone_changes_nothing():
    states = np.random.default_rng(0).normal(size=(20, UNITS))
    model, before = classifier(*"abc"), classifier(*"abc").softmax.get_weights()
    start_softmax(model, states, np.full(20, 1))
    np.testing.assert_array_equal(model.softmax.get_weights()[0], before[0])
    start_softmax(model, states, np.arange(20) % 2 * 2)  # classes 0 and 2
    assert probabilities(model, states)[:, 1].max() < 1e-6


def test_states_are_those_of_the_top_lstm_averaged_over_the_steps_that_count():
    model, frames = classifier(*"ab"), np.random.default_rng(0).normal(size=(2, 6, FEATURES)).astype(np.float32)
    states = np.asarray(state_reader(model)({"frames": frames}))
    below = np.asarray(model.lstms[0](frames))
    np.testing.assert_allclose(states, model.lstms[1](below), atol=1e-6)
    mask = np.array([[1, 1, 1, 0, 0, 0], [1] * 6], np.float32)
    mean = np.asarray(average_states(states, mask))
    np.testing.assert_allclose(mean, [states[0, :3].mean(0), states[1].mean(0)], atol=1e-6)
