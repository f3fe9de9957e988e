"""dataset.json: what a folder of shards holds, how it was made, and where each record lies. No TensorFlow.

A folder without dataset.json is an unfinished build, so it is written last, under a temporary name first.
"""

import dataclasses
import hashlib
import itertools
import json
import os
from pathlib import Path

import numpy as np

from videorep.data.dataset_schema import (
    FRAMING_BYTES,
    HEADER_BYTES,
    KINDS,
    LEFT_OUT,
    SCHEMA_VERSION,
    WRITTEN,
    require_schema,
    shard_name,
)
from videorep.data.json_types import MismatchError
from videorep.data.video_files import looks_like_video
from videorep.errors import ShardError
from videorep.storage import RemotePath, locate, write_text_durably

__all__ = [
    "FRAMING_BYTES",
    "HEADER_BYTES",
    "KINDS",
    "LEFT_OUT",
    "MANIFEST",
    "SCHEMA_VERSION",
    "WRITTEN",
    "Dataset",
    "ShardInfo",
    "checksum",
    "hash_file",
    "load_dataset",
    "read_manifest",
    "save_dataset",
    "shard_name",
]

MANIFEST = "dataset.json"
MOST_MANIFEST_BYTES = 1 << 29  # more than a million records take
HASH_CHUNK = 1 << 20
MANY_FILES = 1000  # to look at, for an error message
# What of a build's settings decides the percepts that a frame gets.
BACKBONE = ("backbone", "layer", "weights", "weights_sha256", "preprocessing", "stream", "flow_stack", "crop")


@dataclasses.dataclass(frozen=True)
class ShardInfo:
    """One shard file.

    `index` has one entry per record in each of its lists: "offset" of the record in the file, "frames", "label" (-1:
    none), "frame_rate", "crc" (the masked CRC-32C at the end of the record) and, for percepts, "payload": the offset in
    the file of the array's bytes, so that a reader can fetch a window of frames without the rest.
    """

    file: str
    records: int
    bytes: int
    sha256: str
    index: dict


@dataclasses.dataclass(frozen=True)
class Dataset:
    """What dataset.json says. `folder` is where it was read; every other field is a key of the file.

    Args:
        sources: One dict per source, in the order of the shards: path, split, label_index, sha256, start, end, status
            ("written" or "left out"), reason, records, shard, and what the builder told of it.
        height, width, channels: Of every image; None where they differ, and for percepts.
        features, dtype, compression: Of every percept; None for clips.
        frame_rate: Of every record; None where they differ.
        made: How: command, seed, versions, settings.
        statistics: Of percepts, over the frames of one split: mean, deviation and share of zeros per feature.
    """

    folder: Path | RemotePath
    kind: str
    name: str
    labels: tuple
    splits: dict
    sources: tuple
    height: int | None
    width: int | None
    channels: int | None
    features: int | None
    dtype: str | None
    compression: str | None
    frame_rate: float | None
    made: dict
    fingerprint: str
    statistics: dict | None = None
    schema_version: int = SCHEMA_VERSION

    def shards(self, split):
        """The split's `ShardInfo`s in order.

        Raises:
            ShardError: there is no such split.
        """
        if split not in self.splits:
            raise ShardError(
                f"expected split {split!r} in {self.folder}, received only {', '.join(self.splits)}; name one of these"
            )
        return self.splits[split]

    def paths(self, split):
        """The split's shard files in order."""
        return [self.folder / shard.file for shard in self.shards(split)]

    def index(self, split):
        """The split's records in order, as one NumPy structured array.

        Fields: shard (number in the split), number (in the shard), offset, size (of the record's data), frames, label,
        crc, source (number in `sources`), payload (0 for clips), all int64, and frame_rate, float64.
        """
        columns = ("shard", "number", "offset", "size", "frames", "label", "crc", "source", "payload")
        types = [(name, np.int64) for name in columns] + [("frame_rate", np.float64)]
        shards = self.shards(split)
        rows = np.zeros(sum(shard.records for shard in shards), types)
        rows["source"] = [
            number
            for number, source in enumerate(self.sources)
            if source["split"] == split
            for _ in range(source["records"])
        ]
        first = 0
        for number, shard in enumerate(shards):
            part = rows[first : first + shard.records]
            part["shard"], part["number"] = number, np.arange(shard.records)
            for column, values in shard.index.items():
                part[column] = values
            part["size"] = np.diff([*shard.index["offset"], shard.bytes]) - FRAMING_BYTES
            first += shard.records
        return rows

    @property
    def backbone(self):
        """The convnet that the percepts came of, as far as their build noted it: {} for clips and others' features."""
        settings = self.made.get("settings")
        return {key: settings[key] for key in BACKBONE if key in settings} if isinstance(settings, dict) else {}

    @property
    def provenance(self):
        """What a run records of the data it saw: dataset.json and the shards by hash, and what percepts came of."""
        hashes = {shard.file: shard.sha256 for shards in self.splits.values() for shard in shards}
        known = {"path": str(self.folder), "name": self.name, "kind": self.kind, "backbone": self.backbone}
        return known | {"manifest_sha256": hash_file(self.folder / MANIFEST), "shards": hashes}


def hash_file(path):
    """SHA-256 of a file, in hexadecimal; `path` is a `Path` or a `RemotePath`."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(HASH_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def checksum(values):
    """SHA-256 over the canonical JSON of plain values: keys sorted, no spaces, ASCII."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


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
        raise ShardError(f"expected a folder of shards at {folder}, received {_what_is_file(folder)}")
    if not folder.is_dir():
        # tensorflow-io tells of whatever goes wrong while it reads S3 that nothing is there.
        check = "check the URL, the credentials and the network, or " if isinstance(folder, RemotePath) else ""
        raise ShardError(
            f"expected a folder of shards at {folder}, received nothing there; {check}run videorep build-shards"
        )
    if not path.exists():
        raise ShardError(f"expected {MANIFEST} in {folder}, received {_what_lacks_manifest(folder)}")
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


def _what_lacks_manifest(folder):
    """What a folder without dataset.json is, and the remedy."""
    if (folder / "config.json").exists():
        return "the folder of a run; name a folder of shards"
    if not any(folder.iterdir()):
        return "an empty folder; run videorep build-shards"
    if (folder / ".build").exists() or any(folder.glob("*.tfrecord-*")):
        return "an unfinished build; give the build command again with --resume"
    if isinstance(folder, Path) and _holds_videos(folder):
        return f"a folder of videos; make shards of it: videorep build-shards clips {folder} --out SHARDS"
    return "another folder; name one that videorep build-shards has made"


def _what_is_file(path):
    """What a file where a folder of shards is wanted is, and the remedy."""
    if looks_like_video(path.name):
        return f"a video; make shards of its folder: videorep build-shards clips {path.parent} --out SHARDS"
    if path.name == MANIFEST or ".tfrecord-" in path.name:
        return "a file within one; name the folder"
    return "a file; name a folder that videorep build-shards has made"


def _holds_videos(folder):
    """Whether a video is among the first files below a folder."""
    files = (name for _, _, names in os.walk(folder) for name in names)
    return any(map(looks_like_video, itertools.islice(files, MANY_FILES)))


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
    """Reads what a folder of shards holds.

    Args:
        path: Folder that a build has finished, or its URL.
    Returns:
        `Dataset`.
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
