"""Reads and decodes records by number, from where dataset.json says: frames of clips, or windows of percepts.

Shards are checked by hash before work begins (`videorep.data.shards.verify`). While it goes on, every read looks
whether the file is still the same one (device, inode, size, time of modification) and gave every byte; the CRC of a
record is not computed again, since a window of a percept is a small part of it.
"""

import os
import zlib
from pathlib import Path

import numpy as np

from videorep.data.shards.dataset import MANIFEST
from videorep.data.shards.hash_cache import identify
from videorep.data.shards.images import decode_image
from videorep.data.shards.manifest_schema import HEADER_BYTES
from videorep.data.shards.parse import read_images
from videorep.errors import ShardError
from videorep.storage import fetch

GZIP_WINDOW_BITS = 31
INFLATED_AT_ONCE = 1 << 12  # compressed bytes; they give at most a thousand times as many


class RecordContents:
    """Decodes what one split's records hold.

    A record that does not hold what dataset.json says is a ShardError that names file, record and frame.
    """

    def __init__(self, dataset, split):
        self.index = dataset.index(split)
        self._dataset = dataset
        self._paths = dataset.paths(split)
        if dataset.kind == "percepts":
            self.dtype = np.dtype(dataset.dtype).newbyteorder("<")
            self._row = dataset.features * self.dtype.itemsize

    def decode_clip(self, number, label, images, height, width):
        """All frames of a clip that TensorFlow has parsed: (T, H, W, C) uint8."""
        self._require_label(number, label)
        if len(images) != self.index[number]["frames"]:
            raise self._broken(number, f"{len(images)} frames")
        return self._decode(number, images, (height, width), range(len(images)), self._dataset.channels or 3)

    def decode_percept(self, number, label, array):
        """All frames of a percept that TensorFlow has parsed: (T, D) float32."""
        self._require_label(number, label)
        raw = np.empty(int(self.index[number]["frames"]) * self._row, np.uint8)
        if not self._dataset.compression and len(array) != len(raw):
            raise self._broken(number, f"an array of {len(array):,} bytes")
        self._unpack(number, array, 0, raw)
        return raw.view(self.dtype).reshape(-1, self._dataset.features).astype(np.float32)

    def frame_labels(self, number, labels):
        """The labels of frames that TensorFlow has parsed: (T,) int32, or (0,) where the record has none."""
        fits = len(labels) in (0, self.index[number]["frames"])
        if not fits or ((labels < 0) | (labels >= len(self._dataset.labels))).any():
            raise self._broken(number, f"{len(labels)} labels of frames, or a label without a class")
        return labels

    def _require_label(self, number, label):
        if label != self.index[number]["label"]:
            raise self._broken(number, f"label {label}")

    def _decode(self, number, images, size, places, channels):
        stated = self._dataset.height, self._dataset.width
        if any(own is not None and own != other for own, other in zip(stated, size, strict=True)):
            raise self._broken(number, f"frames of {size[0]}x{size[1]} pixels")
        where = self._describe(number)
        frames = zip(images, places, strict=True)
        return np.stack([decode_image(image, size, channels, f"{where}: frame {place}") for image, place in frames])

    def _unpack(self, number, packed, start, raw):
        """Fills `raw` with the bytes of a percept's array from `start` on."""
        try:
            values = inflate(packed, start, len(raw)) if self._dataset.compression else packed[start:]
        except ValueError as error:
            raise self._broken(number, error) from error
        raw[...] = np.frombuffer(values, np.uint8)

    def _describe(self, number):
        row = self.index[number]
        return f"{self._paths[row['shard']]}: record {row['number']}"

    def _broken(self, number, received):
        return ShardError(
            f"expected what {MANIFEST} says in {self._describe(number)}, received {received}; "
            "videorep verify names the damage; restore the shard or rebuild with --overwrite"
        )


class RecordReader(RecordContents):
    """Reads one split's records by number; a ShardError too where a shard was changed or cannot be read.

    A shard at a URL is copied here when first read.
    """

    def __init__(self, dataset, split):
        super().__init__(dataset, split)
        paths = enumerate(self._paths)
        self._identities = {number: identify(os.stat(path)) for number, path in paths if isinstance(path, Path)}

    def clip_frames(self, number, places, channels=3):
        """Decodes the frames at `places` of one clip: (n, H, W, channels) uint8; places behind its end are left out."""
        row = self.index[number]
        serialized = self._read(row, row["offset"] + HEADER_BYTES, bytearray(row["size"]))
        places = [int(place) for place in places if place < row["frames"]]
        try:
            images, size = read_images(bytes(serialized), places, int(row["frames"]))
        except ValueError as error:
            raise self._broken(number, error) from error
        return self._decode(number, images, size, places, channels)

    def percept_windows(self, records, starts, length):
        """Frames `start` to `start + length - 1` of each percept, zeros behind its end: (B, length, D), as stored."""
        windows = np.zeros((len(records), length, self._dataset.features), self.dtype)
        for window, number, start in zip(windows, records, starts, strict=True):
            count = min(length, int(self.index[number]["frames"]) - int(start))
            self._read_frames(window[:count].reshape(-1).view(np.uint8), number, int(start) * self._row)
        return windows

    def _read_frames(self, raw, number, start):
        row = self.index[number]
        if not self._dataset.compression:
            self._read(row, row["payload"] + start, raw)
            return
        end = row["offset"] + HEADER_BYTES + row["size"]
        self._unpack(number, self._read(row, row["payload"], bytearray(end - row["payload"])), start, raw)

    def _read(self, row, position, buffer):
        """Fills a buffer from a place in a record's shard, and returns it."""
        path, view, count = self._paths[row["shard"]], memoryview(buffer), 0
        try:
            with open(fetch(path), "rb", buffering=0) as file:
                while count < len(view) and (got := os.preadv(file.fileno(), [view[count:]], position + count)):
                    count += got
                found = identify(os.fstat(file.fileno()))
        except OSError as error:
            raise ShardError(f"expected a readable {path}, received: {error.strerror}; restore it") from error
        if count < len(view) or self._identities.setdefault(int(row["shard"]), found) != found:
            raise ShardError(
                f"expected {path} as it was when work began, received a file that was changed since; "
                "restore it and go on with --resume"
            )
        return buffer


def inflate(packed, start, size):
    """`size` bytes from `start` on of what a gzip member holds, in little memory; a ValueError where it holds less."""
    stream, parts, place, end = zlib.decompressobj(GZIP_WINDOW_BITS), [], 0, start + size
    try:
        for first in range(0, len(packed), INFLATED_AT_ONCE):
            part = stream.decompress(packed[first : first + INFLATED_AT_ONCE])
            parts.append(part[max(0, start - place) : max(0, end - place)])
            place += len(part)
            if place >= end:
                return b"".join(parts)
    except zlib.error as error:
        raise ValueError("an array that does not decompress") from error
    raise ValueError(f"an array of {place:,} bytes")
