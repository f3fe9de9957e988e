"""SHA-256 of files and of plain values, by which shards, runs and exports know what they were made from."""

import hashlib
import json

HASH_CHUNK = 1 << 20


def hash_file(path, beat=None):
    """SHA-256 of a `Path` or `RemotePath`, in hexadecimal; `beat` is called now and then, to show life."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(HASH_CHUNK):
            digest.update(chunk)
            if beat is not None:
                beat()
    return digest.hexdigest()


def checksum(values):
    """SHA-256 over the canonical JSON of plain values: keys sorted, no spaces, ASCII."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
