"""dataset.json, written and read: the file that tells what a folder of shards holds. No TensorFlow.

A folder without dataset.json is an unfinished build, so it is written last, under a temporary name first.
"""

import dataclasses
import json
import os
from pathlib import Path

from videorep.data.shards.dataset import MANIFEST, Dataset, ShardInfo
from videorep.data.shards.hashes import checksum
from videorep.data.shards.json_types import MismatchError
from videorep.data.shards.manifest_schema import RECORDS, TABLES, TABLES_VERSION, require_schema
from videorep.data.shards.not_shards import what_is_file, what_lacks_manifest
from videorep.data.shards.table_schema import require_tables
from videorep.data.shards.tables import (
    StoredColumns,
    StoredSources,
    Table,
    in_order,
    record_row,
    require_file,
    write_tables,
)
from videorep.errors import ShardError
from videorep.storage import RemotePath, locate, write_text_durably

MOST_MANIFEST_BYTES = 1 << 29  # more than a million records take
MOST_LISTED = 100_000  # sources or records that dataset.json lists itself: with more it is slow to read


def to_plain(dataset, stored=None):
    """The keys and values of dataset.json, without its checksum.

    `stored` is what stands in place of sources and index where those lie in files beside it.
    """
    if isinstance(dataset.sources, StoredSources):
        stored = dataset.sources.stored
    values = {field.name: getattr(dataset, field.name) for field in dataclasses.fields(dataset)}
    del values["folder"]
    values["labels"] = list(dataset.labels)
    values["sources"] = stored or list(dataset.sources)
    fields = [field.name for field in dataclasses.fields(ShardInfo) if not (stored and field.name == "index")]
    values["splits"] = {
        split: [{name: getattr(shard, name) for name in fields} for shard in shards]
        for split, shards in dataset.splits.items()
    }
    version = values.pop("schema_version")
    return {"format": "videorep", "schema_version": TABLES_VERSION if stored else version} | values


def _to_text(plain):
    """Indented JSON in which each shard, source and list of numbers takes one line."""

    def render(value, depth):
        pad = "  " * depth
        nested = isinstance(value, (dict, list)) and len(value) > 0 and depth < 4
        if not nested or (isinstance(value, list) and not isinstance(value[0], (dict, list))):
            return json.dumps(value)
        if isinstance(value, list):
            return "[\n" + ",\n".join(f"{pad}  {json.dumps(item)}" for item in value) + f"\n{pad}]"
        items = (f"{pad}  {json.dumps(key)}: {render(item, depth + 1)}" for key, item in value.items())
        return "{\n" + ",\n".join(items) + f"\n{pad}}}"

    return render(plain, 0) + "\n"


def save_dataset(dataset):
    """Writes dataset.json into the dataset's folder, with a checksum over all the rest.

    Where there are more than `MOST_LISTED` sources or records, they go into files beside it, before it.
    """
    stored, records = None, sum(shard.records for shard in in_order(dataset.splits))
    if max(len(dataset.sources), records) > MOST_LISTED:
        stored = write_tables(dataset.folder, dataset.kind, dataset.sources, dataset.splits)
    plain = to_plain(dataset, stored)
    write_text_durably(dataset.folder / MANIFEST, _to_text(plain | {"checksum": checksum(plain)}))


def read_manifest(folder):
    """Reads dataset.json without judging its checksum: `(Dataset, whether the checksum holds)`.

    Raises:
        ShardError: it is missing, is not what the schema says, or is of a newer one.
    """
    folder = locate(folder)
    path = folder / MANIFEST
    if isinstance(folder, Path) and folder.is_file():
        raise ShardError(f"expected a folder of shards at {folder}, received {what_is_file(folder)}")
    if not folder.is_dir():
        # tensorflow-io tells of whatever goes wrong while it reads S3 that nothing is there.
        check = "check the URL, the credentials and the network, or " if isinstance(folder, RemotePath) else ""
        raise ShardError(
            f"expected a folder of shards at {folder}, received nothing there; {check}run videorep build-shards"
        )
    if not path.exists():
        raise ShardError(f"expected {MANIFEST} in {folder}, received {what_lacks_manifest(folder)}")
    plain = _read_plain(path)
    stated, version = plain.pop("checksum", None), plain.get("schema_version")
    if type(version) is int and version > TABLES_VERSION:
        raise ShardError(
            f"expected schema version {TABLES_VERSION} or older in {path}, received {version}; install a newer videorep"
        )
    intact = checksum(plain) == stated
    try:
        require_schema(plain)
        _require_inside(folder, plain)
        return _from_plain(folder, plain), intact
    except MismatchError as error:
        raise ShardError(f"{error}, in {path}; {_REBUILD}") from error


