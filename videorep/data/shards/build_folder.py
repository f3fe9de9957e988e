"""The folder that a build writes into: whether it is free, who writes there, what was begun, what may be removed."""

import contextlib
import json
import os
import re
import secrets
from pathlib import Path

from videorep.data.shards.dataset import MANIFEST
from videorep.data.shards.hashes import checksum
from videorep.data.shards.manifest import load_dataset, read_manifest
from videorep.data.shards.manifest_schema import SHARD, TABLES
from videorep.data.shards.shard_writer import output_errors
from videorep.errors import ConfigError, OutputError, ShardError
from videorep.locking import alone_in, exclusive
from videorep.storage import locate, remove_folder, write_text_durably

BUILD_FOLDER = ".build"
PLAN_FILE = "plan.json"
SHARD_PATTERN = f"*{SHARD}[0-9]*-of-[0-9]*"
SHARD_NAME = re.compile(r"[A-Za-z0-9._-]+\.tfrecord-\d{5,}-of-\d{5,}")


def require_free(out, resume, overwrite, dry_run=False, shared=False):
    """Checks, without writing, that shards can go into the folder `out`: it is new or empty, or an option fits it.

    A dry run does not look whether another process is writing there, and does not keep one from it for a moment;
    `shared` lets the parts of one build write there together.

    Returns:
        Whether there are shards, finished or not.
    Raises:
        ConfigError: both options.
        OutputError: it holds other files, or shards and neither option was given, or another process is writing there.
    """
    if resume and overwrite:
        raise ConfigError("expected --resume or --overwrite, received both; give the one that you mean")
    out = locate(out)
    with output_errors(out):
        if not out.exists() or not any(out.iterdir()):
            return False
        finished, begun = (out / MANIFEST).exists(), (out / BUILD_FOLDER).exists()
        if not (finished or begun):
            raise OutputError(
                f"expected an empty or new folder, received {out}, which holds other files; choose another"
            )
        if isinstance(out, Path) and (out / BUILD_FOLDER).is_symlink():
            raise OutputError(
                f"expected a folder {BUILD_FOLDER} of its own in {out}, received a symbolic link, through which files "
                "elsewhere would be written or removed; remove the link"
            )
        if begun and not dry_run and isinstance(out, Path):
            with exclusive(out, shared):
                pass
        if not (resume or overwrite):
            what = "finished shards" if finished else "an unfinished build"
            raise OutputError(
                f"expected an empty or new folder, received {out}, which holds {what}; "
                "continue it with --resume or replace it with --overwrite"
            )
    return True


@contextlib.contextmanager
def writing_in(out, part=None):
    """Makes the folder and keeps other processes out, but for other parts of one; at a URL there is nothing to do."""
    with contextlib.ExitStack() as stack:
        if isinstance(out, Path):
            with output_errors(out):
                stack.enter_context(alone_in(out, shared=part is not None))
                if part is not None:
                    stack.enter_context(alone_in(out / BUILD_FOLDER / f"part-{part.number}-of-{part.of}"))
        yield


def open_folder(out, began, resume, overwrite, alone=True):
    """Makes `out` ready to be written; returns the Dataset if it is finished already.

    `began` takes over what the first, interrupted run wrote down, so that the result does not tell of the interruption.
    Who is not `alone` there must have the versions that the build was begun with, or bytes could differ unnoticed.
    """
    occupied = require_free(out, resume, overwrite, dry_run=True)  # the lock is held
    with output_errors(out):
        if overwrite and occupied:
            _remove_shards(out, began["shards"])
        if (out / MANIFEST).exists():
            dataset = load_dataset(out)
            _require_same_plan(out, dataset.fingerprint, began)
            remove_folder(out / BUILD_FOLDER)
            return dataset
        if not (out / BUILD_FOLDER / PLAN_FILE).exists():
            _begin(out / BUILD_FOLDER, began)
        elif alone and isinstance(out, Path):
            for rest in (out / BUILD_FOLDER).glob("*.tmp"):  # of builds that were killed
                rest.unlink()
        first = _read_plan(out)
        _require_same_plan(out, first["fingerprint"], began, first.get("parts"))
        versions = began["made"]["versions"]
        if first["made"]["versions"] != versions and not alone:
            raise ShardError(
                f"expected the versions that {out} was begun with ({first['made']['versions']}), received {versions}; "
                "install those, or go on with --resume without parts"
            )
        if first["made"]["versions"] != versions:
            first["made"]["resumed_with"] = versions
        began.update(first)
    return None


def _begin(folder, began):
    """Writes down the plan, unless another part is quicker, or leaves nothing behind."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not isinstance(folder, Path):
            write_note(folder / PLAN_FILE, began)
            return
        own = folder / f"{secrets.token_hex(8)}-{PLAN_FILE}"
        write_note(own, began)
        try:
            os.link(own, folder / PLAN_FILE)  # which never replaces another's
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links
            own.replace(folder / PLAN_FILE)
        own.unlink(missing_ok=True)
    except BaseException:
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise


def _read_plan(out):
    """What `_describe_plan` made of the build that was begun in `out`."""
    path = out / BUILD_FOLDER / PLAN_FILE
    plan = read_note(path)
    if plan is None:
        raise ShardError(f"expected {path} as videorep wrote it, received another file; start over with --overwrite")
    return plan


def write_note(path, values):
    """Writes down what a later run is to know of a build: a dict of plain values, with a checksum over them."""
    write_text_durably(path, json.dumps(values | {"checksum": checksum(values)}) + "\n", shared=True)


def read_note(path):
    """The dict that `write_note` wrote, or None where the file is not as it was written."""
    values = _read_json(path)
    if not isinstance(values, dict):
        return None
    stated = values.pop("checksum", None)
    try:
        return values if stated == checksum(values) else None
    except RecursionError:
        return None


def _read_json(path):
    """The values of a JSON file, or None where it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None


def _require_same_plan(out, fingerprint, began, parts=None):
    if fingerprint != began["fingerprint"]:
        remedy = "give the first command again with --resume, or start over with --overwrite"
        if parts:
            remedy = "give every part the same, or remove the folder to start over"
        raise ShardError(f"expected the inputs and options that {out} was begun with, received others; {remedy}")


def _remove_shards(out, coming):
    """Removes what a build made; dataset.json first: from then on the folder is an unfinished build."""
    files = _list_shards(out, coming)
    (out / MANIFEST).unlink(missing_ok=True)
    for file in (*files, *TABLES):
        (out / file).unlink(missing_ok=True)
    remove_folder(out / BUILD_FOLDER)


def _list_shards(out, coming):
    """The names of the shards that the plan of a build or dataset.json lists; no names of files elsewhere.

    Where dataset.json cannot be read, those that are called like the ones to come, but for their numbers.
    """
    plan = _read_json(out / BUILD_FOLDER / PLAN_FILE) if (out / BUILD_FOLDER / PLAN_FILE).exists() else None
    files = plan.get("shards", []) if isinstance(plan, dict) else []
    if (out / MANIFEST).exists():
        try:
            files = [*files, *(shard.file for shards in read_manifest(out)[0].splits.values() for shard in shards)]
        except ShardError:
            stems = {file.split(SHARD)[0] for file in coming}
            found = (path.name for path in out.glob(SHARD_PATTERN))
            files = [*files, *(name for name in found if name.split(SHARD)[0] in stems)]
    return [file for file in files if isinstance(file, str) and SHARD_NAME.fullmatch(file)]
