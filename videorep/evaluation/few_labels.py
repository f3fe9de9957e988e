"""How accuracy grows with the number of labelled videos per class: many classifiers, measured alike."""

from pathlib import Path

import numpy as np

from videorep.config import FinetuneConfig
from videorep.errors import RunError
from videorep.evaluation.action_recognition import evaluate_action_recognition
from videorep.progress import SilentProgress
from videorep.runs import CONFIG, load_run


def measure_few_label_curve(folder, data=None, *, split="test", progress=None):
    """Measures every classifier run below a folder and sorts the accuracies by what the run was trained from and on.

    Args:
        data: Folder of labelled shards; each run's own where None.
    Returns:
        dict: "results" ({how it was trained: {videos per class: [accuracy of each repeat]}}; of a run on all videos,
        the mean number per class) and "largest_class" (the accuracy of always answering it).
    Raises:
        RunError: no classifier lies there, or one is not finished or does not fit the data.
    Source: Srivastava et al. 2015, figure 12.
    """
    runs = [load_run(path.parent) for path in sorted(Path(folder).rglob(CONFIG))]
    runs = [run for run in runs if isinstance(run.config, FinetuneConfig)]
    if not runs:
        raise RunError(
            f"expected a folder with runs of `videorep finetune`, received {folder} without any; make them with "
            "--videos-per-class and --repeats"
        )
    for run in runs:
        run.require_finished()
    results, largest = {}, 0.0
    with (progress or SilentProgress()).task("Measuring classifiers", total=len(runs), unit="runs") as advance:
        for run in runs:
            shards = str(data or run.config.data.path)
            measured = evaluate_action_recognition([run], shards, split=split)
            line = results.setdefault(_name(run.config), {})
            chosen = run.config.data.videos_per_class
            count = chosen or run.provenance["data"]["videos"] / len(run.config.model.classes)
            line.setdefault(count, []).append(measured["accuracy"])
            largest = max(largest, measured["largest_class"])
            advance(1, note=run.path.name)
    return {"results": results, "largest_class": largest}


def tabulate(results):
    """The numbers behind the curve: rows of {"trained", "videos_per_class", "repeats", "accuracy", "deviation"}.

    By number of videos within each way of training; means, and standard deviations of the repeats, None of one.
    """
    return [
        {
            "trained": name,
            "videos_per_class": count,
            "repeats": len(accuracies),
            "accuracy": float(np.mean(accuracies)),
            "deviation": float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else None,
        }
        for name, line in results.items()
        for count, accuracies in sorted(line.items())
    ]


def _name(config):
    if config.model.name == "single-frame":
        return "single frame"
    start = f"from {Path(config.init)}" if config.init else "from random weights"
    return start + (", frozen" if config.model.freeze_encoder else "")
