"""What is checked before shards are read: that they are there, and that records lie where dataset.json says."""

import itertools
import os
import stat
from pathlib import Path

from videorep.data.shards.dataset import MANIFEST
from videorep.data.shards.manifest_schema import FRAMING_BYTES
from videorep.errors import ShardError


def require_files(dataset, split):
    """Raises a ShardError where a shard of a split is missing or of another size; hashes are `verify`'s business."""
    for path, shard in zip(dataset.paths(split), dataset.shards(split), strict=True):
        size = _size(path)
        if size is None:
            raise ShardError(
                f"expected {len(dataset.shards(split))} shards of split {split!r} in {dataset.folder}, "
                f"received a folder without {shard.file}; restore it or rebuild with --overwrite"
            )
        if size != shard.bytes:
            raise ShardError(
                f"expected {path} to have {shard.bytes:,} bytes, received {size:,}; "
                "videorep verify names the damage; restore the file or rebuild with --overwrite"
            )


def _size(path):
    """Bytes of a file; None where there is none."""
    if not isinstance(path, Path):
        return path.stat().st_size if path.is_file() else None
    try:
        status = os.stat(path)  # once: there may be a hundred thousand
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def require_framing(path, shard):
    """Raises a ShardError where a shard cannot be read, or its records do not lie where dataset.json says.

    Call it before TensorFlow reads the file: it makes room for whatever length a record states.
    """
    bounds = itertools.pairwise([*shard.index["offset"], shard.bytes])
    try:
        with path.open("rb") as file:
            for number, (offset, end) in enumerate(bounds):
                file.seek(offset)
                length = int.from_bytes(file.read(8), "little")
                expected = end - offset - FRAMING_BYTES
                if length != expected:
                    raise ShardError(
                        f"{path.name}: record {number}: expected {expected:,} bytes as {MANIFEST} says, "
                        f"received a length of {length:,}; restore the file or rebuild with --overwrite"
                    )
    except OSError as error:
        raise ShardError(f"expected a readable {path}, received: {error.strerror}; restore it") from error
