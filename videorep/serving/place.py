"""The folder that an export becomes: whole or not at all, in the place of nothing but another export."""

import contextlib
import ctypes
import dataclasses
import errno
import json
import os
import shutil
from pathlib import Path

from videorep.config_values import read_json
from videorep.data.shards.hashes import hash_file
from videorep.errors import OutputError, RunError
from videorep.storage import TEMPORARY, sync

EXCHANGE, HERE = 2, -100  # RENAME_EXCHANGE and AT_FDCWD of Linux


@dataclasses.dataclass(frozen=True)
class Place:
    """The folder `target`, in which the file `facts` tells what was exported; `option` chooses another place."""

    target: Path
    facts: Path
    option: str

    def require_free(self, overwrite):
        """Raises an OutputError where no folder can be made, or one lies there that is not to be replaced."""
        nearest = next(parent for parent in self.target.parents if parent.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK):
            raise OutputError(
                f"expected a folder that can be written, received {self.target.parent}; choose another --out"
            )
        if not os.path.lexists(self.target):
            return
        if not overwrite:
            raise OutputError(
                f"expected a new folder, received {self.target}, which exists; add --overwrite or choose another "
                f"{self.option}"
            )
        self._require_own()

    @contextlib.contextmanager
    def prepared(self, overwrite):
        """A folder to write in; what is in it at the end, unfinished or replaced, is removed."""
        temporary = self.target.with_name(f"{TEMPORARY}{self.target.name}")  # no number: no server loads it
        for rest in (temporary, _replaced(temporary)):  # of an export that was killed
            if os.path.lexists(rest):
                remove(rest)
        self.require_free(overwrite)
        temporary.mkdir()
        try:
            yield temporary
        finally:
            remove(temporary)

    def finish(self, temporary, facts):
        """Writes the facts and the hashes of all files, brings them to the disk, and puts the folder in its place."""
        path = temporary / self.facts
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(facts | {"files": _hash_files(temporary)}, indent=2) + "\n")
        _flush(temporary)
        _put_in_place(temporary, self.target)
        sync(self.target.parent)

    def _require_own(self):
        """Raises an OutputError where the folder to be replaced holds what no export put there."""
        try:
            made = set(read_json(self.target / self.facts, "what an export was made from", "export again")["files"])
            made.add(self.facts.as_posix())
        except (RunError, LookupError, TypeError):
            made = set()
        paths = sorted(self.target.rglob("*")) if made else []
        there = [path.relative_to(self.target).as_posix() for path in paths if not path.is_dir()]
        others = [name for name in there if name not in made]
        if others or not made:
            what = f"{others[0]}, which no export put there" if made else f"a folder without a readable {self.facts}"
            raise OutputError(
                f"expected an export in {self.target}, to be replaced, received {what}; move it away, or choose "
                f"another {self.option}"
            )


def remove(path):
    """Removes a folder, or the link in place of one."""
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def _hash_files(folder):
    """SHA-256 of every file in a folder, by its path within: what `videorep verify` compares an export with."""
    return {
        path.relative_to(folder).as_posix(): hash_file(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def _put_in_place(temporary, target):
    """Gives a folder its name; one that bears it already gets the temporary name, both in one step."""
    if not target.exists():
        temporary.rename(target)
        return
    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(temporary), os.fsencode(target)
    if not library.renameat2(HERE, names[0], HERE, names[1], EXCHANGE):
        return
    number = ctypes.get_errno()
    if number not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(number, os.strerror(number), str(target))
    # A file system that cannot exchange names: for a moment there is no such version, but never a part of one.
    old = _replaced(temporary)
    target.rename(old)
    temporary.rename(target)
    shutil.rmtree(old)


def _replaced(temporary):
    return temporary.with_name(f"{temporary.name}-replaced")


def _flush(folder):
    """Brings all files of a folder to the disk, so that a power cut does not leave a version of empty files."""
    for parent, _, files in os.walk(folder):
        for path in (*(os.path.join(parent, name) for name in files), parent):
            sync(path)
