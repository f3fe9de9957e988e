"""Writes one's own frames or features as a folder of shards.

write_shards([{"frames": frames, "label": "wave"}, ...], "my-shards")
"""

import contextlib
import dataclasses
import functools
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike

from videorep.data.shards.build import build_dataset
from videorep.data.shards.build_folder import require_free
from videorep.data.shards.dataset import Dataset
from videorep.data.shards.own_records import Spool, find_label, name_labels, to_record
from videorep.data.shards.plan import Outcome, Recipe, Source, plan_shards
from videorep.data.shards.records import Clip, Percept
from videorep.data.shards.shard_writer import output_errors
from videorep.errors import DataError

SHARD_RECORDS = 100


def write_shards(
    records: Iterable[Clip | Percept | dict] | Mapping[str, Iterable[Clip | Percept | dict]],
    out: str | PathLike,
    *,
    name: str = "data",
    split: str = "train",
    labels: Sequence[str] | None = None,
    shards: int | None = None,
    overwrite: bool = False,
) -> Dataset:
    """Writes one's own frames or features as a folder of shards that every command reads.

    Records are taken once, one after another, and kept in a temporary file (`TMPDIR`) until the last one has told how
    many there are and which labels occur: memory holds one record, the disk all of them twice.

    Args:
        records: Iterable of records, or a dict of them per split. A record is a `Clip`, a `Percept` or a dict: "frames"
            (T, H, W, 3) RGB or (T, H, W, 1) uint8, stored without loss as PNG, or (T, D) float features, all finite; if
            wanted "label" (a name, or where `labels` is given its index there) or "frame_labels" (one such per
            frame), "path" (a name for it) and "frame_rate".
        out: Folder to make, or its URL.
        name: Leading part of the shards' names.
        split: Where the records go, if they are not given as a dict.
        labels: Class names in order of their index; by default those that occur, sorted.
        shards: How many shards per split; by default one per 100 records.
        overwrite: Replace the shards that `out` holds.
    Returns:
        `Dataset`.
    Raises:
        DataError: a record is none of the above, holds NaN or infinity, or has a label that is none of `labels`.
        OutputError: `out` cannot be written or holds something.
    """
    by_split = records if isinstance(records, Mapping) else {split: records}
    require_free(out, resume=False, overwrite=overwrite)
    with contextlib.closing(Spool()) as spool:
        kinds, given, of_frames = set(), [], {}
        for split, members in by_split.items():
            for number, member in enumerate(members):
                record, label = to_record(member, f"{split}/{number:06d}")
                kinds.add("clips" if isinstance(record, Clip) else "percepts")
                if len(kinds) > 1:
                    raise DataError("expected clips or percepts, received both; write each into its own folder")
                given.append((split, record.path, label))
                of_frames |= dict.fromkeys(record.frame_labels or (), record.path)
                with output_errors(tempfile.gettempdir()):
                    spool.add(record)
        labels = name_labels(labels, [*of_frames, *(label for _, _, label in given)])
        indices = {label: find_label(label, labels, path) for label, path in of_frames.items()}
        sources = [Source(path, split, find_label(label, labels, path)) for split, path, label in given]
        plan = plan_shards(sources, SHARD_RECORDS, shards)
        kind, made = kinds.pop() if kinds else "clips", {"command": "videorep.data.write_shards"}
        recipe = Recipe(name, kind, plan, labels, made)
        process = functools.partial(_outcomes, iter(spool), labels, indices)
        return build_dataset(out, recipe, process, overwrite=overwrite)


def _outcomes(records, labels, indices, pending):
    """The records, one per source, with their labels; `indices` are those of what the frames are labelled with."""
    for task in pending:
        for source in task.sources:
            text = None if source.label_index is None else labels[source.label_index]
            record = next(records)
            of_frames = record.frame_labels and [indices[label] for label in record.frame_labels]
            named = {"label_index": source.label_index, "label_text": text, "frame_labels": of_frames}
            yield Outcome(source, [dataclasses.replace(record, **named)])
