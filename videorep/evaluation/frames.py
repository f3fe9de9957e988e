"""How well a classifier tells, frame by frame, what happens in videos whose frames have classes of their own."""

from os import PathLike

import numpy as np
import tensorflow as tf
from sklearn.metrics import average_precision_score

from videorep.config import FinetuneConfig
from videorep.data.shards.keys import BACKGROUND
from videorep.data.shards.manifest import load_dataset
from videorep.errors import RunError, ShardError
from videorep.evaluation.classification import BATCH_BLOCKS, open_blocks, read_blocks
from videorep.evaluation.data_checks import compare_backbones
from videorep.progress import Reporter, SilentProgress
from videorep.runs import Run

WAYS = ("fresh blocks", "state carried on")


def evaluate_frames(
    run: Run, data: str | PathLike | None = None, *, split: str = "test", progress: Reporter | None = None
) -> dict:
    """Classifies every frame of a split by it and the frames before it, in two ways.

    "fresh blocks": the last step of the block, as long as those of training, that ends with the frame and begins with
    no state. "state carried on": one step per frame, the state kept from the first frame of the record on, as `watch`
    does. A frame with fewer frames before it has only these, either way. Memory holds a few whole records.

    Args:
        run: Run of `videorep finetune`.
        data: Folder of shards whose frames have classes; the run's own where None.
        split: Name of the split.
        progress: Reporter, see `videorep.progress`.
    Returns:
        dict for JSON: "rows" (one per way: "frame_mean_average_precision", over the classes other than the background
        that occur, and "frame_accuracy", of all classes), "frames" (how many), "largest_class" (its share of them),
        "classes" (frames and average precision of each), "warnings".
    Raises:
        RunError: the run is no such classifier, or does not fit the data.
        ShardError: data that cannot be read or hold NaN, one class per video, or frames of the background alone.
    """
    if not isinstance(run.config, FinetuneConfig):
        raise RunError(
            f"expected a run of `videorep finetune` for a class per frame, received {run.path}, a {run.config.kind} "
            "run; name another run"
        )
    model, dataset = run.model(), load_dataset(str(data or run.config.data.path))
    caveats = compare_backbones(run, dataset)
    longest = int(dataset.index(split)["frames"].max(initial=1))
    blocks = open_blocks(run, dataset, split, longest, longest)  # every record is one block
    if blocks.frame_labels is None:
        raise ShardError(
            f"expected a class per frame in {dataset.folder}, received one per video; build the shards with --labels "
            "segments"
        )
    labels, probabilities = _classify(model, blocks, progress or SilentProgress())
    names = [blocks.labels.index(name) for name in run.config.model.classes]
    return _figures(labels, [each[:, np.argsort(names)] for each in probabilities], blocks.labels) | {
        "split": split,
        "warnings": caveats,
    }


def _classify(model, blocks, progress):
    """The classes of all frames (N,), and their probabilities (N, K) in each of `WAYS`."""
    length, _ = model.config.block
    features = model.config.features

    def predict(frames):
        return model({"frames": frames}, training=False)

    carry = tf.function(predict, [tf.TensorSpec((1, None, features))])
    begin = tf.function(lambda frames: predict(frames)[:, -1], [tf.TensorSpec((None, length, features))])
    labels, fresh, carried = [], [], []
    with progress.task(f"Classifying with {model.name}", total=blocks.blocks, unit="records") as advance:
        for batch in read_blocks(blocks, blocks.provenance["path"], 1):
            count = int(np.sum(batch["mask"]))
            frames = batch["frames"][:, :count]
            carried.append(carry(frames).numpy()[0])
            fresh.append(carried[-1].copy())
            for first in range(0, count - length + 1, BATCH_BLOCKS):
                starts = np.arange(first, min(first + BATCH_BLOCKS, count - length + 1))
                fresh[-1][starts + length - 1] = begin(frames[0, starts[:, None] + np.arange(length)]).numpy()
            labels.append(batch["label"][0, :count])
            advance(1)
    return np.concatenate(labels), [np.concatenate(each) for each in (fresh, carried)]


def _figures(labels, probabilities, classes):
    counts = np.bincount(labels, minlength=len(classes))
    scored = [number for number, name in enumerate(classes) if name != BACKGROUND and counts[number]]
    if not scored:
        raise ShardError("expected frames of other classes than the background, received none; name another --split")
    precision = {
        way: [float(average_precision_score(labels == number, table[:, number])) for number in scored]
        for way, table in zip(WAYS, probabilities, strict=True)
    }
    return {
        "frames": len(labels),
        "largest_class": float(counts.max() / len(labels)),
        "rows": [
            {
                "predictor": way,
                "frame_mean_average_precision": float(np.mean(precision[way])),
                "frame_accuracy": float((table.argmax(axis=-1) == labels).mean()),
            }
            for way, table in zip(WAYS, probabilities, strict=True)
        ],
        "classes": [
            {"class": classes[number], "frames": int(counts[number])} | {way: precision[way][place] for way in WAYS}
            for place, number in enumerate(scored)
        ],
    }
