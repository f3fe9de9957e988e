"""Folders of shards: build, load, read, and write one's own.

write_shards([{"frames": frames, "label": "wave"}, ...], "my-shards")
for clip in read_shards("my-shards", "train"): clip["frames"], clip["label"]
"""

import collections.abc

import cv2
import numpy as np
import tensorflow as tf

from videorep.data.building import build_dataset, shard_name
from videorep.data.dataset import Dataset, ShardInfo, load_dataset
from videorep.data.records import Clip, Outcome, Percept, Source, plan_shards
from videorep.data.schema import decode_images, parse_clip, parse_percept
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
    files = [str(path) for path in dataset.paths(split)]
    records = tf.data.TFRecordDataset(files, buffer_size=1 << 20)
    return records.map(_decoder(dataset), num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _decoder(dataset):
    """The function from a serialized record to the dict that `read_shards` promises."""

    def decode_clip(serialized):
        clip = parse_clip(serialized)
        frames = decode_images(clip.pop("images"), channels)
        frames.set_shape([None, dataset.height, dataset.width, channels])
        for key in ("height", "width", "channels"):
            del clip[key]
        return {"frames": frames, "label": clip.pop("label_index")} | clip

    def decode_percept(serialized):
        percept = parse_percept(serialized, dataset.features, dataset.dtype, dataset.compression)
        return percept | {"frames": tf.cast(percept["frames"], tf.float32), "label": percept.pop("label_index")}

    channels = dataset.channels or 3
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


def write_shards(records, out, *, name="data", split="train", labels=None, shards=None, overwrite=False):
    """Writes one's own frames or features as a folder of shards that every command reads.

    Args:
        records: Iterable of records, or a dict of them per split. A record is a `Clip`, a `Percept` or a dict: "frames"
            (T, H, W, 3) RGB or (T, H, W, 1) uint8, stored without loss as PNG, or (T, D) float features; if wanted
            "label" (a name, or its index in `labels`), "path" (a name for it) and "frame_rate".
        out: Folder to make, or its URL.
        name: Leading part of the shards' names.
        split: Where the records go, if they are not given as a dict.
        labels: Class names in order of their index; by default those that occur, sorted.
        shards: How many shards per split; by default one per 100 records.
        overwrite: Replace the shards that `out` holds.
    Returns:
        `Dataset`.
    Raises:
        DataError: a record is none of the above.
        OutputError: `out` cannot be written or holds something.
    """
    by_split = records if isinstance(records, collections.abc.Mapping) else {split: records}
    given = [(split, number, record) for split, members in by_split.items() for number, record in enumerate(members)]
    if labels is None:
        labels = sorted({_label_name(record) for _, _, record in given} - {None})
    made = [(split, _to_record(record, f"{split}/{number:06d}", list(labels))) for split, number, record in given]
    kinds = {"clips" if isinstance(record, Clip) else "percepts" for _, record in made}
    if len(kinds) > 1:
        raise DataError("expected clips or percepts, received both; write each into its own folder")
    sources = [Source(record.path, split, record.label_index) for split, record in made]
    plan = plan_shards(sources, SHARD_RECORDS, shards)
    remaining = iter(made)

    def process(pending):
        for task in pending:
            for source in task.sources:
                yield Outcome(source, [next(remaining)[1]])

    facts = {"labels": labels, "made": {"command": "videorep.data.write_shards"}}
    return build_dataset(out, name, kinds.pop() if kinds else "clips", plan, process, facts, overwrite=overwrite)


def _label_name(record):
    if isinstance(record, collections.abc.Mapping):
        return record.get("label")
    return getattr(record, "label_text", None)


def _label_index(label, labels, path):
    if label is None:
        return None
    if isinstance(label, (int, np.integer)) and 0 <= label < len(labels) and label not in labels:
        return int(label)
    if label not in labels:
        raise DataError(f"expected a label of {path} among {', '.join(labels)}, received {label!r}; add it to `labels`")
    return labels.index(label)


def _to_record(record, path, labels):
    """A `Clip` or `Percept` from whatever `write_shards` accepts."""
    if isinstance(record, (Clip, Percept)):
        return record
    if not isinstance(record, collections.abc.Mapping) or "frames" not in record:
        raise DataError(
            f"expected a Clip, a Percept or a dict with 'frames', received {type(record).__name__} for {path}"
        )
    frames = np.asarray(record["frames"])
    index = _label_index(record.get("label"), labels, path)
    common = {
        "path": record.get("path", path),
        "label_index": index,
        "label_text": None if index is None else labels[index],
        "frame_rate": float(record.get("frame_rate", 25.0)),
    }
    if frames.ndim == 4 and frames.dtype == np.uint8 and frames.shape[3] in (1, 3) and frames.size:
        return _to_clip(frames, common)
    if frames.ndim == 2 and frames.dtype.kind == "f" and frames.size:
        return Percept(frames if frames.dtype == np.float16 else frames.astype(np.float32), **common)
    raise DataError(
        f"expected 'frames' to be (T, H, W, 3 or 1) uint8 or (T, D) float with T >= 1, received {frames.shape} "
        f"{frames.dtype} for {path}"
    )


def _to_clip(frames, common):
    channels = frames.shape[3]
    images = [cv2.imencode(".png", frame[..., ::-1] if channels == 3 else frame)[1].tobytes() for frame in frames]
    timestamps = [round(1e6 * number / common["frame_rate"]) for number in range(len(frames))]
    size = {"height": frames.shape[1], "width": frames.shape[2]}
    return Clip(images, timestamps, **size, **common, format="png", channels=channels)
