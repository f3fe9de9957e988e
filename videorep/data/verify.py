"""Checks that shards are what their build wrote: by hash before training, record by record for `videorep verify`.

A TFRecord record is framed by its length, the length's masked CRC-32C and, behind the data, the data's. Where a file
differs from its SHA-256, these name the records that are damaged; the CRCs in dataset.json name those that are whole
but not the build's.
"""

import struct
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tensorflow as tf

from videorep.data.building import SHARD_PATTERN
from videorep.data.dataset import FRAMING_BYTES, HEADER_BYTES, MANIFEST, hash_file, read_manifest
from videorep.data.record_faults import find_faults
from videorep.data.shards import require_files
from videorep.errors import ShardError
from videorep.progress import SilentProgress
from videorep.storage import fetch, locate

HASH_THREADS = 8


def require_sound(dataset, split):
    """Reads every byte of a split's shards and compares it with dataset.json; call it before work begins.

    What lies at a URL is copied to this machine for that, and read from there from then on.

    Args:
        dataset: `Dataset`.
        split: Name of the split.
    Raises:
        ShardError: a shard is missing or differs from what the build wrote; names the file and the first bad record.
    """
    require_files(dataset, split)
    paths = dataset.paths(split)
    with ThreadPoolExecutor(HASH_THREADS) as pool:
        hashes = list(pool.map(lambda path: hash_file(fetch(path)), paths))
    for path, shard, digest in zip(paths, dataset.shards(split), hashes, strict=True):
        if digest != shard.sha256:
            damage = next(iter(_find_damage(fetch(path), shard)), "its SHA-256 differs")
            raise ShardError(
                f"expected {path} as the build wrote it, received a damaged file ({damage}); "
                "restore the file or rebuild with --overwrite"
            )


def verify_dataset(path, progress=None):
    """Compares every shard and record with dataset.json.

    Args:
        path: Folder of shards, or its URL.
        progress: A reporter of `videorep.progress`, or None for silence.
    Returns:
        One sentence per problem, each with the file and, where there is one, the number of the record (from 0); empty
        if all is well.
    Raises:
        ShardError: there is no dataset.json that can be read.
    """
    folder = locate(path)
    dataset, intact = read_manifest(folder)
    if not intact:
        return [f"{MANIFEST}: its checksum does not hold, it was edited; {_RESTORE}", *_check_framing_alone(folder)]
    expected = {shard.file: shard for shards in dataset.splits.values() for shard in shards}
    problems = [
        f"{found.name}: not a shard of this dataset; remove it"
        for found in sorted(folder.glob(SHARD_PATTERN))
        if found.name not in expected
    ]
    reporter, sound = SilentProgress() if progress is None else progress, []
    with reporter.task("Comparing hashes", len(expected), "shards") as advance:
        for file, shard in expected.items():
            damage = _compare_file(folder / file, shard)
            problems += [f"{file}: {fault}" for fault in damage]
            if not damage:
                sound.append(shard)
            advance(1, note=file)
    with reporter.task("Verifying records", sum(shard.records for shard in sound), "records") as advance:
        problems += _check_records(dataset, sound, advance)
    return problems


_RESTORE = "restore it or rebuild with --overwrite"


def _check_framing_alone(folder):
    """The damage that the files' own CRCs tell, for a folder whose dataset.json cannot be trusted."""
    for path in sorted(folder.glob(SHARD_PATTERN)):
        yield from (f"{path.name}: {fault}" for _, fault, _ in walk_records(path) if fault)


def _compare_file(path, shard):
    if not path.is_file():
        return [f"missing; {_RESTORE}"]
    if hash_file(path) == shard.sha256:
        return []
    return _find_damage(path, shard) or [f"its SHA-256 differs from that in {MANIFEST}; {_RESTORE}"]


def _find_damage(path, shard):
    """Names what differs between a shard file and its entry in dataset.json."""
    crcs, problems, number = shard.index["crc"], [], -1
    for number, fault, crc in walk_records(path):
        if fault:
            problems.append(fault)
        elif number >= len(crcs):
            problems.append(f"record {number}: more than the {len(crcs)} records that the build wrote")
        elif crc != crcs[number]:
            problems.append(f"record {number}: whole, but not the one that the build wrote; is it from another build?")
    if number + 1 < len(crcs) and not problems:
        problems.append(f"record {number + 1}: missing, the file ends before it")
    return problems


def walk_records(path):
    """Walks the framing of a TFRecord file: yields (number, what is wrong or "", masked CRC of the data).

    Stops at a record whose length cannot be trusted, since nothing tells where the next one begins.
    """
    size, offset, number = path.stat().st_size, 0, 0
    with path.open("rb") as file, tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder) / "record"
        while offset < size:
            header = file.read(HEADER_BYTES)
            if len(header) < HEADER_BYTES:
                yield number, f"record {number}: cut off in its length field", None
                return
            if header[8:] != _frame(header[:8], scratch)[-4:]:
                yield number, f"record {number}: its length field is damaged, nothing behind it can be read", None
                return
            (length,) = struct.unpack("<Q", header[:8])
            if offset + FRAMING_BYTES + length > size:
                yield number, f"record {number}: cut off, {size - offset:,} of {FRAMING_BYTES + length:,} bytes", None
                return
            data, footer = file.read(length), file.read(4)
            whole = footer == _frame(data, scratch)[-4:]
            yield (
                number,
                "" if whole else f"record {number}: damaged, its CRC does not hold",
                struct.unpack("<I", footer)[0],
            )
            offset += FRAMING_BYTES + length
            number += 1


def _frame(data, scratch):
    """The bytes that TensorFlow's own writer puts into a file for one record."""
    with tf.io.TFRecordWriter(str(scratch)) as writer:
        writer.write(data)
    return scratch.read_bytes()


def _check_records(dataset, shards, advance):
    """What the records of sound files say against the schema and dataset.json; TensorFlow checks their CRCs."""
    if not shards:
        return
    records = tf.data.TFRecordDataset([str(dataset.folder / shard.file) for shard in shards], buffer_size=1 << 20)
    records = records.as_numpy_iterator()
    for shard in shards:
        for number, (frames, label) in enumerate(zip(shard.index["frames"], shard.index["label"], strict=True)):
            try:
                serialized = next(records)
            except (tf.errors.OpError, StopIteration) as error:
                yield f"{shard.file}: record {number}: cannot be read: {error}"
                return
            faults = find_faults(serialized, dataset, frames, label)
            yield from (f"{shard.file}: record {number}: {fault}" for fault in faults)
            advance(1, note=shard.file)
