"""What a folder of shards holds, how it was made, and where each record lies. No TensorFlow."""

import dataclasses
from pathlib import Path

import numpy as np

from videorep.data.shards.hashes import hash_file
from videorep.data.shards.manifest_schema import FRAMING_BYTES, SCHEMA_VERSION
from videorep.errors import ShardError
from videorep.storage import RemotePath

MANIFEST = "dataset.json"
# What of a build's settings decides the percepts that a frame gets.
BACKBONE = ("backbone", "layer", "pool", "weights", "weights_sha256", "preprocessing", "stream", "flow_stack", "crop")
ENGINE = ("engine", "precision")


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
        """The split's `ShardInfo`s in order; a ShardError where there is no such split."""
        if split not in self.splits:
            remedy = "name one of these"
            if split == "validation":
                remedy = "build the shards of videos in folders train, validation and test"
            raise ShardError(
                f"expected split {split!r} in {self.folder}, received only {', '.join(self.splits)}; {remedy}"
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
        return (
            {key: settings[key] for key in (*BACKBONE, *ENGINE) if key in settings}
            if isinstance(settings, dict)
            else {}
        )

    @property
    def engine(self):
        """What computed the percepts and how precisely, as far as their build noted it."""
        return {key: self.backbone[key] for key in ENGINE if key in self.backbone}

    @property
    def provenance(self):
        """What a run records of the data it saw: dataset.json and the shards by hash, and what they were made by."""
        hashes = {shard.file: shard.sha256 for shards in self.splits.values() for shard in shards}
        known = {"path": str(self.folder), "name": self.name, "kind": self.kind, "backbone": self.backbone}
        known |= {"stages": self.made["stages"]} if "stages" in self.made else {}
        return known | {"manifest_sha256": hash_file(self.folder / MANIFEST), "shards": hashes}
