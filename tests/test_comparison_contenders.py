"""Contenders against scikit-learn, NumPy and Keras used by hand."""

import dataclasses

import numpy as np
import pytest
from comparison_videos import make_videos
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from videorep.comparison.linear import PENALTIES, Majority, halves_pooled, mean_pooled, single_frame
from videorep.comparison.recurrent import STEPS, Recurrent, frozen
from videorep.config import ClassifierConfig
from videorep.layers import PeepholeLSTM
from videorep.models import build_classifier, build_model

USUAL = {"learning_rate": 3e-3, "dropout": 0.0, "weight_decay": 0.0, "encoder_rate": 1.0, "softmax": "random"}


@pytest.fixture(scope="module")
def videos():
    return make_videos(per_class=(6, 7), frames=(3, 20))


def frames_of(videos, number):
    spans = videos.spans()
    return videos.frames[spans[number] : spans[number + 1]]


def make_recurrent(videos, encoder=None, **shape):
    config = ClassifierConfig("lstm", 4, (6,), videos.classes, block_frames=5, block_stride=3, **shape)
    return Recurrent(videos, config, encoder)


def test_the_largest_class_is_that_of_the_training_videos(videos):
    [(_, probabilities)] = Majority(videos).fit(videos.training[:2], videos.test, {}, 0)
    assert (probabilities.argmax(-1) == 1).all()


def test_mean_pooled_is_scikit_learn_on_the_mean_of_the_frames(videos):
    pooled = np.stack([frames_of(videos, number).astype(float).mean(0) for number in range(len(videos.paths))])
    train, test = videos.training[::2], videos.test
    for setting, received in mean_pooled(videos).fit(train, test, {"standardise": False}, 0):
        model = LogisticRegression(C=setting["C"], max_iter=300).fit(pooled[train], videos.labels[train])
        np.testing.assert_allclose(received, model.predict_proba(pooled[test]), atol=1e-6)


def test_halves_tell_an_order_of_frames_that_the_mean_does_not(videos):
    backward = dataclasses.replace(videos, frames=videos.frames[::-1].copy(), lengths=videos.lengths[::-1])
    forward, backward = halves_pooled(videos).features, halves_pooled(backward).features[::-1]
    for number in range(len(videos.paths)):
        frames = frames_of(videos, number).astype(float)
        middle = len(frames) // 2
        np.testing.assert_allclose(forward[number], np.r_[frames[:middle].mean(0), frames[middle:].mean(0)])
        if len(frames) % 2 == 0:
            np.testing.assert_allclose(backward[number], np.r_[frames[middle:].mean(0), frames[:middle].mean(0)])


def test_half_of_a_single_frame_is_that_frame():
    videos = make_videos(per_class=(2, 2), frames=(1, 2))
    np.testing.assert_allclose(halves_pooled(videos).features, np.tile(mean_pooled(videos).features, 2))


def test_many_features_have_the_same_optimum(monkeypatch):
    videos = make_videos(per_class=(6, 7, 6), features=40)
    monkeypatch.setattr("videorep.comparison.linear.MANY_FEATURES", 20)
    train, test, pooled = videos.training, videos.test, videos.pooled()
    assert len(train) < pooled.shape[1]
    for setting, received in mean_pooled(videos).fit(train, test, {"standardise": True}, 0):
        scaler = StandardScaler().fit(pooled[train])
        model = LogisticRegression(C=setting["C"], tol=1e-9, max_iter=10_000)
        model.fit(scaler.transform(pooled[train]), videos.labels[train])
        np.testing.assert_allclose(received, model.predict_proba(scaler.transform(pooled[test])), atol=0.01)


@pytest.mark.parametrize(("numbers", "most"), [(None, 16), (4 * 13 * 3 + 1, 3), (1, 1)])
def test_single_frames_vote_by_their_mean_probability(videos, monkeypatch, numbers, most):
    train, test = videos.training, videos.test
    if numbers:
        monkeypatch.setattr("videorep.comparison.linear.MOST_NUMBERS", numbers)
    assert single_frame(videos).rows_per_video(train) == most and len(train) == 13
    learnt = [frames_of(videos, number) for number in train]
    places = [np.linspace(0, len(each) - 1, min(most, len(each))).round() for each in learnt]
    learnt = [each[np.unique(place.astype(int))] for each, place in zip(learnt, places, strict=True)]
    labels = np.repeat(videos.labels[train], [len(each) for each in learnt])
    results = dict(
        (setting["C"], received)
        for setting, received in single_frame(videos).fit(train, test, {"standardise": False}, 0)
    )
    assert tuple(results) == PENALTIES
    model = LogisticRegression(C=1.0, max_iter=300).fit(np.concatenate(learnt), labels)
    expected = np.stack([model.predict_proba(frames_of(videos, number)).mean(0) for number in test])
    np.testing.assert_allclose(results[1.0], expected, atol=1e-5)


