"""What dataset.json may hold, as one table of types: whatever else it says is refused before anything uses it.

A folder of shards may come from anybody. `require_schema` compares plain JSON values with the table, and the parts
with one another: records lie within their files, files within the folder, labels within the classes.
"""

import itertools
import re

from videorep.bounds import LARGEST_FLOAT
from videorep.config import COMPRESSIONS, DTYPES
from videorep.data.shards.images import MOST_PIXELS
from videorep.data.shards.json_types import (
    LARGEST_WHOLE,
    MismatchError,
    is_number,
    is_whole,
    listed,
    mapping,
    matching,
    number,
    numbers,
    one_of,
    optional,
    plain,
    record,
    typed,
    whole,
)

SCHEMA_VERSION = 1
TABLES_VERSION = 2  # of a large dataset, whose sources and index lie in tables beside dataset.json
KINDS = ("clips", "percepts")
SHARD = ".tfrecord-"  # in the name of every shard
WRITTEN, LEFT_OUT = "written", "left out"
FRAMING_BYTES, HEADER_BYTES = 16, 12
MOST_BYTES = 2**31 - 1  # of a record, which is one protocol buffer, and of a percept's array
GZIP_RATIO = 1032  # deflate cannot do better
ITEM_BYTES = {"float16": 2, "float32": 4}
MOST_ROWS = 2**31 - 1  # of a table
LINES, SOURCES, RECORDS = TABLES = ("dataset-sources.jsonl", "dataset-sources.npy", "dataset-records.npy")
NAME = re.compile(r"[A-Za-z0-9._-]+")


def shard_name(name, split, index, of):
    """The file name of shard `index` of `of`."""
    return f"{name}-{split}{SHARD}{index:05d}-of-{of:05d}"


# ---- the table

text = typed("a text", lambda value: type(value) is str)
_name = matching(NAME, "letters, digits, dots, dashes and underscores")
_hash = matching(re.compile("[0-9a-f]{64}"), "a SHA-256")
_hash_or_empty = matching(re.compile("([0-9a-f]{64})?"), "a SHA-256 or empty")
_place = numbers(lambda value: is_whole(value, 0, LARGEST_WHOLE), "whole numbers of at least 0")
_index = {
    "offset": _place,
    "frames": numbers(lambda value: is_whole(value, 1, MOST_BYTES), "whole numbers of at least 1"),
    "label": numbers(lambda value: is_whole(value, -1, MOST_BYTES), "whole numbers of at least -1"),
    "frame_rate": numbers(lambda value: is_number(value, 0, LARGEST_FLOAT), "numbers of at least 0"),
    "crc": numbers(lambda value: is_whole(value, 0, 2**32 - 1), "numbers of four bytes"),
}
_source = {
    "path": text,
    "split": _name,
    "label_index": optional(whole(0, MOST_BYTES)),
    "sha256": _hash_or_empty,
    "start": optional(number()),
    "end": optional(number()),
    "status": one_of(WRITTEN, LEFT_OUT),
    "reason": text,
    "records": whole(),
    "shard": optional(text),
}
_source_entry = record(_source, plain())
_made = {"command": text, "settings": optional(record({}, plain())), "versions": record({}, text)}
_shared = {
    "format": one_of("videorep"),
    "schema_version": whole(1, TABLES_VERSION),
    "kind": one_of(*KINDS),
    "name": _name,
    "labels": listed(text),
    "sources": listed(_source_entry, least=1),
    "frame_rate": optional(number()),
    "fingerprint": _hash,
}
_null = typed("null", lambda value: value is None)


def _made_by(value, place):
    """`made` may lack what a builder had no use for."""
    is_object = record({}, plain())
    is_object(value, place)
    for key, check in _made.items():
        if key in value:
            check(value[key], f"{place}.{key}")


_shard = {"file": text, "records": whole(), "bytes": whole(), "sha256": _hash}


def _splits(index):
    return mapping(_name, listed(record(_shard | {"index": record(index)}), least=1))


def _range(low, high, meaning):
    return numbers(lambda value: is_number(value, low, high), meaning)


_statistics = record(
    {
        "split": _name,
        "frames": whole(1),
        "mean": _range(-LARGEST_FLOAT, LARGEST_FLOAT, "numbers"),
        "deviation": _range(0, LARGEST_FLOAT, "numbers of at least 0"),
        "zeros": _range(0, 1, "shares"),
    }
)
_clips = (
    _shared
    | {
        "made": _made_by,
        "splits": _splits(_index),
        "height": optional(whole(1, MOST_PIXELS)),
        "width": optional(whole(1, MOST_PIXELS)),
        "channels": optional(typed("1 or 3", lambda value: type(value) is int and value in (1, 3))),
        "statistics": _null,
    }
    | dict.fromkeys(("features", "dtype", "compression"), _null)
)
_percepts = (
    _shared
    | {
        "made": _made_by,
        "splits": _splits(_index | {"payload": _place}),
        "features": whole(1, MOST_BYTES),
        "dtype": one_of(*DTYPES),
        "compression": one_of(*COMPRESSIONS),
        "statistics": optional(_statistics),
    }
    | dict.fromkeys(("height", "width", "channels"), _null)
)
_file = record({"bytes": whole(), "sha256": _hash})
_in_tables = {
    "sources": record(
        {"count": whole(1, MOST_ROWS), "records": whole(0, MOST_ROWS), "files": record(dict.fromkeys(TABLES, _file))}
    ),
    "splits": mapping(_name, listed(record(_shard), least=1)),
}
_forms = {
    ("clips", SCHEMA_VERSION): record(_clips),
    ("clips", TABLES_VERSION): record(_clips | _in_tables),
    ("percepts", SCHEMA_VERSION): record(_percepts),
    ("percepts", TABLES_VERSION): record(_percepts | _in_tables),
}


