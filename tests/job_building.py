"""Tiny percepts of two classes, and runs on them."""

import numpy as np

from videorep.config import (
    ClassifierConfig,
    DataConfig,
    FinetuneConfig,
    ModelConfig,
    PretrainConfig,
    PretrainTrainingConfig,
    TrainingConfig,
)
from videorep.data import write_shards
from videorep.data.shards.records import Percept
from videorep.training.pretrain import pretrain

STEPS = {"steps": 4, "batch_size": 4, "report_every": 2, "checkpoint_every": 2, "warmup_steps": 1, "seed": 3}
TRAINING = PretrainTrainingConfig(**STEPS)


def write_percepts(folder, seed=0):
    """Twelve clips of 20 frames of 6 features; the class decides which half of the features is large."""
    rng = np.random.default_rng(seed)
    records = []
    for number in range(12):
        label = number % 2
        array = rng.uniform(0, 0.2, (20, 6)).astype("float16")
        array[:, 3 * label : 3 * label + 3] += 1
        name = ("left", "right")[label]
        records.append(Percept(array, f"{name}/{number}.avi", label, name, 25.0, 0.0))
    write_shards(records, folder, labels=("left", "right"))
    return str(folder)


def pretrain_composite(percepts, out):
    pretrain(pretrain_config(percepts), out)
    return str(out)


def pretrain_config(percepts):
    return PretrainConfig(ModelConfig(units=(5,), input_frames=4, future_frames=3), DataConfig(percepts), TRAINING)


def finetune_config(percepts, init="", steps=4, **data):
    training = TrainingConfig(**STEPS | {"steps": steps, "learning_rate": 3e-2})
    model = ClassifierConfig(units=(7,), block_frames=8, block_stride=4, dropout=0.2)
    return FinetuneConfig(model, DataConfig(percepts, **data), training, init)