def _read_plain(path):
    """The JSON object in a file, as plain values."""
    try:
        if not path.is_file() or path.stat().st_size > MOST_MANIFEST_BYTES:
            raise ValueError("no regular file, or too large a one")
        plain = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(plain, dict):
            raise ValueError("no object")
    except (ValueError, RecursionError) as error:
        raise ShardError(
            f"expected {path} as videorep wrote it, received a file that does not parse; {_REBUILD}"
        ) from error
    except OSError as error:
        raise ShardError(f"expected a readable {path}, received: {error.strerror}; check its permissions") from error
    return plain


def _require_inside(folder, plain):
    """No shard is a link that leads out of the folder."""
    if isinstance(folder, RemotePath):
        return
    home = os.path.realpath(folder)
    files = {shard["file"] for shards in plain["splits"].values() for shard in shards}
    try:
        with os.scandir(folder) as entries:
            links = [entry.name for entry in entries if entry.is_symlink()]  # asks nothing of what is none
    except OSError as error:
        raise ShardError(f"expected a readable {folder}, received: {error.strerror}; check its permissions") from error
    for file in files.union(TABLES).intersection(links):
        if os.path.dirname(os.path.realpath(folder / file)) != home:
            raise MismatchError(file, f"a file in {folder}", "a link that leads out of it")


_REBUILD = "restore the file or rebuild with --overwrite"


def _from_plain(folder, plain):
    values = {key: value for key, value in plain.items() if key != "format"}
    values["labels"] = tuple(plain["labels"])
    if plain["schema_version"] < TABLES_VERSION:
        values["sources"] = tuple(plain["sources"])
        values["splits"] = {
            split: tuple(ShardInfo(**shard) for shard in shards) for split, shards in plain["splits"].items()
        }
    else:
        values["splits"], values["sources"] = _open_tables(folder, plain)
    return Dataset(folder=folder, **values)


def _open_tables(folder, plain):
    """The shards and the sources of a large dataset."""
    note = plain["sources"]
    path = require_file(folder, RECORDS, note["files"][RECORDS])
    records, firsts, first = Table(path, record_row(plain["kind"]), note["records"]), {}, 0
    for shard in in_order(plain["splits"]):
        firsts[shard["file"]] = first
        first += shard["records"]
    if first != note["records"]:
        raise MismatchError("sources.records", f"{first}, as many as the shards have", note["records"])
    splits = {
        split: tuple(
            ShardInfo(**shard, index=StoredColumns(records, firsts[shard["file"]], shard["records"]))
            for shard in shards
        )
        for split, shards in plain["splits"].items()
    }
    sources = StoredSources(folder, plain, splits)
    require_tables(plain, splits, sources.table, records)
    return splits, sources


def load_dataset(path):
    """Reads what a folder of shards that a build has finished, or its URL, holds: its `Dataset`.

    Raises:
        ShardError: no such folder, an unfinished build, a newer schema, or a dataset.json that was edited or says what
            cannot be.
        StorageError: a URL of a kind that cannot be read with what is installed.
    """
    dataset, intact = read_manifest(path)
    if not intact:
        raise ShardError(
            f"expected {dataset.folder / MANIFEST} as the build wrote it, received an edited one, whose checksum does "
            f"not hold; {_REBUILD}"
        )
    return dataset
