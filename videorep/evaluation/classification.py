"""What a classifier makes of every video of a split."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from videorep.config import FinetuneConfig, StreamConfig
from videorep.data.batches.sources import LabelledBlocks
from videorep.data.batches.stacks import LabelledStacks
from videorep.data.shards.manifest import load_dataset
from videorep.errors import RunError
from videorep.evaluation.data_checks import compare_backbones, require_finite
from videorep.models.averaging import average_steps
from videorep.models.pixels import to_unit_range
from videorep.progress import SilentProgress

BATCH_BLOCKS = 64


@dataclasses.dataclass(frozen=True)
class Videos:
    """The videos of a split that a run is to classify.

    Args:
        run, folder: Paths of the run and of the data.
        classes: K names, those of the run.
        paths: Paths of the V videos, each once.
        labels: Their V class names.
        hashes: {path: frozenset of the SHA-256 of the files that it was made from}, as far as they are known.
        caveats: Sentences on what is doubtful.
        classify: Function of a progress reporter that classifies them all: (V, K) float64 probabilities. Raises a
            ShardError where values are not finite.
    """

    run: str
    folder: str
    classes: tuple
    paths: list
    labels: list
    hashes: dict
    caveats: list
    classify: Callable


def open_videos(run, folder=None, split="test"):
    """Opens the videos of a split for a run; none is read yet.

    A video is one path: its pieces, where it has several, count as one.

    Args:
        run: Run of `videorep finetune`, or of `videorep train-stream`: there 25 stacks of every clip are averaged.
        folder: Folder of labelled shards; the run's own where None.
        split: Name of the split.
    Returns:
        Videos.
    Raises:
        RunError: the run is no classifier, or its classes, features or backbone are not those of the shards.
        ShardError: the shards cannot be read.
    """
    if not isinstance(run.config, (FinetuneConfig, StreamConfig)):
        raise RunError(
            f"expected a run of `videorep finetune` or `videorep train-stream`, received {run.path}, a "
            f"{run.config.kind} run; name a classifier"
        )
    model = run.model()
    folder = str(folder or run.config.data.path)
    dataset = load_dataset(folder)
    caveats = compare_backbones(run, dataset)
    opened = (_open_stacks if isinstance(run.config, StreamConfig) else _open_blocks)(run, model, dataset, split)
    paths, labels, classify = opened
    classes, names = run.config.model.classes, [dataset.labels[label] for label in labels]
    title = f"Classifying with {run.path.name}"

    def classify_all(progress=None):
        return classify(functools.partial((progress or SilentProgress()).task, title))

    return Videos(str(run.path), folder, classes, paths, names, _hashes(dataset, split), caveats, classify_all)


def _open_blocks(run, model, dataset, split):
    blocks = open_blocks(run, dataset, split, *run.config.model.block)
    blocks.require_video_labels("to classify videos")
    return blocks.video_paths, blocks.video_labels, functools.partial(_classify_blocks, blocks, model, dataset.folder)


def open_blocks(run, dataset, split, length, stride):
    """The `LabelledBlocks` of a split, read as for a run's training; RunError where they do not fit the run."""
    config = run.config.model
    settings = dataclasses.replace(run.config.data, path=str(dataset.folder), videos_per_class=0)
    blocks = LabelledBlocks(settings, split, length, stride)
    if blocks.features != config.features:
        raise RunError(
            f"expected shards of {config.features} features, as {run.path} was trained on, received {dataset.folder} "
            f"with {blocks.features}; evaluate on data like that of training"
        )
    _require_classes(run, blocks.labels, dataset.folder)
    return blocks


def read_blocks(blocks, folder, batch_size=BATCH_BLOCKS):
    """Yields the batches of `LabelledBlocks.evaluation` as NumPy arrays, pixels as shares; ShardError for NaN."""
    for batch in blocks.evaluation(batch_size):
        batch = {name: value.numpy() for name, value in (batch | {"frames": to_unit_range(batch["frames"])}).items()}
        require_finite(batch["frames"], folder, lambda number, video=batch["video"]: blocks.video_paths[video[number]])
        yield batch


def _classify_blocks(blocks, model, folder, task):
    classify = tf.function(lambda frames: model({"frames": frames}, training=False), reduce_retracing=True)
    sums, counts = np.zeros((blocks.videos, len(model.config.classes))), np.zeros(blocks.videos)
    with task(total=blocks.blocks, unit="blocks") as advance:
        for batch in read_blocks(blocks, folder):
            per_step = classify(batch["frames"]).numpy().astype(np.float64)
            np.add.at(sums, batch["video"], average_steps(per_step, batch["mask"]).numpy())
            np.add.at(counts, batch["video"], 1)
            advance(len(batch["video"]))
    return sums / counts[:, None]


def _open_stacks(run, model, dataset, split):
    config = run.config.model
    size = model.input_shape[1]
    stacks = LabelledStacks(str(dataset.folder), split, size, config.flow_stack if config.stream == "flow" else 0)
    _require_classes(run, stacks.labels, dataset.folder)
    paths = list(dict.fromkeys(stacks.clip_paths))
    video = np.array([{path: number for number, path in enumerate(paths)}[path] for path in stacks.clip_paths])
    labels = np.zeros(len(paths), np.int64)
    labels[video] = stacks.clip_labels
    batch_size = run.config.training.batch_size
    return paths, labels, functools.partial(_classify_stacks, stacks, model, video, batch_size)


def _classify_stacks(stacks, model, video, batch_size, task):
    predict = tf.function(lambda frames: model(tf.cast(frames, tf.float32), training=False), reduce_retracing=True)
    with task(total=stacks.stacks, unit="stacks") as advance:
        per_clip = stacks.average(predict, batch_size, advance)
    sums = np.zeros((video.max() + 1, per_clip.shape[1]))
    np.add.at(sums, video, per_clip)
    return sums / np.bincount(video)[:, None]


def _require_classes(run, labels, folder):
    """Classes are compared by name: their order may be another."""
    classes = run.config.model.classes
    if set(labels) != set(classes):
        raise RunError(
            f"expected the {len(classes)} classes {some(classes)} of {run.path}, received {folder} with "
            f"{len(labels)} classes {some(labels)}; evaluate on data like that of training"
        )


def _hashes(dataset, split):
    hashes = {}
    for source in dataset.written(split):
        if source.get("sha256"):
            hashes.setdefault(source["path"], set()).add(source["sha256"])
    return {path: frozenset(each) for path, each in hashes.items()}


def some(names, most=3):
    """The first few names, in brackets."""
    names = list(names)
    return f"({', '.join(names[:most])}{', ...' if len(names) > most else ''})"
