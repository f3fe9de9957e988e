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

from videorep.data.shards import hash_cache
from videorep.data.shards.build_folder import SHARD_PATTERN
from videorep.data.shards.dataset import MANIFEST
from videorep.data.shards.guards import require_files, require_framing
from videorep.data.shards.hashes import hash_file
from videorep.data.shards.manifest import read_manifest
from videorep.data.shards.manifest_schema import FRAMING_BYTES, HEADER_BYTES, MOST_BYTES
from videorep.data.shards.record_faults import find_faults
from videorep.errors import ShardError
from videorep.progress import SilentProgress
from videorep.storage import fetch, locate

HASH_THREADS = 8


def require_sound(dataset, split, hashed=True):
    """Compares a split's shards with dataset.json, every byte of those that are not known; call it before work begins.

    What was compared once is known again for as long as its file does not change (`videorep.data.shards.hash_cache`).
    What lies at a URL is copied to this machine for that, and read from there from then on. Not `hashed`, as in a dry
    run, only looks whether every shard is there and has its size.

    Raises:
        ShardError: a shard is missing or differs from what the build wrote; names the file and the first bad record.
    """
    require_files(dataset, split)
    if not hashed:
        return
    shards = dict(zip(dataset.paths(split), dataset.shards(split), strict=True))
    with ThreadPoolExecutor(HASH_THREADS) as pool:
        unknown = [path for path, shard in shards.items() if hash_cache.remembered(fetch(path)) != shard.sha256]
        hashes = list(pool.map(lambda path: hash_cache.measure(fetch(path)), unknown))
    for path, digest in zip(unknown, hashes, strict=True):
        if digest != shards[path].sha256:
            damage = next(iter(_find_damage(fetch(path), shards[path])), "its SHA-256 differs")
            raise ShardError(
                f"expected {path} as the build wrote it, received a damaged file ({damage}); "
                "restore the file or rebuild with --overwrite"
            )
        require_framing(fetch(path), shards[path])
    if unknown and isinstance(dataset.folder, Path):
        hash_cache.save(dataset.folder)


def verify_dataset(path, progress=None, decode=False):
    """Compares every shard and record with dataset.json; reads every byte, whatever is known of the files.

    Returns:
        One sentence per problem, each with the file and, where there is one, the number of the record (from 0); with
        `decode` also of images that do not decode and percepts that do not decompress.
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
    problems += _check_sources(dataset)
    with reporter.task("Comparing hashes", len(expected), "shards") as advance:
        for file, shard in expected.items():
            damage = _compare_file(folder / file, shard)
            problems += [f"{file}: {fault}" for fault in damage]
            if not damage:
                damage = _check_framing(folder / file, shard)
                problems += damage
            if not damage:
                sound.append(shard)
            advance(1, note=file)
    with reporter.task("Verifying records", sum(shard.records for shard in sound), "records") as advance:
        problems += _check_records(dataset, sound, decode, advance)
    return problems


_RESTORE = "restore it or rebuild with --overwrite"


def _check_framing_alone(folder):
    """The damage that the files' own CRCs tell, for a folder whose dataset.json cannot be trusted."""
    for path in sorted(folder.glob(SHARD_PATTERN)):
        if path.is_file():
            yield from (f"{path.name}: {fault}" for _, fault, _ in walk_records(path) if fault)


def _check_sources(dataset):
    """What is wrong with the file of sources of a large dataset, whose lines are looked at nowhere else as a whole."""
    try:
        for _ in dataset.sources:
            pass
    except ShardError as error:
        return [str(error)]
    return []


def _check_framing(path, shard):
    try:
        require_framing(path, shard)
    except ShardError as error:
        return [str(error)]
    return []


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
            if length > MOST_BYTES:
                yield number, f"record {number}: {length:,} bytes long, which no record can be", None
                return
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


def _check_records(dataset, shards, decode, advance):
    """What the records of sound files say against the schema and dataset.json; TensorFlow checks their CRCs."""
    for shard in shards:
        records = tf.data.TFRecordDataset(str(dataset.folder / shard.file), buffer_size=1 << 20).as_numpy_iterator()
        columns = [shard.index[key] for key in ("offset", "frames", "label", "payload") if key in shard.index]
        for number, entry in enumerate(zip(*columns, strict=True)):
            try:
                serialized = next(records)
            except (tf.errors.OpError, StopIteration) as error:
                reason = getattr(error, "message", "the file ends before it").splitlines()[0]
                yield f"{shard.file}: record {number}: cannot be read: {reason}"
                break
            faults = find_faults(serialized, dataset, entry, decode)
            yield from (f"{shard.file}: record {number}: {fault}" for fault in faults)
            advance(1, note=shard.file)
