"""What a classifier makes of the order of frames, and of the first frames alone: what its recurrence adds."""

from os import PathLike

import numpy as np
import tensorflow as tf

from videorep.config import FinetuneConfig
from videorep.data.sampling import make_generator
from videorep.data.shards.manifest import load_dataset
from videorep.errors import RunError
from videorep.evaluation.classification import open_blocks, read_blocks
from videorep.models.averaging import average_steps
from videorep.progress import Reporter, SilentProgress
from videorep.runs import Run

SHUFFLES = 16  # keeps the random orders apart from other draws


def diagnose(
    run: Run,
    data: str | PathLike | None = None,
    *,
    split: str = "test",
    seed: int = 0,
    progress: Reporter | None = None,
) -> list[dict]:
    """Accuracy with the frames of every block as filmed, shuffled and reversed, and with a video's first frames alone.

    Where shuffled frames do as well, the classifier goes by what is seen, not by how it moves. Blocks and averages are
    those of `evaluate_action_recognition`; "first k" averages the first k steps of a video's first block.

    Args:
        run: Run of `videorep finetune`.
        data: Folder of labelled shards; the run's own where None.
        split: Name of the split.
        seed: Of the shuffling.
        progress: Reporter, see `videorep.progress`.
    Returns:
        One dict for JSON per way to show frames: "frames" (the way), "accuracy" (share of videos), "classes" (accuracy
        of each).
    Raises:
        RunError: the run is no such classifier, or does not fit the data.
        ShardError: data that cannot be read or hold NaN, or a class per frame.
    """
    if not isinstance(run.config, FinetuneConfig):
        raise RunError(f"expected a run of `videorep finetune`, received {run.path}, a {run.config.kind} run")
    dataset, model, classes = load_dataset(str(data or run.config.data.path)), run.model(), run.config.model.classes
    blocks = open_blocks(run, dataset, split, *run.config.model.block)
    blocks.require_video_labels("to tell what the order of their frames matters")
    tables = _classify(blocks, model, dataset.folder, make_generator(seed, SHUFFLES), progress or SilentProgress())
    labels = np.array([classes.index(dataset.labels[label]) for label in blocks.video_labels])
    rows = []
    for way, table in tables.items():
        right = table.argmax(-1) == labels
        of_classes = {name: float(right[labels == k].mean()) for k, name in enumerate(classes) if (labels == k).any()}
        rows.append({"frames": way, "accuracy": float(right.mean()), "classes": of_classes})
    return rows


def _classify(blocks, model, folder, generator, progress):
    """{way to show frames: probabilities (videos, K)}."""
    predict = tf.function(lambda frames: model({"frames": frames}, training=False), reduce_retracing=True)
    orders = {
        "as filmed": lambda steps: steps,
        "shuffled": generator.permutation,
        "reversed": lambda steps: steps[::-1],
    }
    length, shape = model.config.block[0], (blocks.videos, len(model.config.classes))
    firsts = [1 << power for power in range(length.bit_length())]
    sums = {way: np.zeros(shape) for way in (*orders, *(f"first {count}" for count in firsts))}
    counts, seen = np.zeros((blocks.videos, 1)), np.zeros(blocks.videos, bool)
    with progress.task("Diagnosing", total=blocks.blocks, unit="blocks") as advance:
        for batch in read_blocks(blocks, folder):
            frames, mask, video = (batch[name] for name in ("frames", "mask", "video"))
            for way, order in orders.items():
                shown = np.stack([_reorder(each, own.sum(), order) for each, own in zip(frames, mask, strict=True)])
                steps = predict(shown).numpy().astype(np.float64)
                np.add.at(sums[way], video, average_steps(steps, mask).numpy())
                if way == "as filmed":
                    filmed = steps
            np.add.at(counts, video, 1)
            for number in np.unique(video, return_index=True)[1]:  # a video's first block
                if not seen[video[number]]:
                    seen[video[number]] = True
                    for count in firsts:
                        first = filmed[number, : min(count, mask[number].sum())]
                        sums[f"first {count}"][video[number]] = first.mean(0)
            advance(len(video))
    return {way: table / counts if way in orders else table for way, table in sums.items()}


def _reorder(frames, count, order):
    """The first `count` frames in another order; the padding after them stays."""
    return np.concatenate([frames[order(np.arange(count))], frames[count:]])
