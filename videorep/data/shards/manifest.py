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
from videorep.data.shards.manifest_schema import SCHEMA_VERSION, require_schema
from videorep.data.shards.not_shards import what_is_file, what_lacks_manifest
from videorep.errors import ShardError
from videorep.storage import RemotePath, locate, write_text_durably

MOST_MANIFEST_BYTES = 1 << 29  # more than a million records take


def to_plain(dataset):
    """The keys and values of dataset.json, without its checksum."""
    values = {field.name: getattr(dataset, field.name) for field in dataclasses.fields(dataset)}
    del values["folder"]
    values["labels"] = list(dataset.labels)
    values["sources"] = list(dataset.sources)
    values["splits"] = {
        split: [dataclasses.asdict(shard) for shard in shards] for split, shards in dataset.splits.items()
    }
    return {"format": "videorep", "schema_version": values.pop("schema_version")} | values


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
    """Writes dataset.json into the dataset's folder, with a checksum over all the rest."""
    plain = to_plain(dataset)
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
    if type(version) is int and version > SCHEMA_VERSION:
        raise ShardError(
            f"expected schema version {SCHEMA_VERSION} or older in {path}, received {version}; install a newer videorep"
        )
    intact = checksum(plain) == stated
    try:
        require_schema(plain)
        _require_inside(folder, plain)
    except MismatchError as error:
        raise ShardError(f"{error}, in {path}; {_REBUILD}") from error
    return _from_plain(folder, plain), intact


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
    for shards in plain["splits"].values():
        for shard in shards:
            path = folder / shard["file"]
            if path.is_symlink() and os.path.dirname(os.path.realpath(path)) != home:
                raise MismatchError(shard["file"], f"a file in {folder}", "a link that leads out of it")


_REBUILD = "restore the file or rebuild with --overwrite"


def _from_plain(folder, plain):
    values = {key: value for key, value in plain.items() if key != "format"}
    values["labels"] = tuple(plain["labels"])
    values["sources"] = tuple(plain["sources"])
    values["splits"] = {
        split: tuple(ShardInfo(**shard) for shard in shards) for split, shards in plain["splits"].items()
    }
    return Dataset(folder=folder, **values)


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
