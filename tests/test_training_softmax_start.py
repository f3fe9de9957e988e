"""Finetuning from a pretrained encoder begins with a softmax that scikit-learn's logistic regression gives."""

import dataclasses

import numpy as np
import pytest
from job_building import finetune_config, pretrain_composite, write_percepts
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from videorep.data import write_shards
from videorep.layers import PeepholeLSTM
from videorep.models import build_classifier
from videorep.runs import Run, load_run
from videorep.training import finetune as finetuning
from videorep.training.finetune import prepare


@pytest.fixture(scope="module")
def percepts(tmp_path_factory):
    return write_percepts(tmp_path_factory.mktemp("percepts") / "shards")


@pytest.fixture(scope="module")
def pretrained(percepts, tmp_path_factory):
    return pretrain_composite(percepts, tmp_path_factory.mktemp("runs") / "composite")


def states_of(pretrained, frames):
    """h of the encoder after every frame."""
    lstm = PeepholeLSTM(5, return_sequences=True)
    lstm.build((None, None, 6))
    lstm.set_weights(load_run(pretrained).model().encoder[0].get_weights())
    return np.asarray(lstm(frames))


@pytest.mark.parametrize("loss", ["all", "last"])
def test_the_softmax_begins_as_a_regression_on_what_the_encoder_makes_of_the_blocks(percepts, pretrained, loss):
    config = finetune_config(percepts, pretrained)
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, loss=loss))
    job = prepare(config)
    job.begin()
    assert job.config.softmax == job.facts["initial_softmax"] == "regression"
    states, labels = [], []
    for batch in job.data.evaluation(4):
        hidden, mask = states_of(pretrained, batch["frames"]), np.asarray(batch["mask"])
        lengths = mask.sum(1)
        states += [
            h[length - 1] if loss == "last" else h[:length].mean(0) for h, length in zip(hidden, lengths, strict=True)
        ]
        labels += batch["label"].numpy().tolist()
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300)).fit(states, labels)
    kernel, bias = job.model.softmax.get_weights()
    np.testing.assert_allclose(softmax(states @ kernel + bias, axis=1), oracle.predict_proba(states), atol=2e-3)
    random = prepare(dataclasses.replace(config, softmax="random"))
    assert random.begin is None
    untouched = build_classifier(random.config.model, seed=config.training.seed)
    np.testing.assert_array_equal(random.model.softmax.get_weights()[0], untouched.softmax.get_weights()[0])
    assert prepare(finetune_config(percepts)).config.softmax == "random"


def test_it_is_found_once_and_not_again_where_the_run_goes_on(percepts, pretrained, tmp_path, monkeypatch):
    calls, start, save = [], finetuning._start_softmax, Run.save_model
    monkeypatch.setattr(finetuning, "_start_softmax", lambda *arguments: (calls.append(1), start(*arguments)))
    config = finetune_config(percepts, pretrained)
    finetuning.finetune(config, tmp_path / "run", dry_run=True)
    assert not calls
    monkeypatch.setattr(Run, "save_model", interrupt)
    with pytest.raises(KeyboardInterrupt):
        finetuning.finetune(config, tmp_path / "run")
    monkeypatch.setattr(Run, "save_model", save)
    finetuning.finetune(config, tmp_path / "run", resume=True)
    assert len(calls) == 1 and load_run(tmp_path / "run").finished


def interrupt(*_):
    raise KeyboardInterrupt


def test_with_a_class_for_every_frame_the_softmax_begins_on_the_last_states(pretrained, tmp_path):
    rng, records = np.random.default_rng(1), []
    for number in range(8):
        labels = np.arange(20) // 10 + number % 2
        frames = rng.uniform(0, 0.2, (20, 6)).astype("float16") + np.eye(6, dtype="float16")[labels]
        records.append({"frames": frames, "path": f"{number}.avi", "frame_labels": labels.tolist()})
    write_shards(records, tmp_path / "shards", labels=("a", "b", "c"))
    job = prepare(finetune_config(str(tmp_path / "shards"), pretrained))
    job.begin()
    batch = next(iter(job.data.evaluation(64)))
    lengths = np.asarray(batch["mask"]).sum(1)
    states = states_of(pretrained, batch["frames"])
    rows = np.arange(len(states)), lengths - 1
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    expected = oracle.fit(states[rows], batch["label"].numpy()[rows]).predict_proba(states[rows])
    kernel, bias = job.model.softmax.get_weights()
    np.testing.assert_allclose(softmax(states[rows] @ kernel + bias, axis=1), expected, atol=2e-3)
