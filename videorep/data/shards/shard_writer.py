"""Writes one TFRecord shard: temporary name, flush to disk, rename or upload; and notes where each record lies."""

import contextlib
import os
import tempfile
from pathlib import Path

import tensorflow as tf

from videorep.data.shards.dataset import ShardInfo
from videorep.data.shards.encode import encode_clip, encode_percept, locate_payload
from videorep.data.shards.hashes import hash_file
from videorep.data.shards.keys import NO_LABEL
from videorep.data.shards.manifest_schema import FRAMING_BYTES, HEADER_BYTES
from videorep.data.shards.records import EncodedClip
from videorep.errors import OutputError, ShardError
from videorep.storage import publish
from videorep.writing import FULL

TRAITS = ("height", "width", "channels", "features", "dtype", "compression", "frame_rate")


@contextlib.contextmanager
def output_errors(out):
    """Turns what the system says while writing into an OutputError with a remedy."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise _full(out) from error
    except tf.errors.OpError as error:
        raise OutputError(f"expected to write in {out}, received: {error.message}; check the path") from error
    except OSError as error:
        if error.errno in FULL:
            raise _full(out) from error
        raise OutputError(f"expected to write in {out}, received: {error.strerror}; choose another folder") from error


def _full(out):
    place = out if isinstance(out, Path) else f"{tempfile.gettempdir()} (TMPDIR)"  # no bucket is ever full
    return OutputError(
        f"expected room for the shards in {place}, received a full disk; free some and go on with --resume"
    )


class ShardWriter:
    """Writes the records of one shard.

    Args:
        folder, file: Where the finished shard goes, a `Path` or a `RemotePath`, and its name.
        temporary: Path for the unfinished one; on the file system of `folder`, if that is a `Path`.
        kind, labels: "clips" or "percepts"; class names in order of their index.
    """

    def __init__(self, folder, temporary, file, kind, labels):
        self._folder, self._file, self._temporary = folder, file, temporary
        self._kind, self._labels = kind, labels
        self._index = {"offset": [], "frames": [], "label": [], "frame_rate": []}
        if kind == "percepts":
            self._index["payload"] = []
        self._traits = {trait: set() for trait in TRAITS}
        self._size = 0
        with output_errors(folder):
            self._writer = tf.io.TFRecordWriter(str(temporary))

    @property
    def traits(self):
        """The values that the records' common properties took, sorted, as JSON values."""
        return {trait: sorted(values) for trait, values in self._traits.items()}

    def write(self, record):
        """Appends a `Clip`, an `EncodedClip` or a `Percept`.

        A ShardError says that its label is none of the labels, or that the format cannot hold it.
        """
        if record.label_index is not None and not 0 <= record.label_index < len(self._labels):
            raise ShardError(
                f"expected a label index below {len(self._labels)} for {record.path!r}, received {record.label_index}; "
                "give the names of all labels"
            )
        if self._kind == "clips":
            data = record.data if isinstance(record, EncodedClip) else encode_clip(record)
            self._note(record, "height", "width", "channels", "frame_rate")
        else:
            data = encode_percept(record)
            self._index["payload"].append(self._size + HEADER_BYTES + locate_payload(data))
            self._note(record, "compression", "frame_rate")
            self._traits["features"].add(record.array.shape[1])
            self._traits["dtype"].add(record.array.dtype.name)
        with output_errors(self._folder):
            self._writer.write(data)
        self._index["offset"].append(self._size)
        self._index["frames"].append(record.frames)
        self._index["label"].append(NO_LABEL if record.label_index is None else record.label_index)
        self._index["frame_rate"].append(float(record.frame_rate))
        self._size += len(data) + FRAMING_BYTES

    def _note(self, record, *traits):
        for trait in traits:
            self._traits[trait].add(getattr(record, trait))

    def finish(self):
        """Flushes the shard to disk and gives it its name; returns its `ShardInfo`."""
        with output_errors(self._folder):
            self._writer.close()
            with open(self._temporary, "rb") as file:
                os.fsync(file.fileno())
                crcs = [read_crc(file, end) for end in [*self._index["offset"][1:], self._size] if end]
            digest = hash_file(self._temporary)
            publish(self._temporary, self._folder / self._file)
        records = len(self._index["offset"])
        return ShardInfo(self._file, records, self._size, digest, self._index | {"crc": crcs})

    def discard(self):
        """Removes what is unfinished; does nothing after `finish`."""
        with contextlib.suppress(tf.errors.OpError, OSError):
            self._writer.close()
        with contextlib.suppress(OSError):
            self._temporary.unlink(missing_ok=True)


def read_crc(file, end):
    """The masked CRC-32C of the record that ends at `end`."""
    file.seek(end - 4)
    return int.from_bytes(file.read(4), "little")
