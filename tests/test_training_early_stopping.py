"""Early stopping, weight decay and rates by layer: against weights kept by hand, and the arithmetic of one step."""

import dataclasses
import signal

import numpy as np
import pytest
from click.testing import CliRunner
from training_loops import TRAINING, Signalling, figures, handling, make_loop, sequences, weights

from videorep.cli.main import videorep_command
from videorep.config import ClassifierConfig, DataConfig, FinetuneConfig, TrainingConfig
from videorep.data import write_shards
from videorep.errors import ConfigError, ShardError
from videorep.runs import load_run
from videorep.training.finetune import finetune

STOPPING = dataclasses.replace(TRAINING, evaluate_every=2, patience=2, checkpoint_every=4)
LOSSES = [5.0, 3.0, 4.0, 3.5, 1.0]  # of the looks after 2, 4, 6 and 8 steps; there it stops


def looked_at(loop, seen):
    """The loop, whose looks at validation give `LOSSES` by the step, and keep the weights that they saw."""

    def evaluate():
        seen.append(weights(loop))
        return {"loss": LOSSES[int(loop.optimizer.iterations) // 2 - 1]}

    loop.evaluate = evaluate
    return loop


def stopping_loop(folder, seen):
    return looked_at(make_loop(folder, STOPPING, evaluate=lambda: {}), seen)


def test_training_stops_and_the_best_weights_come_back(tmp_path):
    seen = []
    loop = stopping_loop(tmp_path / "run", seen)
    last = loop.fit(sequences(0))
    assert last["step"] == 8 and last["validation_loss"] == 3.5 and len(seen) == 4
    for received, expected in zip(weights(loop), seen[1], strict=True):
        np.testing.assert_array_equal(received, expected)


@pytest.mark.parametrize("after", [1, 3, 5, 7, 8])
def test_an_interruption_changes_nothing(tmp_path, after):
    whole, parts = [], []
    expected = stopping_loop(tmp_path / "whole", whole)
    expected.fit(sequences(0))
    first = stopping_loop(tmp_path / "parts", parts)
    with pytest.raises(KeyboardInterrupt), handling(signal.SIGINT, signal.default_int_handler):
        first.fit(sequences(0), Signalling(after, signal.SIGINT))
    second = stopping_loop(tmp_path / "parts", parts)
    second.fit(sequences(second.restore()))
    assert figures(second) == figures(expected)
    for received, wanted in zip(weights(second), weights(expected), strict=True):
        np.testing.assert_array_equal(received, wanted)


def test_slow_weights_take_their_share_of_a_step(tmp_path):
    training = dataclasses.replace(TRAINING, steps=1, warmup_steps=0)
    moved = {}
    for rate in (1.0, 0.25):
        loop = make_loop(tmp_path / str(rate), training)
        loop.slow, loop.slow_rate = tuple(loop.model.trainable_variables[:2]) if rate < 1 else (), rate
        before = weights(loop)
        loop.fit(sequences(0))
        moved[rate] = [after - each for after, each in zip(weights(loop), before, strict=True)]
    for number, (whole, part) in enumerate(zip(moved[1.0], moved[0.25], strict=True)):
        np.testing.assert_allclose(part, whole * (0.25 if number < 2 else 1), atol=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam", "bounded-rmsprop"])
def test_matrices_shrink_by_the_decay_and_biases_do_not(tmp_path, optimizer):
    training = dataclasses.replace(TRAINING, steps=1, warmup_steps=0, optimizer=optimizer, learning_rate=0.1)
    after = {}
    for decay in (0.0, 0.5):
        loop = make_loop(tmp_path / f"{decay}", dataclasses.replace(training, weight_decay=decay))
        before = weights(loop)
        loop.fit(sequences(0))
        after[decay] = weights(loop)
    for variable, first, plain, decayed in zip(loop.model.variables, before, *after.values(), strict=True):
        is_matrix = variable.name in ("kernel", "recurrent_kernel", "output_kernel")
        np.testing.assert_allclose(decayed, plain - (0.1 * 0.5 * first if is_matrix else 0), atol=1e-6)


@pytest.fixture
def shards(tmp_path):
    generator = np.random.default_rng(0)
    records = {
        split: [
            {"frames": label + generator.normal(size=(10, 4)).astype(np.float32), "label": "ab"[label], "path": f"{n}"}
            for n, label in enumerate([0, 1] * 4)
        ]
        for split in ("train", "validation")
    }
    write_shards(records, tmp_path / "shards")
    write_shards({"train": records["train"]}, tmp_path / "plain")
    return tmp_path


def test_finetune_looks_at_validation_and_stops(shards):
    words = ["finetune", "shards", "--units", "4", "--steps", "400", "--batch-size", "4", "--block-frames", "5",
             "--evaluate-every", "5", "--patience", "2", "--learning-rate", "0.1", "--encoder-rate", "0.5",
             "--weight-decay", "0.01"]  # fmt: skip
    words[1] = str(shards / "shards")
    done = CliRunner().invoke(videorep_command, [*words, "--out", str(shards / "run")])
    assert done.exit_code == 0, done.output
    reports = [line for line in load_run(shards / "run").metrics() if "validation_loss" in line]
    losses = [line["validation_loss"] for line in reports]
    assert reports[-1]["step"] < 400 and np.argmin(losses) == len(losses) - 3
    assert "validation_block_accuracy" in reports[-1]


def test_patience_needs_looks_and_looks_need_validation(shards):
    with pytest.raises(ConfigError, match="patience to be 0 without evaluate_every"):
        TrainingConfig(patience=3)
    with pytest.raises(ConfigError, match=r"encoder_rate to be in \[0, 1\]"):
        FinetuneConfig(encoder_rate=2.0)
    training = TrainingConfig(steps=4, evaluate_every=2)
    config = FinetuneConfig(ClassifierConfig(units=(3,)), DataConfig(str(shards / "plain")), training)
    with pytest.raises(ShardError, match="validation"):
        finetune(config, shards / "run")
    assert not (shards / "run" / "checkpoints").exists()
