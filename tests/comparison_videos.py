"""Labelled videos made up for tests of comparisons."""

import numpy as np

from videorep.comparison.videos import LabelledVideos
from videorep.config import DataConfig, ModelConfig, PretrainConfig, PretrainTrainingConfig
from videorep.training.pretrain import pretrain

CLASSES = ("Archery", "Bowling")


def make_videos(per_class=(6, 6), tests=3, per_group=1, features=4, frames=(5, 9), seed=0):
    """Videos of a class lie around a mean of their own; of each class `tests` more to test on."""
    generator = np.random.default_rng(seed)
    rows = []
    for is_test in (False, True):
        for label, count in enumerate(per_class):
            for number in range(tests if is_test else count):
                group = f"{label}-{number // per_group}-{is_test}"
                rows.append((f"{int(is_test)}-{label}-{number:02d}", label, is_test, group))
    lengths = [[int(generator.integers(*frames))] for _ in rows]
    means = 3 * generator.normal(size=(len(per_class), features))
    values = [
        means[row[1]] + generator.normal(size=(each[0], features)) for row, each in zip(rows, lengths, strict=True)
    ]
    paths, labels, is_test, groups = zip(*rows, strict=True)
    return LabelledVideos(
        "made-up",
        tuple(f"class-{number}" for number in range(len(per_class))),
        list(paths),
        np.array(labels),
        np.array(is_test),
        np.array(groups),
        np.concatenate(values).astype(np.float32),
        lengths,
    )


def make_records(generator, groups, clips=1, frames=(17, 25)):
    """Labelled records whose paths name recordings as UCF-101 does."""
    return [
        {
            "frames": (label + generator.normal(size=(int(generator.integers(*frames)), 5))).astype(np.float32),
            "label": name,
            "path": f"v_{name}_g{group:02d}_c{clip:02d}.avi",
        }
        for label, name in enumerate(CLASSES)
        for group in groups
        for clip in range(clips)
    ]


def pretrained(data, out):
    """The path of a small run."""
    model = ModelConfig("autoencoder", units=(4,), input_frames=16)
    pretrain(PretrainConfig(model, DataConfig(data), PretrainTrainingConfig(steps=1, batch_size=2)), out)
    return str(out)
