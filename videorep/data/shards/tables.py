"""The sources and the records' places of a large dataset: files beside dataset.json, read in part. No TensorFlow.

dataset.json lists both itself where they are few. Of ten million it would have 5 GB, be parsed for minutes and take
tens of GB of memory; these can be read row by row:

    dataset-sources.jsonl    a line for each source, as dataset.json would have it
    dataset-sources.npy      SOURCE_ROW for each source, in the same order
    dataset-records.npy      a row for each record, shard after shard, splits by name (`record_row`)
"""

import collections.abc
import contextlib
import functools
import hashlib
import json
from pathlib import Path

import numpy as np

from videorep.data.array_files import GARBLED, read_header
from videorep.data.shards import hash_cache
from videorep.data.shards.hashes import hash_file
from videorep.data.shards.json_types import MismatchError
from videorep.data.shards.manifest_schema import FRAMING_BYTES, LINES, SOURCES, TABLES, require_source
from videorep.errors import ShardError
from videorep.storage import RemotePath, fetch, publish, replacing, workplace

ROWS_AT_ONCE = 1 << 16  # few enough for the processor's cache, many enough for NumPy
# Where its line ends; the number of its path, in order of first appearance; its records; the number of its shard, -1
# where it was left out; 1 where there is something to tell of it. All rows are aligned: NumPy is slow on others.
SOURCE_ROW = np.dtype([("end", "<i8"), ("video", "<i4"), ("records", "<i4"), ("shard", "<i4"), ("flawed", "<i4")])
_WIDE = [("offset", "<i8"), ("frame_rate", "<f8")]
_NARROW = [("size", "<i4"), ("frames", "<i4"), ("label", "<i4"), ("crc", "<u4")]
_RESTORE = "restore it or rebuild with --overwrite"


def record_row(kind):
    """What dataset-records.npy holds of each record: the columns of `ShardInfo.index`, and the size of its data."""
    return np.dtype([*_WIDE, *([("payload", "<i8")] if kind == "percepts" else []), *_NARROW])


def in_order(splits):
    """The shards of all splits in the order of the tables, from {split: [shard, ...]}."""
    return [shard for split in sorted(splits) for shard in splits[split]]


def tabulate_sources(sources, splits):
    """SOURCE_ROW for each of some sources, as dataset.json lists them; "end" is 0."""
    shards, videos = {shard.file: number for number, shard in enumerate(in_order(splits))}, {}
    rows = (
        (
            0,
            videos.setdefault(each["path"], len(videos)),
            each["records"],
            shards.get(each["shard"], -1),
            bool(each["reason"]) or each["shard"] is None,
        )
        for each in sources
    )
    return np.fromiter(rows, SOURCE_ROW, len(sources))


def tabulate_records(shards, kind):
    """A row for each record of some shards, whose index lists them."""
    rows, first = np.zeros(sum(shard.records for shard in shards), record_row(kind)), 0
    for shard in shards:
        part = rows[first : first + shard.records]
        for column, values in shard.index.items():
            part[column] = values
        part["size"] = np.diff([*shard.index["offset"], shard.bytes]) - FRAMING_BYTES
        first += shard.records
    return rows


def write_tables(folder, kind, sources, splits):
    """Writes the three files; returns what dataset.json says of them in place of the sources."""
    table, records = tabulate_sources(sources, splits), tabulate_records(in_order(splits), kind)

    def write_lines(file):
        lengths = (file.write(json.dumps(source).encode() + b"\n") for source in sources)
        table["end"] = np.cumsum(np.fromiter(lengths, np.int64, len(sources)))

    writers = write_lines, functools.partial(np.save, arr=table), functools.partial(np.save, arr=records)
    files = {name: _write(folder, name, write) for name, write in zip(TABLES, writers, strict=True)}
    return {"count": len(sources), "records": len(records), "files": files}


def _write(folder, name, write):
    place = workplace(folder) / name
    with replacing(place) as temporary, open(temporary, "wb") as file:
        write(file)
        file.flush()
    note = {"bytes": place.stat().st_size, "sha256": hash_file(place)}
    if isinstance(folder, RemotePath):
        publish(place, folder / name)
    return note


def require_file(folder, name, note, hashed=True):
    """The file of a table, on this machine, compared with what dataset.json says of it.

    Raises:
        ShardError: it is missing, of another size or, where `hashed`, of another SHA-256.
    """
    path = folder / name
    with _readable(path):
        if not path.is_file() or path.stat().st_size != note["bytes"]:
            raise ShardError(f"expected {path} of {note['bytes']:,} bytes, received another file or none; {_RESTORE}")
        copy = fetch(path)
        if hashed and hash_cache.remembered(copy) != note["sha256"]:
            if hash_cache.measure(copy) != note["sha256"]:
                raise ShardError(f"expected {path} as the build wrote it, received a damaged file; {_RESTORE}")
            if isinstance(folder, Path):
                hash_cache.save(folder)
    return copy


