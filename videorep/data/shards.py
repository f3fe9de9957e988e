"""Folders of shards: build, load, read, and write one's own.

write_shards([{"frames": frames, "label": "wave"}, ...], "my-shards")
for clip in read_shards("my-shards", "train"): clip["frames"], clip["label"]
"""

import collections.abc
import contextlib
import dataclasses
import functools
import itertools
import tempfile

import tensorflow as tf

from videorep.data.build_folder import require_free
from videorep.data.building import build_dataset
from videorep.data.dataset import FRAMING_BYTES, MANIFEST, Dataset, ShardInfo, load_dataset, shard_name
from videorep.data.own_records import Spool, find_label, name_labels, to_record
from videorep.data.python_functions import ReadableDataset, call_python
from videorep.data.record_reader import RecordContents
from videorep.data.records import Clip, Outcome, Source, plan_shards
from videorep.data.schema import parse_clip, parse_percept
from videorep.data.shard_writer import output_errors
from videorep.errors import DataError, ShardError

__all__ = [
    "Dataset",
    "ShardInfo",
    "build_dataset",
    "load_dataset",
    "plan_shards",
    "read_shards",
    "shard_name",
    "write_shards",
]

SHARD_RECORDS = 100


def read_shards(folder, split="train"):
    """Reads the decoded records of one split, in the order in which they were written, for ever the same.

    For training with windows, shuffling and batches use `videorep.data.pipeline`; this is the plain way in.

    Args:
        folder: Folder of shards, or its URL.
        split: Name of the split.
    Returns:
        `tf.data.Dataset` of dicts: "frames" (T, H, W, C) uint8 for clips or (T, D) float32 for percepts, "label" int32
        (-1: none), "label_text", "path", "frame_rate", and "timestamps" (T,) int64 microseconds (clips) or "start"
        seconds (percepts). T differs between records: batch with `padded_batch`.
    Raises:
        ShardError: no such folder or split, an unfinished build, a shard that is missing or of the wrong size.
    """
    dataset = load_dataset(folder)
    require_files(dataset, split)
    paths, shards = dataset.paths(split), dataset.shards(split)

    def checked(number):
        require_framing(paths[number], shards[number])
        return str(paths[number]).encode("utf-8", "surrogateescape")

    def read_records(number):
        file = tf.ensure_shape(call_python(checked, [number], tf.string), [])
        return tf.data.TFRecordDataset(file, buffer_size=1 << 20)

    records = tf.data.Dataset.range(len(paths)).flat_map(read_records).enumerate()
    decoded = records.map(_decoder(dataset, split), num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    return ReadableDataset(decoded, "videorep verify names the damage; restore the shard or rebuild with --overwrite")


def _decoder(dataset, split):
    """The function from a record's number in the split and its bytes to the dict that `read_shards` promises."""
    contents, channels = RecordContents(dataset, split), dataset.channels or 3

    def decode_clip(number, serialized):
        clip = parse_clip(serialized)
        given = [number, clip["label_index"], clip.pop("images"), clip.pop("height"), clip.pop("width")]
        frames = call_python(contents.decode_clip, given, tf.uint8)
        frames = tf.ensure_shape(frames, [None, dataset.height, dataset.width, channels])
        clip.pop("channels")
        return {"frames": frames, "label": clip.pop("label_index")} | clip

    def decode_percept(number, serialized):
        percept = parse_percept(serialized)
        given = [number, percept["label_index"], percept.pop("array")]
        frames = tf.ensure_shape(call_python(contents.decode_percept, given, tf.float32), [None, dataset.features])
        return percept | {"frames": frames, "label": percept.pop("label_index")}

    return decode_clip if dataset.kind == "clips" else decode_percept


def require_files(dataset, split):
    """Checks that every shard of a split is there and has its size; hashes are `verify`'s business.

    Raises:
        ShardError: a shard is missing or of another size, or there is no such split.
    """
    for path, shard in zip(dataset.paths(split), dataset.shards(split), strict=True):
        if not path.is_file():
            raise ShardError(
                f"expected {len(dataset.shards(split))} shards of split {split!r} in {dataset.folder}, "
                f"received a folder without {shard.file}; restore it or rebuild with --overwrite"
            )
        if path.stat().st_size != shard.bytes:
            raise ShardError(
                f"expected {path} to have {shard.bytes:,} bytes, received {path.stat().st_size:,}; "
                "videorep verify names the damage; restore the file or rebuild with --overwrite"
            )


def require_framing(path, shard):
    """Checks that a shard's records lie where dataset.json says.

    Call it before TensorFlow reads the file: it makes room for whatever length a record states.

    Raises:
        ShardError: a record is longer or shorter, or the file cannot be read.
    """
    bounds = itertools.pairwise([*shard.index["offset"], shard.bytes])
    try:
        with path.open("rb") as file:
            for number, (offset, end) in enumerate(bounds):
                file.seek(offset)
                length = int.from_bytes(file.read(8), "little")
                expected = end - offset - FRAMING_BYTES
                if length != expected:
                    raise ShardError(
                        f"{path.name}: record {number}: expected {expected:,} bytes as {MANIFEST} says, "
                        f"received a length of {length:,}; restore the file or rebuild with --overwrite"
                    )
    except OSError as error:
        raise ShardError(f"expected a readable {path}, received: {error.strerror}; restore it") from error


def write_shards(records, out, *, name="data", split="train", labels=None, shards=None, overwrite=False):
    """Writes one's own frames or features as a folder of shards that every command reads.

    Records are taken once, one after another, and kept in a temporary file (`TMPDIR`) until the last one has told how
    many there are and which labels occur: memory holds one record, the disk all of them twice.

    Args:
        records: Iterable of records, or a dict of them per split. A record is a `Clip`, a `Percept` or a dict: "frames"
            (T, H, W, 3) RGB or (T, H, W, 1) uint8, stored without loss as PNG, or (T, D) float features, all finite; if
            wanted "label" (a name, or where `labels` is given its index there), "path" (a name for it) and
            "frame_rate".
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
    by_split = records if isinstance(records, collections.abc.Mapping) else {split: records}
    require_free(out, resume=False, overwrite=overwrite)
    with contextlib.closing(Spool()) as spool:
        kinds, given = set(), []
        for split, members in by_split.items():
            for number, member in enumerate(members):
                record, label = to_record(member, f"{split}/{number:06d}")
                kinds.add("clips" if isinstance(record, Clip) else "percepts")
                if len(kinds) > 1:
                    raise DataError("expected clips or percepts, received both; write each into its own folder")
                given.append((split, record.path, label))
                with output_errors(tempfile.gettempdir()):
                    spool.add(record)
        labels = name_labels(labels, [label for _, _, label in given])
        sources = [Source(path, split, find_label(label, labels, path)) for split, path, label in given]
        plan = plan_shards(sources, SHARD_RECORDS, shards)
        facts = {"labels": labels, "made": {"command": "videorep.data.write_shards"}}
        process = functools.partial(_outcomes, iter(spool), labels)
        return build_dataset(out, name, kinds.pop() if kinds else "clips", plan, process, facts, overwrite=overwrite)


def _outcomes(records, labels, pending):
    """The records, one per source, with their labels."""
    for task in pending:
        for source in task.sources:
            text = None if source.label_index is None else labels[source.label_index]
            record = dataclasses.replace(next(records), label_index=source.label_index, label_text=text)
            yield Outcome(source, [record])