def test_blocks_are_those_of_every_record_padded_where_short(videos):
    rows, owner = videos.blocks(5, 3)
    spans = videos.spans()
    for number in range(len(videos.paths)):
        count = spans[number + 1] - spans[number]
        starts = range(0, max(count - 5, 0) + 1, 3)
        assert rows[owner == number].tolist() == [
            [spans[number] + k if k < count else len(videos.frames) for k in range(start, start + 5)]
            for start in starts
        ]


def test_the_lstm_classifies_as_the_model_does_by_hand(videos):
    contender = make_recurrent(videos)
    trainer = contender._trainer(0.0)
    trainer.begin(USUAL, seed=3, videos=videos.training)
    model = build_classifier(dataclasses.replace(contender.shape, dropout=0.0), seed=3)
    rows, owner = videos.blocks(5, 3)
    frames = np.concatenate([videos.frames, np.zeros((1, 4), np.float32)])
    for number, received in zip(videos.test, trainer.classify(videos.test), strict=True):
        of_blocks = []
        for row in rows[owner == number]:
            real = row < len(videos.frames)
            of_blocks.append(model({"frames": frames[row][None]}).numpy()[0][real].mean(0))
        np.testing.assert_allclose(received, np.mean(of_blocks, axis=0), atol=1e-6)


def test_a_videos_probabilities_depend_on_no_other_video(videos):
    trainer = make_recurrent(videos)._trainer(0.0)
    trainer.begin(USUAL, seed=3, videos=videos.training)
    together = trainer.classify(videos.test)
    for order in (videos.test[::-1], videos.test[:1], np.concatenate([videos.test[2:], videos.training])):
        others = dict(zip(order, trainer.classify(order), strict=True))
        for number, expected in zip(videos.test, together, strict=True):
            if number in others:
                np.testing.assert_allclose(others[number], expected, atol=1e-6)


def test_the_softmax_may_begin_as_a_regression_on_the_states_of_the_labelled_blocks(videos):
    contender = make_recurrent(videos)
    trainer = contender._trainer(0.0)
    trainer.begin(USUAL | {"softmax": "regression"}, 3, videos.training)
    rows, owner = videos.blocks(5, 3)
    members = np.flatnonzero(np.isin(owner, videos.training))
    frames = np.concatenate([videos.frames, np.zeros((1, 4), np.float32)])[rows[members]]
    states = np.asarray(trainer._model.lstms[-1](frames))
    real = (rows[members] < len(videos.frames))[..., None]
    means, labels = (states * real).sum(1) / real.sum(1), videos.labels[owner[members]]
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300)).fit(means, labels)
    kernel, bias = trainer._model.softmax.get_weights()
    np.testing.assert_allclose(softmax(means @ kernel + bias, axis=1), oracle.predict_proba(means), atol=1e-4)


def test_every_training_begins_at_its_seeds_weights_and_learns(videos):
    contender = make_recurrent(videos)
    results = {}
    for turn, seed in enumerate((1, 2, 1)):
        results[turn] = list(contender.fit(videos.training, videos.test, USUAL | {"dropout": 0.5}, seed))
    assert [setting["steps"] for setting, _ in results[0]] == list(STEPS)
    for (_, first), (_, second), (_, again) in zip(*results.values(), strict=True):
        np.testing.assert_array_equal(first, again)
        assert np.abs(first - second).max() > 1e-4
    assert (results[0][-1][1].argmax(-1) == videos.labels[videos.test]).mean() >= 0.8
    contender.steps = (1, STEPS[0])
    trial = USUAL | {"dropout": 0.5}
    assert [setting["steps"] for setting, _ in contender.fit(videos.training, videos.test, trial, 1)] == [1, STEPS[0]]


def test_the_encoder_is_that_of_the_pretrained_model_and_frozen_states_are_its_own(videos):
    encoder = build_model("autoencoder", 4, (6,), 5, output="gaussian", seed=0)
    contender = make_recurrent(videos, encoder)
    trainer = contender._trainer(0.0)
    trainer.begin(USUAL, seed=9, videos=videos.training)
    for ours, theirs in zip(trainer._model.lstms, encoder.encoder, strict=True):
        for received, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(received, expected)
    linear = frozen(videos, contender.shape, encoder)
    lstm = PeepholeLSTM(6, return_sequences=True)
    lstm.build((None, None, 4))
    lstm.set_weights(encoder.encoder[0].get_weights())
    rows, owner = videos.blocks(5, 3)
    frames = np.concatenate([videos.frames, np.zeros((1, 4), np.float32)])
    number, means = videos.test[0], []
    for row in rows[owner == number]:
        means.append(np.asarray(lstm(frames[row[row < len(videos.frames)]][None]))[0].mean(0))
    np.testing.assert_allclose(linear.features[number], np.mean(means, axis=0), atol=1e-6)