@contextlib.contextmanager
def _readable(path):
    try:
        yield
    except OSError as error:
        raise ShardError(f"expected a readable {path}, received: {error.strerror}; {_RESTORE}") from error


class Table:
    """The rows of an npy file, of which a part is read at a time: nothing is kept in memory.

    Args:
        path: `Path`, on this machine.
        dtype, rows: What they must be, and how many.
    Raises:
        ShardError: it holds others.
    """

    def __init__(self, path, dtype, rows):
        self.path, self.dtype, self.rows = path, dtype, rows
        try:
            with open(path, "rb") as file:
                held = *read_header(file), path.stat().st_size - file.tell()
                self._start = file.tell()
        except GARBLED as error:
            raise ShardError(f"expected a table in {path}, received another file; {_RESTORE}") from error
        if held != (dtype, (rows,), rows * dtype.itemsize):
            raise ShardError(f"expected {rows:,} rows of {dtype} in {path}, received another table; {_RESTORE}")

    def read(self, first, count):
        """Rows `first` to `first + count - 1`."""
        with _readable(self.path):
            rows = np.fromfile(self.path, self.dtype, count, offset=self._start + first * self.dtype.itemsize)
        if len(rows) < count:
            raise ShardError(f"expected {self.path} as it was when work began, received a shorter one; {_RESTORE}")
        return rows

    def chunks(self, first=0, count=None):
        """These rows, some of them at a time."""
        end = self.rows if count is None else first + count
        for place in range(first, end, ROWS_AT_ONCE):
            yield self.read(place, min(ROWS_AT_ONCE, end - place))


class StoredColumns(collections.abc.Mapping):
    """`ShardInfo.index` of one shard, read when asked for."""

    def __init__(self, table, first, count):
        self.table, self.first, self._count = table, first, count

    def __getitem__(self, column):
        if column not in self.table.dtype.names:
            raise KeyError(column)
        return self.table.read(self.first, self._count)[column].tolist()

    def __iter__(self):
        return (name for name in self.table.dtype.names if name != "size")

    def __len__(self):
        return len(self.table.dtype.names) - 1


class StoredSources(collections.abc.Sequence):
    """The sources of a large dataset, in order: a dict each, read from its line when asked for.

    Args:
        folder, plain: Of the dataset; what dataset.json says.
        splits: {split: [ShardInfo, ...]}.
    Raises:
        ShardError: the files are not as the build wrote them (of the lines only the size is looked at until all are
            read), or a line is not what the table says.
    """

    def __init__(self, folder, plain, splits):
        self._path, self.stored = folder / LINES, plain["sources"]
        files, self._labels, self._splits = self.stored["files"], len(plain["labels"]), plain["splits"]
        self.table = Table(require_file(folder, SOURCES, files[SOURCES]), SOURCE_ROW, self.stored["count"])
        self._shards = [shard.file for shard in in_order(splits)]
        if isinstance(folder, Path):  # from a URL they are copied when they are asked for
            require_file(folder, LINES, files[LINES], hashed=False)

    def __len__(self):
        return self.table.rows

    def __getitem__(self, number):
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        number = range(len(self))[number]
        before, row = self.table.read(max(0, number - 1), 2 if number else 1)[[0, -1]]
        start = int(before["end"]) if number else 0
        with _readable(self._path), open(fetch(self._path), "rb") as file:
            file.seek(start)
            return self._parse(file.read(int(row["end"]) - start), number, row)

    def __iter__(self):
        return self.select(lambda rows: np.ones(len(rows), bool))

    def select(self, wanted):
        """Those whose rows of the table `wanted` accepts: rows -> (N,) bool. Lines are compared by hash on the way."""
        digest, number, end = hashlib.sha256(), 0, 0
        with _readable(self._path), open(fetch(self._path), "rb") as file:
            for rows in self.table.chunks():
                lengths, end = np.diff(rows["end"], prepend=end).tolist(), rows["end"][-1]
                for row, length, taken in zip(rows, lengths, wanted(rows).tolist(), strict=True):
                    line = file.read(length)
                    digest.update(line)
                    if taken:
                        yield self._parse(line, number, row)
                    number += 1
        if digest.hexdigest() != self.stored["files"][LINES]["sha256"]:
            raise ShardError(f"expected {self._path} as the build wrote it, received a damaged file; {_RESTORE}")

    def _parse(self, line, number, row):
        try:
            source, place = json.loads(line), f"line {number + 1}"
            require_source(source, place, self._labels, self._splits)
            shard = None if row["shard"] < 0 else self._shards[row["shard"]]
            if (source["shard"], source["records"]) != (shard, row["records"]):
                raise MismatchError(place, f"{row['records']} records in {shard}", source)
        except (ValueError, RecursionError, MismatchError) as error:
            raise ShardError(
                f"expected line {number + 1} of {self._path} as the build wrote it, received another ({error}); "
                f"{_RESTORE}"
            ) from error
        return source
