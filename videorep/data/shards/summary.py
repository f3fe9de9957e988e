"""The facts behind `videorep inspect` of shards."""

import collections

import numpy as np

from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.manifest_schema import LEFT_OUT


def summarize_dataset(path):
    """What a folder of shards holds and how it was made, as nested plain values for printing.

    Kind, sizes, one table per split with its records, videos (not of moving-mnist, whose records are sequences), frames
    and hours, the features' statistics, what was left out and how often for which reason, how it was made.
    """
    dataset = load_dataset(path)
    shards = [shard for members in dataset.splits.values() for shard in members]
    facts = {
        "folder": str(path),
        "kind": dataset.kind,
        "name": dataset.name,
        "schema_version": dataset.schema_version,
        "bytes": sum(shard.bytes for shard in shards),
        **_describe_records(dataset),
        "classes": len(dataset.labels) or None,
        "splits": {split: _describe_split(dataset, split) for split in dataset.splits},
        "statistics": _describe_statistics(dataset.statistics),
    }
    reasons = {"left_out": collections.Counter(), "written_with_flaws": collections.Counter()}
    for source in dataset.flawed():
        reasons["left_out" if source["status"] == LEFT_OUT else "written_with_flaws"][source["reason"]] += 1
    facts |= {key: dict(counts.most_common()) for key, counts in reasons.items() if counts}
    return facts | {"made": dataset.made}


def _describe_statistics(statistics):
    """The features' means, deviations and zeros, from the least to the greatest; None where there are none."""
    if statistics is None:
        return None
    deviation, zeros = (np.array(statistics[key]) for key in ("deviation", "zeros"))
    return {
        "of_split": statistics["split"],
        "frames": statistics["frames"],
        "mean": _describe_range(statistics["mean"]),
        "deviation": _describe_range(deviation),
        "zeros": f"{zeros.mean():.1%} of the values",
        "features_always_zero": int(np.sum(zeros == 1)),
    }


def _describe_range(values):
    return f"{np.min(values):.4g} to {np.max(values):.4g}, median {np.median(values):.4g}"


def _describe_records(dataset):
    """The records' form, in words."""
    if dataset.kind == "percepts":
        form = f"{dataset.features:,} x {dataset.dtype}" + (", gzip" if dataset.compression else "")
    else:
        size = f"{dataset.height} x {dataset.width} pixels" if dataset.height else "of several sizes"
        form = size + {1: ", grey", 3: ", RGB"}.get(dataset.channels, "")
    return {"frame": form, "frame_rate": "several" if dataset.frame_rate is None else dataset.frame_rate or "unknown"}


def _describe_split(dataset, split):
    index = dataset.index(split)
    amounts, drawn = _amounts(index), dataset.made.get("command") == "build-shards moving-mnist"
    unit = dataset.made.get("unit", "sequences" if drawn else "records")
    if unit != "records":
        del amounts["videos"]  # sources are whatever the records were drawn in
    return {"shards": len(dataset.shards(split)), unit: len(index)} | amounts


def _amounts(index):
    """How many videos, frames and hours some records of a dataset are."""
    videos = len(np.unique(index["video"]))
    known = index["frame_rate"] > 0
    seconds = float(np.sum(index["frames"][known] / index["frame_rate"][known]))
    return {"videos": videos, "frames": int(index["frames"].sum()), "hours": round(seconds / 3600, 4)}


def count_classes(path):
    """{"class", "SPLIT videos", "SPLIT hours", ...} of every class; empty where no video has a class."""
    dataset = load_dataset(path)
    rows, indexes = [{"class": name} for name in dataset.labels], {s: dataset.index(s) for s in dataset.splits}
    if all((index["label"] < 0).all() for index in indexes.values()):
        return []
    for split, index in indexes.items():
        for label, row in enumerate(rows):
            amounts = _amounts(index[index["label"] == label])
            row |= {f"{split} videos": amounts["videos"], f"{split} hours": amounts["hours"]}
    return rows
