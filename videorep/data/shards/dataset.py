"""What a folder of shards holds, how it was made, and where each record lies. No TensorFlow."""

import dataclasses
import functools
import itertools
from pathlib import Path

import numpy as np

from videorep.data.shards.hashes import hash_file
from videorep.data.shards.manifest_schema import SCHEMA_VERSION
from videorep.data.shards.tables import StoredColumns, StoredSources, tabulate_records, tabulate_sources
from videorep.errors import ShardError
from videorep.storage import RemotePath

MANIFEST = "dataset.json"
# What of a build's settings decides the percepts that a frame gets.
BACKBONE = ("backbone", "layer", "pool", "weights", "weights_sha256", "preprocessing", "stream", "flow_stack", "crop")
ENGINE = ("engine", "precision")
INDEX_ROW = [(name, np.int32) for name in ("shard", "number", "size", "frames", "label", "source", "video")]
INDEX_ROW += [("crc", np.uint32), ("offset", np.int64), ("payload", np.int64), ("frame_rate", np.float64)]


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
            ("written" or "left out"), reason, records, shard, and what the builder told of it. Of a large dataset each
            is read from a file when it is asked for (`tables.StoredSources`).
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
    sources: tuple | StoredSources
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

    def written(self, split):
        """The sources that the records of a split came of, in order."""
        first, end = self._shard_numbers(split)
        return self._select(lambda rows: (rows["shard"] >= first) & (rows["shard"] < end))

    def flawed(self):
        """The sources that were left out, or of which something else is to be told, in order."""
        return self._select(lambda rows: rows["flawed"])

    def _select(self, wanted):
        if isinstance(self.sources, StoredSources):
            return self.sources.select(wanted)
        return itertools.compress(self.sources, wanted(*self._source_tables()))

    def _shard_numbers(self, split):
        """The number of the first shard of a split in the tables, and of one past its last."""
        first = sum(len(shards) for other, shards in self.splits.items() if other < split)
        return first, first + len(self.shards(split))

    def index(self, split):
        """The split's records in order, as one NumPy structured array that is not to be written to.

        Fields: shard (number in the split), number (in the shard), size (of the record's data), frames, label, source
        (number in `sources`), video (number of the source's path among those of all sources, in order of first
        appearance), int32; crc, uint32; offset, payload (0 for clips), int64; and frame_rate, float64.
        """
        if split not in self._indices:
            self._indices[split] = self._make_index(split)
        return self._indices[split]

    @functools.cached_property
    def _indices(self):
        return {}

    def _make_index(self, split):
        shards, (number, end) = self.shards(split), self._shard_numbers(split)
        counts = np.array([shard.records for shard in shards], np.int64)
        rows, firsts, place, source = np.zeros(counts.sum(), INDEX_ROW), np.cumsum(counts) - counts, 0, 0
        for table in self._source_tables():
            members = np.flatnonzero((table["shard"] >= number) & (table["shard"] < end))
            of = np.repeat(members, table["records"][members])
            part = rows[place : place + len(of)]
            part["source"], part["video"], part["shard"] = source + of, table["video"][of], table["shard"][of] - number
            part["number"] = np.arange(place, place + len(of)) - firsts[part["shard"]]
            source, place = source + len(table), place + len(of)
        place = 0
        for records in self._record_tables(shards):
            for column in records.dtype.names:
                rows[column][place : place + len(records)] = records[column]
            place += len(records)
        rows.flags.writeable = False
        return rows

    def _source_tables(self):
        """SOURCE_ROW of all sources, some of them at a time."""
        stored = isinstance(self.sources, StoredSources)
        return self.sources.table.chunks() if stored else [tabulate_sources(self.sources, self.splits)]

    def _record_tables(self, shards):
        """The rows of the records of neighbouring shards, some of them at a time."""
        index = shards[0].index
        if isinstance(index, StoredColumns):
            return index.table.chunks(index.first, sum(shard.records for shard in shards))
        return [tabulate_records(shards, self.kind)]

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
