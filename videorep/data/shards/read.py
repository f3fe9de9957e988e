"""Reads a folder of shards, record by record.

for clip in read_shards("my-shards", "train"): clip["frames"], clip["label"]
"""

from os import PathLike

import tensorflow as tf

from videorep.data.python_functions import ReadableDataset, call_python
from videorep.data.shards.guards import require_files, require_framing
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.parse import parse_clip, parse_percept
from videorep.data.shards.record_reader import RecordContents

ADVICE = "videorep verify names the damage; restore the shard or rebuild with --overwrite"


def read_shards(folder: str | PathLike, split: str = "train") -> tf.data.Dataset:
    """Reads the decoded records of one split, in the order in which they were written, for ever the same.

    For training with windows, shuffling and batches use `videorep.data.batches.sources`; this is the plain way in.

    Args:
        folder: Folder of shards, or its URL.
        split: Name of the split.
    Returns:
        `tf.data.Dataset` of dicts: "frames" (T, H, W, C) uint8 for clips or (T, D) float32 for percepts, "label" int32
        (-1: none), "label_text", "path", "frame_rate", "frame_labels" (T,) int32, or (0,) where frames have no labels
        of their own, and "timestamps" (T,) int64 microseconds (clips) or "start" seconds (percepts). T differs
        between records: batch with `padded_batch`.
    Raises:
        ShardError: no such folder or split, an unfinished build, a shard that is missing or of the wrong size.
    """
    dataset = load_dataset(folder)
    decoded = _read_records(dataset, split).map(_decoder(dataset, split), num_parallel_calls=tf.data.AUTOTUNE)
    return ReadableDataset(decoded.prefetch(tf.data.AUTOTUNE), ADVICE)


def read_frame_labels(dataset, split):
    """The class of every frame of a split, (T,) int32 per record; (0,) where its frames have none of their own.

    Raises:
        ShardError: as `read_shards`, or labels that are not one per frame, each of a class.
    """
    contents, parse = RecordContents(dataset, split), parse_clip if dataset.kind == "clips" else parse_percept
    records = _read_records(dataset, split).map(lambda _, serialized: parse(serialized)["frame_labels"])
    return [contents.frame_labels(*each) for each in enumerate(ReadableDataset(records, ADVICE).as_numpy_iterator())]


def _read_records(dataset, split):
    """The split's records in order: number in the split, and bytes."""
    require_files(dataset, split)
    paths, shards = dataset.paths(split), dataset.shards(split)

    def checked(number):
        require_framing(paths[number], shards[number])
        return str(paths[number]).encode("utf-8", "surrogateescape")

    def read_records(number):
        file = tf.ensure_shape(call_python(checked, [number], tf.string), [])
        return tf.data.TFRecordDataset(file, buffer_size=1 << 20)

    return tf.data.Dataset.range(len(paths)).flat_map(read_records).enumerate()


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