def require_schema(values):
    """Raises MismatchError where the plain values of dataset.json, its checksum left out, break the schema.

    Of a large dataset `table_schema` looks at the rest.
    """
    form = {"kind": one_of(*KINDS), "schema_version": _shared["schema_version"]}
    record(form, lambda value, place: None)(values, "")
    _forms[values["kind"], values["schema_version"]](values, "")
    _require_consistent(values)


def require_source(source, place, labels, splits):
    """Raises MismatchError where a line of a large dataset, of so many labels and of `splits`, is no source."""
    _source_entry(source, place)
    _require_source(source, place, labels, splits)


# ---- the parts beside one another


def _require_consistent(values):
    labels, splits = values["labels"], values["splits"]
    if len(set(labels)) < len(labels):
        raise MismatchError("labels", "names that differ", labels)
    files = {}
    for split, shards in splits.items():
        for position, shard in enumerate(shards):
            place = f"splits.{split}[{position}]"
            expected = shard_name(values["name"], split, position, len(shards))
            if shard["file"] != expected:
                raise MismatchError(f"{place}.file", repr(expected), shard["file"])
            files[expected] = split, position, shard["records"]
            if "index" in shard:
                _require_index(shard, place, values)
    if isinstance(values["sources"], list):
        _require_sources(values, files)
    statistics = values["statistics"]
    if statistics is not None:
        lengths = [len(statistics[key]) for key in ("mean", "deviation", "zeros")]
        if set(lengths) != {values["features"]} or statistics["split"] not in splits:
            raise MismatchError("statistics", f"of a split and of {values['features']} features", lengths)


def _require_index(shard, place, values):
    """Records follow one another from the first byte to the last, each with what it is said to hold."""
    index, count, size = shard["index"], shard["records"], shard["bytes"]
    for column, entries in index.items():
        if len(entries) != count:
            raise MismatchError(f"{place}.index.{column}", f"a list of {count}, one per record", entries)
    classes = len(values["labels"])
    if any(label >= classes for label in index["label"]):
        raise MismatchError(f"{place}.index.label", f"below {classes}, the number of labels", index["label"])
    bounds = [*index["offset"], size]
    if bounds[0] != 0:
        raise MismatchError(f"{place}.index.offset", "0 at first", bounds[0] if count else size)
    for position, (first, end) in enumerate(itertools.pairwise(bounds)):
        if not FRAMING_BYTES < end - first <= MOST_BYTES + FRAMING_BYTES:
            raise MismatchError(f"{place}.index.offset", "rising, within the file", index["offset"][position:])
        _require_room(index, position, first + HEADER_BYTES, end - 4, place, values)


def _require_room(index, position, first, end, place, values):
    """The frames of a record fit between the bytes `first` and `end`."""
    frames = index["frames"][position]
    if values["kind"] == "clips":
        if frames > end - first:
            raise MismatchError(f"{place}.index.frames", f"at most {end - first} in record {position}", frames)
        return
    payload, ratio = index["payload"][position], GZIP_RATIO if values["compression"] else 1
    size = frames * values["features"] * ITEM_BYTES[values["dtype"]]
    if not (first <= payload < end and size <= min(MOST_BYTES, (end - payload) * ratio)):
        raise MismatchError(f"{place}.index", f"frames within record {position}", [payload, frames])


def _require_sources(values, files):
    """Every record comes of a source, in the sources' order."""
    labels, found, last = values["labels"], dict.fromkeys(files, 0), {}
    for position, source in enumerate(values["sources"]):
        place, shard = f"sources[{position}]", source["shard"]
        _require_source(source, place, len(labels), values["splits"])
        if shard is not None:
            split, number, _ = files.get(shard, (None, 0, 0))
            if split != source["split"] or number < last.get(split, 0):
                raise MismatchError(f"{place}.shard", "a shard of its split, in order", shard)
            last[split] = number
            found[shard] += source["records"]
    for file, (*_, records) in files.items():
        if found[file] != records:
            raise MismatchError("sources", f"{records} records in {file}", found[file])


def _require_source(source, place, labels, splits):
    shard, is_written = source["shard"], source["status"] == WRITTEN
    if source["split"] not in splits:
        raise MismatchError(f"{place}.split", "one of the splits", source["split"])
    if source["label_index"] is not None and source["label_index"] >= labels:
        raise MismatchError(f"{place}.label_index", f"below {labels}", source["label_index"])
    if is_written != (shard is not None) or is_written != (source["records"] > 0):
        raise MismatchError(place, "written into a shard, or left out without records", [shard, source["records"]])
