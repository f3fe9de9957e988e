"""Video-level accuracy of action classifiers, alone or fused."""

import dataclasses

import numpy as np
import tensorflow as tf

from videorep.config import FinetuneConfig
from videorep.data.pipeline import labelled_blocks
from videorep.errors import RunError
from videorep.evaluation.frames import to_unit_range
from videorep.progress import SilentProgress

BATCH_BLOCKS = 64


def evaluate_action_recognition(runs, data, fuse="mean", *, split="test", progress=None):
    """Classifies every video of a split and counts how often the class is right.

    The probabilities of a block's steps are averaged, then those of a video's blocks, then, where there are several
    runs, those of the runs; the largest decides.

    Args:
        runs: Classifier runs (`videorep.runs.Run`), with the same classes.
        data: Folder of labelled shards, or one per run where they differ (RGB and flow percepts of the same videos).
        fuse: "mean".
        split: Name of the split.
        progress: Reporter, see `videorep.progress`.
    Returns:
        dict for JSON: "accuracy" (share of videos), "videos" (how many there are), "largest_class" (its
        share of the videos, what always guessing it would reach), "classes" (accuracy and
        videos of each), and "runs" (accuracy of each alone) where there are several.
    Raises:
        RunError: a run is no classifier, or the runs do not fit together.
    Source: Srivastava et al. 2015, section 3.2.
    """
    folders = [data] * len(runs) if isinstance(data, str) else list(data)
    names = None
    probabilities = []
    for run, folder in zip(runs, folders, strict=True):
        each, labels, classes = classify_videos(run, folder, split, progress)
        if names is not None and (names != classes or len(each) != len(probabilities[0])):
            raise RunError(
                f"expected runs with the same classes and videos, received {run.path} with others; "
                "fuse runs of one dataset"
            )
        names = classes
        probabilities.append(each)
    fused = np.mean(probabilities, axis=0)
    correct = fused.argmax(axis=-1) == labels
    result = {
        "split": split,
        "videos": len(labels),
        "accuracy": float(correct.mean()),
        "largest_class": float(np.bincount(labels).max() / len(labels)),
        "classes": [
            {"class": name, "videos": int((labels == k).sum()), "accuracy": float(correct[labels == k].mean())}
            for k, name in enumerate(names)
            if (labels == k).any()
        ],
    }
    if len(runs) > 1:
        alone = [float((each.argmax(axis=-1) == labels).mean()) for each in probabilities]
        result["fuse"] = fuse
        result["runs"] = [{"run": str(run.path), "accuracy": one} for run, one in zip(runs, alone, strict=True)]
    return result


def classify_videos(run, folder, split, progress=None):
    """Class probabilities of every video of a split.

    Returns:
        (V, K) float64 probabilities, (V,) labels and the K class names.
    Raises:
        RunError: the run is no classifier, or its classes or features are not those of the shards.
    """
    if not isinstance(run.config, FinetuneConfig):
        raise RunError(f"expected a run of `videorep finetune`, received {run.path}, a {run.config.kind} run")
    model, config = run.model(), run.config.model
    settings = dataclasses.replace(run.config.data, path=str(folder), videos_per_class=0)
    blocks = labelled_blocks(settings, split, *config.block)
    if (blocks.features, tuple(blocks.labels)) != (config.features, config.classes):
        raise RunError(
            f"expected shards of {config.features} features and the {len(config.classes)} classes "
            f"{_some(config.classes)} of {run.path}, received {folder} with {blocks.features} features and "
            f"{len(blocks.labels)} classes {_some(blocks.labels)}; "
            "evaluate on data like that of training"
        )
    classify = tf.function(lambda frames: model({"frames": frames}, training=False), reduce_retracing=True)
    sums, counts = np.zeros((blocks.videos, len(config.classes))), np.zeros(blocks.videos)
    title = f"Classifying with {run.path.name}"
    with (progress or SilentProgress()).task(title, total=blocks.blocks, unit="blocks") as advance:
        for batch in blocks.evaluation(BATCH_BLOCKS):
            per_step = classify(to_unit_range(batch["frames"].numpy())).numpy().astype(np.float64)
            mask, video = batch["mask"].numpy(), batch["video"].numpy()
            per_block = (per_step * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
            np.add.at(sums, video, per_block)
            np.add.at(counts, video, 1)
            advance(len(video))
    return sums / counts[:, None], np.asarray(blocks.video_labels), list(config.classes)


def _some(names, most=3):
    return f"({', '.join(names[:most])}{', ...' if len(names) > most else ''})"
