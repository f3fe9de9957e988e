"""What a classifier makes of every video of a split."""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from videorep.config import FinetuneConfig, StreamConfig
from videorep.data.batches.sources import labelled_blocks
from videorep.data.batches.stacks import LabelledStacks
from videorep.data.shards.manifest import load_dataset
from videorep.errors import RunError
from videorep.evaluation.fitting import compare_backbones, require_finite
from videorep.models.averaging import average_steps
from videorep.models.pixels import to_unit_range
from videorep.progress import SilentProgress

BATCH_BLOCKS = 64


@dataclasses.dataclass(frozen=True)
class Classified:
    """A run's probabilities for the videos of a split.

    Args:
        run, folder: Paths of the run and of the data.
        classes: K names.
        paths: Paths of the V videos, each once.
        labels: Their V class names.
        hashes: {path: frozenset of the SHA-256 of the files that it was made from}, as far as they are known.
        probabilities: (V, K) float64.
        caveats: Sentences on what is doubtful.
    """

    run: str
    folder: str
    classes: tuple
    paths: list
    labels: list
    hashes: dict
    probabilities: np.ndarray
    caveats: list


def classify_videos(run, folder=None, split="test", progress=None):
    """Classifies every video of a split.

    A video is one path: its pieces, where it has several, count as one.

    Args:
        run: Run of `videorep finetune`, or of `videorep train-stream`: there 25 stacks of every clip are averaged.
        folder: Folder of labelled shards; the run's own where None.
        split: Name of the split.
        progress: Reporter, see `videorep.progress`.
    Returns:
        Classified.
    Raises:
        RunError: the run is no classifier, or its classes, features or backbone are not those of the shards.
        ShardError: the shards cannot be read, or hold values that are not finite.
    """
    if not isinstance(run.config, (FinetuneConfig, StreamConfig)):
        raise RunError(
            f"expected a run of `videorep finetune` or `videorep train-stream`, received {run.path}, a "
            f"{run.config.kind} run; name a classifier"
        )
    model = run.model()
    folder = str(folder or run.config.data.path)
    dataset = load_dataset(folder)
    classify = _classify_stacks if isinstance(run.config, StreamConfig) else _classify_blocks
    caveats = compare_backbones(run, dataset)
    task = functools.partial((progress or SilentProgress()).task, f"Classifying with {run.path.name}")
    paths, labels, probabilities = classify(run, model, dataset, split, task)
    return Classified(
        str(run.path),
        folder,
        run.config.model.classes,
        paths,
        [dataset.labels[label] for label in labels],
        _hashes(dataset, split),
        probabilities,
        caveats,
    )


def _classify_blocks(run, model, dataset, split, task):
    config = run.config.model
    settings = dataclasses.replace(run.config.data, path=str(dataset.folder), videos_per_class=0)
    blocks = labelled_blocks(settings, split, *config.block)
    if blocks.features != config.features:
        raise RunError(
            f"expected shards of {config.features} features, as {run.path} was trained on, received {dataset.folder} "
            f"with {blocks.features}; evaluate on data like that of training"
        )
    _require_classes(run, blocks.labels, dataset.folder)
    classify = tf.function(lambda frames: model({"frames": frames}, training=False), reduce_retracing=True)
    sums, counts = np.zeros((blocks.videos, len(config.classes))), np.zeros(blocks.videos)
    with task(total=blocks.blocks, unit="blocks") as advance:
        for batch in blocks.evaluation(BATCH_BLOCKS):
            frames = to_unit_range(batch["frames"]).numpy()
            video = batch["video"].numpy()
            require_finite(frames, dataset.folder, lambda number, video=video: blocks.video_paths[video[number]])
            per_step = classify(frames).numpy().astype(np.float64)
            per_block = average_steps(per_step, batch["mask"]).numpy()
            np.add.at(sums, video, per_block)
            np.add.at(counts, video, 1)
            advance(len(video))
    return blocks.video_paths, blocks.video_labels, sums / counts[:, None]


def _classify_stacks(run, model, dataset, split, task):
    config = run.config.model
    size = model.input_shape[1]
    stacks = LabelledStacks(str(dataset.folder), split, size, config.flow_stack if config.stream == "flow" else 0)
    _require_classes(run, stacks.labels, dataset.folder)
    predict = tf.function(lambda frames: model(tf.cast(frames, tf.float32), training=False), reduce_retracing=True)
    with task(total=stacks.stacks, unit="stacks") as advance:
        per_clip = stacks.average(predict, run.config.training.batch_size, advance)
    paths = list(dict.fromkeys(stacks.clip_paths))
    video = np.array([{path: number for number, path in enumerate(paths)}[path] for path in stacks.clip_paths])
    sums, labels = np.zeros((len(paths), per_clip.shape[1])), np.zeros(len(paths), np.int64)
    np.add.at(sums, video, per_clip)
    labels[video] = stacks.clip_labels
    return paths, labels, sums / np.bincount(video)[:, None]


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
    for source in dataset.sources:
        if source["split"] == split and source.get("sha256"):
            hashes.setdefault(source["path"], set()).add(source["sha256"])
    return {path: frozenset(each) for path, each in hashes.items()}


def some(names, most=3):
    """The first few names, in brackets."""
    names = list(names)
    return f"({', '.join(names[:most])}{', ...' if len(names) > most else ''})"
