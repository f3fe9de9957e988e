"""What the tables of a large dataset may hold: what `manifest_schema` asks of lists, of whole columns at a time."""

import numpy as np

from videorep.bounds import LARGEST_FLOAT
from videorep.data.shards.json_types import MismatchError
from videorep.data.shards.manifest_schema import (
    FRAMING_BYTES,
    GZIP_RATIO,
    HEADER_BYTES,
    ITEM_BYTES,
    LINES,
    MOST_BYTES,
    RECORDS,
    SOURCES,
)
from videorep.data.shards.tables import ROWS_AT_ONCE, in_order

LONGEST_LINE = 1 << 24  # bytes


def require_tables(plain, splits, sources, records):
    """Raises a MismatchError where the tables break the schema, or do not fit one another.

    Args:
        plain: What dataset.json says.
        splits: {split: [ShardInfo, ...]}.
        sources, records: `Table`s.
    """
    shards, first = in_order(splits), 0
    for group in _group(shards):
        count = sum(shard.records for shard in group)
        _require_records(plain, group, records.read(first, count), first)
        first += count
    _require_sources(plain, shards, _bounds(splits), sources)


def _group(shards):
    """Neighbouring shards, together so many records as are looked at at once."""
    group, count = [], 0
    for shard in shards:
        group.append(shard)
        count += shard.records
        if count >= ROWS_AT_ONCE:
            yield group
            group, count = [], 0
    if group:
        yield group


def _bounds(splits):
    """The numbers of the first shard of each split and, at last, of one past the last."""
    return np.cumsum([0, *(len(splits[split]) for split in sorted(splits))])


def _require(holds, column, expected, values, first, file=RECORDS):
    if not holds.all():
        wrong = np.flatnonzero(~holds)
        raise MismatchError(f"{column} of row {first + int(wrong[0])} in {file}", expected, values[wrong[0]].item())


def _require_records(plain, shards, rows, first):
    """Records follow one another from the first byte to the last, each with what it is said to hold."""
    for shard in shards:
        if not shard.records and shard.bytes:
            raise MismatchError(shard.file, "empty, as it has no records", shard.bytes)
    offset, size, frames, label = rows["offset"], rows["size"], rows["frames"], rows["label"]
    end = offset + size + HEADER_BYTES
    held = [shard for shard in shards if shard.records]
    last = np.cumsum([shard.records for shard in held], dtype=np.int64) - 1
    expected = np.empty(len(rows), np.int64)
    expected[1:] = end[:-1] + FRAMING_BYTES - HEADER_BYTES
    expected[np.append(last[:0], [0, *(last[:-1] + 1)])[: len(held)]] = 0
    _require((offset == expected) & (size > 0), "offset", "0 at first, then behind the record before", offset, first)
    ends = end[last] + FRAMING_BYTES - HEADER_BYTES == [shard.bytes for shard in held]
    _require(ends, "size of the last record of a shard, counted,", "up to the end of the file", last, first)
    classes = len(plain["labels"])
    _require(
        (label >= -1) & (label < classes), "label", f"from -1 to below {classes}, the number of labels", label, first
    )
    rate = rows["frame_rate"]
    _require((rate >= 0) & (rate <= LARGEST_FLOAT), "frame_rate", "a number of at least 0", rate, first)
    begin = offset + HEADER_BYTES
    if plain["kind"] == "clips":
        _require((frames >= 1) & (frames <= size), "frames", "of at least a byte within the record", frames, first)
        return
    payload, ratio = rows["payload"], GZIP_RATIO if plain["compression"] else 1
    frame = plain["features"] * ITEM_BYTES[plain["dtype"]]
    room = np.minimum(MOST_BYTES, (end - payload) * ratio)
    fits = (payload >= begin) & (payload < end) & (frames >= 1) & (frames <= room // frame)
    _require(fits, "payload", "of frames within the record", payload, first)


def _require_sources(plain, shards, bounds, table):
    """Every record comes of a source, in the sources' order."""
    found, last, end, first = np.zeros(len(shards), np.int64), np.zeros(len(bounds), np.int64), 0, 0
    for rows in table.chunks():
        shard, records, video = rows["shard"], rows["records"], rows["video"]
        lengths = np.diff(rows["end"], prepend=end)
        fits = (lengths > 2) & (lengths <= LONGEST_LINE)
        _require(fits, "end", f"behind the line before, by at most {LONGEST_LINE}", rows["end"], first, SOURCES)
        end = int(rows["end"][-1])
        _require((video >= 0) & (video < table.rows), "video", f"from 0 to below {table.rows}", video, first, SOURCES)
        fits = (shard >= -1) & (shard < len(shards)) & (records >= 0) & ((shard >= 0) == (records > 0))
        _require(fits, "shard", "one of the shards, or -1 and no records", shard, first, SOURCES)
        written, of_split = shard[shard >= 0], np.searchsorted(bounds, shard[shard >= 0], "right")
        for split in range(1, len(bounds)):
            members = written[of_split == split]
            _require(np.diff(members, prepend=last[split]) >= 0, "shard", "in order", members, first, SOURCES)
            last[split] = members[-1] if len(members) else last[split]
        found += np.bincount(written, records[shard >= 0], len(shards)).astype(np.int64)
        first += len(rows)
    if end != plain["sources"]["files"][LINES]["bytes"]:
        raise MismatchError(f"end of the last row in {SOURCES}", "the end of the file of lines", end)
    for each, count in zip(shards, found, strict=True):
        if count != each.records:
            raise MismatchError(SOURCES, f"of {each.records} records in {each.file}", int(count))
