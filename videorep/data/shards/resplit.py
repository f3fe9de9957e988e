"""The records of one folder of percepts with other labels in other splits: a convnet need see every video once."""

import dataclasses

from videorep.data.shards.build import build_dataset
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.plan import Outcome, Recipe, Source, plan_shards
from videorep.data.shards.record_reader import RecordReader
from videorep.data.shards.records import Percept
from videorep.data.shards.verify import require_sound
from videorep.errors import DataError

PER_SHARD = 32


def resplit_percepts(folder, out, chosen, **choices):
    """Copies percepts, value by value, into a folder whose splits and labels are others; what made them is noted on.

    Args:
        folder: Folder of percept shards.
        out: Folder to make.
        chosen: {path of a source: (label, split)}; the others are left out. Labels are sorted.
        choices: resume, overwrite, progress, as for `videorep.data.shards.build.build_dataset`.
    Returns:
        `Dataset`.
    Raises:
        DataError: `folder` holds none of these sources.
        ShardError, OutputError: `folder` cannot be read, or `out` not be written.
    """
    dataset = load_dataset(folder)
    labels, members = tuple(sorted({label for label, _ in chosen.values()})), {}
    for split in dataset.splits:
        require_sound(dataset, split)
        reader = RecordReader(dataset, split)
        for number, row in enumerate(reader.index):
            entry = dataset.sources[row["source"]]
            if entry["path"] in chosen:
                label, side = chosen[entry["path"]]
                own = {field.name: entry[field.name] for field in dataclasses.fields(Source)}
                source = Source(**own | {"split": side, "label_index": labels.index(label)})
                members.setdefault(source, []).append((reader, number))
    if not members:
        raise DataError(
            f"expected percepts of {len(chosen)} videos in {folder}, received none of these; build it anew with "
            "--overwrite"
        )
    plan = plan_shards(sorted(members, key=lambda source: (source.split != "train", source.split)), PER_SHARD)

    def process(pending):
        for source in (source for task in pending for source in task.sources):
            yield Outcome(source, [_percept(dataset, source, labels, *each) for each in members[source]])

    made = {key: dataset.made.get(key) for key in ("command", "seed", "settings", "stages")}
    return build_dataset(out, Recipe(dataset.name, dataset.kind, plan, labels, made), process, **choices)


def _percept(dataset, source, labels, reader, number):
    row = reader.index[number]
    return Percept(
        reader.percept_windows([number], [0], int(row["frames"]))[0],
        path=source.path,
        label_index=source.label_index,
        label_text=labels[source.label_index],
        frame_rate=float(row["frame_rate"]),
        start=source.start or 0.0,
        compression=dataset.compression,
    )
