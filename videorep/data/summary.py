"""The facts and the picture behind `videorep inspect` of shards."""

import collections
from pathlib import Path

import cv2
import numpy as np

from videorep.data.dataset import LEFT_OUT, load_dataset
from videorep.data.record_reader import RecordReader
from videorep.data.shard_writer import output_errors
from videorep.data.shards import require_files
from videorep.data.windows import spread

SHEET_ROWS = 8
SHEET_COLUMNS = 8
TILE_HEIGHT = 96
MARGIN = 6
TITLE_HEIGHT = 18
INK, PAPER = (40, 40, 40), (255, 255, 255)


def summarize_dataset(path):
    """What a folder of shards holds and how it was made.

    Args:
        path: Folder of shards, or its URL.
    Returns:
        Nested dict of plain values for printing: kind, sizes, one table per split with its records, videos (not of
        moving-mnist, whose records are sequences), frames and hours, the features' statistics, what was left out and
        how often for which reason, how it was made.
    Raises:
        ShardError: see `load_dataset`.
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
    left_out = [source for source in dataset.sources if source["status"] == LEFT_OUT]
    flawed = [source for source in dataset.sources if source["status"] != LEFT_OUT and source["reason"]]
    for key, sources in (("left_out", left_out), ("written_with_flaws", flawed)):
        if sources:
            facts[key] = dict(collections.Counter(source["reason"] for source in sources).most_common())
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
        return {"frame": form, "frame_rate": _describe_rate(dataset)}
    size = f"{dataset.height} x {dataset.width} pixels" if dataset.height else "of several sizes"
    colour = {1: ", grey", 3: ", RGB"}.get(dataset.channels, "")
    return {"frame": size + colour, "frame_rate": _describe_rate(dataset)}


def _describe_rate(dataset):
    return "several" if dataset.frame_rate is None else dataset.frame_rate or "unknown"


def _describe_split(dataset, split):
    index = dataset.index(split)
    amounts = _amounts(dataset, index)
    unit = _unit(dataset)
    if unit != "records":
        del amounts["videos"]  # sources are whatever the records were drawn in
    return {"shards": len(dataset.shards(split)), unit: len(index)} | amounts


def _unit(dataset):
    """What a record is called: "records", of videos, unless the build says otherwise."""
    drawn = dataset.made.get("command") == "build-shards moving-mnist"
    return dataset.made.get("unit", "sequences" if drawn else "records")


def _amounts(dataset, index):
    """How many videos, frames and hours some records of a dataset are."""
    videos = len({dataset.sources[number]["path"] for number in index["source"]})
    known = index["frame_rate"] > 0
    seconds = float(np.sum(index["frames"][known] / index["frame_rate"][known]))
    return {"videos": videos, "frames": int(index["frames"].sum()), "hours": round(seconds / 3600, 4)}


def count_classes(path):
    """One row per class: its name, and videos and hours in every split; empty for unlabelled shards.

    Args:
        path: Folder of shards.
    Returns:
        List of {"class", "SPLIT videos", "SPLIT hours", ...}.
    """
    dataset = load_dataset(path)
    rows = [{"class": name} for name in dataset.labels]
    for split in dataset.splits:
        index = dataset.index(split)
        for label, row in enumerate(rows):
            amounts = _amounts(dataset, index[index["label"] == label])
            row |= {f"{split} videos": amounts["videos"], f"{split} hours": amounts["hours"]}
    return rows


def write_contact_sheet(path, out, split=None):
    """Draws some clips of a split as a PNG: each row shows frames of one at even distances, the rows many classes.

    Args:
        path: Folder of clip shards.
        out: The PNG's path.
        split: Name of the split; the first one where None.
    Raises:
        ShardError: see `read_shards`.
        OutputError: `out` cannot be written.
    """
    dataset = load_dataset(path)
    split = next(iter(dataset.splits)) if split is None else split
    require_files(dataset, split)
    reader = RecordReader(dataset, split)
    rows = []
    for number in choose_records(reader.index["label"]):
        row = reader.index[number]
        rows.append(_add_title(_draw_clip(reader, number, int(row["frames"])), describe_record(dataset, row)))
    width = max(row.shape[1] for row in rows)
    sheet = np.concatenate([_pad(row, right=width - row.shape[1]) for row in rows])
    with output_errors(Path(out).parent), open(out, "wb") as file:
        file.write(cv2.imencode(".png", _pad(sheet, MARGIN, MARGIN, MARGIN, MARGIN))[1])


def describe_record(dataset, row):
    """Class, path and length of a record, given by its row of the index."""
    title = f"{dataset.sources[row['source']]['path']}, {row['frames']} frames"
    return f"{dataset.labels[row['label']]}: {title}" if row["label"] >= 0 else title


def choose_records(labels, most=SHEET_ROWS):
    """Numbers of up to `most` records: the first of every class in turn, classes at even distances."""
    turn = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        turn[members] = np.arange(len(members))
    order = np.lexsort([labels, turn])
    first = order[turn[order] == 0]
    if len(first) > most:
        return first[spread(len(first), most)]
    return order[:most]


def _draw_clip(reader, number, frames):
    """Frames at even distances, side by side."""
    tiles = [
        cv2.cvtColor(frame, cv2.COLOR_RGB2BGR) for frame in reader.clip_frames(number, spread(frames, SHEET_COLUMNS))
    ]
    width = max(1, round(TILE_HEIGHT * tiles[0].shape[1] / tiles[0].shape[0]))
    shrinks = tiles[0].shape[0] > TILE_HEIGHT
    how = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST
    return np.concatenate(
        [_pad(cv2.resize(tile, (width, TILE_HEIGHT), interpolation=how), right=2) for tile in tiles], 1
    )


def _pad(picture, top=0, bottom=0, left=0, right=0):
    return cv2.copyMakeBorder(picture, top, bottom, left, right, cv2.BORDER_CONSTANT, value=PAPER)


def _add_title(picture, title):
    picture = _pad(picture, top=TITLE_HEIGHT, bottom=MARGIN)
    text = title.encode("ascii", "replace").decode()
    cv2.putText(picture, text, (0, TITLE_HEIGHT - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.4, INK, 1, cv2.LINE_AA)
    return picture
