"""Finds the videos, or other files, below a folder, and what cannot be read of them. No TensorFlow."""

import collections
import dataclasses
import os
import stat
from pathlib import Path

from videorep.data.video_names import VIDEO_SUFFIXES, looks_like_video
from videorep.errors import DataError

MAX_WAYS = 100  # to one folder: a few links that lead to each other give any number of paths
KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a fifo"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclasses.dataclass(frozen=True)
class VideoFile:
    """One file. `name` is its path below the folder, in valid Unicode; `problem` says why it is not to be opened."""

    path: str
    name: str
    size: int = 0
    problem: str = ""

    @property
    def stem(self):
        """The name without folders and suffix."""
        return os.path.splitext(self.name.rsplit("/", 1)[-1])[0]

    @property
    def folders(self):
        """The names of the folders above it, outermost first."""
        return tuple(self.name.split("/")[:-1])


def printable(path):
    """A path as valid Unicode: bytes that are not UTF-8 become escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def inspect_file(path, name):
    """Looks at what lies at `path` without opening it, so that a fifo cannot block."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        problem = "not a regular file: a dangling link" if os.path.islink(path) else "missing: no such file"
        return VideoFile(path, name, problem=problem)
    except OSError as error:
        return VideoFile(path, name, problem=f"unreadable: {error.strerror}")
    for is_kind, kind in KINDS:
        if is_kind(status.st_mode):
            return VideoFile(path, name, problem=f"not a regular file: {kind}")
    return VideoFile(path, name, status.st_size, "" if status.st_size else "unreadable: an empty file")


def find_videos(folder):
    """What `find_files` gives of videos; a file whose suffix is not that of a video has a problem."""
    return find_files(folder, looks_like_video, "video", ", ".join(sorted(VIDEO_SUFFIXES)))


def find_files(folder, is_wanted, kind, names):
    """All files below a folder as `VideoFile`s, links followed, in the order of their names; not the hidden ones.

    Files whose name is not wanted have a problem, and so have empty folders; `kind` and `names` say what is wanted.

    Raises:
        DataError: no such folder, not one file with a name that is wanted, or too many links to one folder.
    """
    root = Path(folder)
    if not root.exists():
        raise DataError(f"expected a folder of {kind}s at {root}, received nothing there; check the path")
    if root.is_file():
        return [inspect_file(str(root), printable(root.name))]
    try:
        found = list(_walk(str(root)))
    except OSError as error:
        raise DataError(f"expected a readable folder, received {error.filename}: {error.strerror}; check it") from error
    if not any(is_wanted(name) for _, name, _ in found):
        raise DataError(f"expected {kind}s below {root} ({names}), received {len(found)} other files; check the path")
    return [
        inspect_file(path, name) if is_wanted(name) else VideoFile(path, name, problem=f"not a {kind}: {other}")
        for path, name, other in found
    ]


def _walk(top):
    """Yields (path, name, what it is by its name) of all that lies below a folder.

    A circle of links ends where it meets a folder on the way down again.
    Without recursion: a folder may be as deep as its path is long.
    """
    seen = collections.Counter()
    pending = [("", top, frozenset())]
    while pending:
        prefix, path, above = pending.pop()
        if not os.path.isdir(path):
            suffix = os.path.splitext(prefix.removesuffix("/"))[1]
            yield path, prefix.removesuffix("/"), f"suffix {suffix}" if suffix else "no suffix"
            continue
        status = os.stat(path)
        place = (status.st_dev, status.st_ino)
        if place in above:
            continue
        seen[place] += 1
        if seen[place] > MAX_WAYS:
            raise DataError(f"expected at most {MAX_WAYS} links to one folder, received more to {path}; remove some")
        with os.scandir(path) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
        if prefix and not names:
            yield path, prefix.removesuffix("/"), "an empty folder"
        below = above | {place}
        pending += [(f"{prefix}{printable(name)}/", os.path.join(path, name), below) for name in reversed(names)]
