"""Video-level accuracy of action classifiers, alone or fused."""

from collections.abc import Sequence
from os import PathLike

import numpy as np

from videorep.config import require
from videorep.errors import RunError
from videorep.evaluation.caveats import classifier_caveats
from videorep.evaluation.classification import open_videos, some
from videorep.evaluation.fusing import FUSE, mixture_weights
from videorep.progress import Reporter
from videorep.runs import Run


def evaluate_action_recognition(
    runs: Sequence[Run],
    data: str | PathLike | Sequence[str | PathLike] | None = None,
    fuse: str = "mean",
    *,
    split: str = "test",
    fit_split: str = "validation",
    progress: Reporter | None = None,
) -> dict:
    """Classifies every video of a split and counts how often the class is right.

    The probabilities of a block's steps are averaged, then those of a video's blocks, then, where there are several
    runs, those of the runs; the largest decides. Runs agree on videos by their paths and on classes by their names,
    in whatever order their shards list them.

    Args:
        runs: Classifier runs (`videorep.runs.Run`), of finetune or train-stream, with the same classes.
        data: Folder of labelled shards for all runs, or a list with one per run where they differ (RGB and flow
            percepts of the same videos); each run's own where None.
        fuse: "mean", or "weighted": by the weights under which the labels of `fit_split` are most likely.
        split, fit_split: Names of splits.
        progress: Reporter, see `videorep.progress`.
    Returns:
        dict for JSON: "accuracy" (share of videos), "videos" (how many there are), "largest_class" (its share of the
        videos, what always guessing it would reach), "classes" (accuracy and videos of each), "per_video" (path, label,
        predicted and the probabilities of each), "warnings" (sentences on what makes the figures doubtful), and "runs"
        (accuracy and weight of each, and its data) where there are several.
    Raises:
        RunError: a run is no classifier, does not fit its data, or the runs do not fit together.
        ShardError: data that cannot be read or hold NaN.
    Source: Srivastava et al. 2015, section 3.3.
    """
    require(fuse in FUSE, "fuse", f"one of {', '.join(FUSE)}", fuse)
    require(fuse == "mean" or len(runs) > 1, "runs", "several, to be fused by weights", len(runs))
    require(fuse == "mean" or fit_split != split, "split", f"another than {fit_split}, which weights are of", split)
    folders = list(data) if isinstance(data, (list, tuple)) else [data] * len(runs)
    each = _open(runs, folders, split)
    held_out = _open(runs, folders, fit_split) if fuse == "weighted" else None
    weights = mixture_weights(*_classify(held_out, progress)) if held_out else np.full(len(runs), 1 / len(runs))
    aligned, labels = _classify(each, progress)
    first, fused = each[0], np.average(aligned, axis=0, weights=weights)
    predicted = fused.argmax(axis=-1)
    correct = predicted == labels
    doubts = [caveat for one in each for caveat in one.caveats] + _doubt_matches(each)
    result = {
        "split": split,
        "videos": len(labels),
        "accuracy": float(correct.mean()),
        "largest_class": float(np.bincount(labels).max() / len(labels)),
        "classes": [
            {"class": name, "videos": int((labels == k).sum()), "accuracy": float(correct[labels == k].mean())}
            for k, name in enumerate(first.classes)
            if (labels == k).any()
        ],
        "per_video": [
            {
                "path": path,
                "label": label,
                "predicted": first.classes[best],
                "probabilities": dict(zip(first.classes, row.tolist(), strict=True)),
            }
            for path, label, best, row in zip(first.paths, first.labels, predicted, fused, strict=True)
        ],
        "warnings": list(dict.fromkeys(doubts)) + classifier_caveats(correct, labels, first.classes),
    }
    if len(runs) > 1:
        result["fuse"] = fuse
        result["runs"] = [
            {
                "run": one.run,
                "data": one.folder,
                "accuracy": float((table.argmax(axis=-1) == labels).mean()),
                "weight": float(weight),
            }
            for one, table, weight in zip(each, aligned, weights, strict=True)
        ]
    return result


def _open(runs, folders, split):
    """The `Videos` of each run, which must fit together."""
    each = [open_videos(run, folder, split) for run, folder in zip(runs, folders, strict=True)]
    for other in each:
        _match(each[0], other)
    return each


def _classify(each, progress):
    """Probabilities (S, V, K) of S runs in the order of the first one's V videos and K classes, and labels (V,)."""
    first = each[0]
    aligned = np.stack([one.classify(progress)[_match(first, one)] for one in each])
    return aligned, np.array([first.classes.index(label) for label in first.labels])


def _match(first, other):
    """Where the probabilities of the videos and classes of `first` stand in those of `other`: an index of (V, K)."""
    if set(other.classes) != set(first.classes):
        raise RunError(
            f"expected runs with the same classes, received {first.run} with {some(first.classes)} and {other.run} "
            f"with {some(other.classes)}; fuse runs of one dataset"
        )
    for one, lacking in ((first, other), (other, first)):
        absent = [path for path in one.paths if path not in set(lacking.paths)]
        if absent:
            raise RunError(
                f"expected the same videos for every run, received {lacking.folder} without {len(absent)} of the "
                f"{len(one.paths)} videos of {one.folder} {some(absent)}; build both from the same videos and splits"
            )
    place = {path: number for number, path in enumerate(other.paths)}
    order = [place[path] for path in first.paths]
    for path, number, label in zip(first.paths, order, first.labels, strict=True):
        _require_same_video(first, other, path, label, other.labels[number])
    return np.ix_(order, [other.classes.index(name) for name in first.classes])


def _doubt_matches(each):
    """A sentence where runs are fused whose data do not tell by hashes whether they are of the same videos."""
    silent = [one.folder for one in each if not one.hashes]
    if not silent or len({one.folder for one in each}) == 1:
        return []
    return [
        f"{silent[0]} keeps no hashes of its videos: the runs' videos were matched by name or number alone, and nobody "
        "can tell whether they are the same"
    ]


def _require_same_video(first, other, path, label, other_label):
    hashes = first.hashes.get(path), other.hashes.get(path)
    if label == other_label and (None in hashes or hashes[0] == hashes[1]):
        return
    same, differ = "be the same video", "other bytes"
    if label != other_label:
        same, differ = "have one label", f"{label!r} and {other_label!r}"
    raise RunError(
        f"expected {path} to {same} in {first.folder} and {other.folder}, received {differ}; build both from the same "
        "videos and labels"
    )
