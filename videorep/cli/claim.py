"""Where a command may write its result."""

import tempfile
from pathlib import Path

import click

from videorep.errors import OutputError
from videorep.exports import FACTS
from videorep.storage import require_local


def claim_file(path, overwrite, *kinds):
    """Checks, before the work begins, that a result can be written to the file `path`; gives its Path, None for None.

    Raises:
        click.BadParameter: its name ends in none of `kinds`, such as ".png", where there are any.
        OutputError: it exists and may not be overwritten, has the name of a file that runs, shards or exports need, its
            folder is missing or cannot be written, or it is a URL.
    """
    if path is None:
        return None
    if kinds and Path(path).suffix.lower() not in kinds:
        wanted = f"{'one of ' if len(kinds) > 1 else ''}{', '.join(kinds)}"
        raise click.BadParameter(f"{str(path)!r} does not end in {wanted}", param_hint="'--out'")
    from videorep.data.shards.dataset import MANIFEST
    from videorep.data.shards.manifest_schema import SHARD
    from videorep.runs import CONFIG, METRICS, MODEL, PROVENANCE, STATE, SURPRISE

    require_local(path, OutputError)
    path, needed = Path(path), (CONFIG, PROVENANCE, METRICS, MODEL, STATE, SURPRISE, MANIFEST, FACTS.name)
    if path.is_dir() or (path.exists() and not overwrite):
        remedy = "choose another name" if path.is_dir() else "add --overwrite or choose another name"
        raise OutputError(f"expected a new file, received {path}, which exists; {remedy}")
    if path.name in needed or SHARD in path.name:
        raise OutputError(
            f"expected a name of its own for the result, received {path}, as runs, shards and exports call their own "
            "files; choose another name"
        )
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            return path
    except OSError as error:
        raise OutputError(
            f"expected a file in a folder that can be written, received {path}: {error.strerror}; choose another name"
        ) from error
