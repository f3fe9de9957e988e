"""What was compared with its SHA-256 before: remembered in the process and in the user's cache folder. No TensorFlow.

A file is known again by device, inode, size and times. One that changed within `FRESH` before it was read could change
once more without its times telling, so that it is read again next time. The cache is a convenience: where it is
missing, damaged or cannot be written, files are read.
"""

import contextlib
import functools
import hashlib
import json
import os
import time
from pathlib import Path

from videorep.data.shards.hashes import hash_file
from videorep.storage import replacing

FRESH = 2_000_000_000  # nanoseconds: no file system keeps times more coarsely than FAT, 2 s
VERSION = 1

_known = {}  # path -> [identity, time of change, SHA-256]


def identify(status):
    """What tells one file's content from another's: device, inode, size and time of modification."""
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns]


def remembered(path):
    """The SHA-256 that the file had when it was last read, or None where it must be read."""
    path = os.path.abspath(path)
    status = os.stat(path)
    now = [identify(status), status.st_ctime_ns]
    if path not in _known:
        entry = _load(os.path.dirname(path)).get(path)
        if entry is not None:
            _known[path] = entry
    *then, digest, settled = _known.get(path, [None, None, None, False])
    return digest if settled and then == now else None


def measure(path):
    """SHA-256 of a file, read now, and remembered in this process."""
    began = time.time_ns()
    before = os.stat(path)
    digest = hash_file(Path(path))
    after = os.stat(path)
    stable = identify(before) == identify(after) and before.st_ctime_ns == after.st_ctime_ns
    settled = stable and max(after.st_mtime_ns, after.st_ctime_ns) < began - FRESH
    _known[os.path.abspath(path)] = [identify(before), before.st_ctime_ns, digest, settled]
    return digest


def save(folder):
    """Writes down what is known of a folder's files."""
    folder = os.path.abspath(folder)
    entries = {path: entry for path, entry in _known.items() if os.path.dirname(path) == folder and entry[-1]}
    with contextlib.suppress(OSError, RuntimeError):
        place = _cache_file(folder)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        known = {"version": VERSION, "folder": folder, "files": _load(folder) | entries}
        with replacing(place, shared=True) as temporary:
            temporary.write_text(json.dumps(known))


def _cache_file(folder):
    """The cache of one folder; it is named by the folder's path, so that folders do not wait for one another."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(home) if os.path.isabs(home) else Path.home() / ".cache"
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()
    return home / "videorep" / "verified" / f"{name}.json"


def _load(folder):
    """What the cache says of a folder's files; nothing where it is missing or is not as it was written."""
    try:
        file = _cache_file(folder)
        return _read(file, folder, *identify(os.stat(file)))
    except (OSError, RuntimeError):
        return {}


@functools.lru_cache(maxsize=4)
def _read(file, folder, *identity):
    """What a cache file of this identity says: each shard of a folder asks for it."""
    try:
        plain = json.loads(file.read_bytes())
        if plain["version"] != VERSION or plain["folder"] != folder:
            return {}
        return {path: entry for path, entry in plain["files"].items() if _is_entry(entry)}
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _is_entry(entry):
    return (
        isinstance(entry, list)
        and list(map(type, entry)) == [list, int, str, bool]
        and list(map(type, entry[0])) == [int] * 4
    )
