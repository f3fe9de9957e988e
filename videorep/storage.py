"""Where shards lie: in a folder of this machine, or at a URL such as s3://bucket/shards.

A folder of this machine is a `pathlib.Path`. A URL is a `RemotePath`, which has of pathlib's methods what shards need.
URLs are read and written by TensorFlow with the plugins of tensorflow-io; paths load neither.
"""

import atexit
import contextlib
import ctypes
import dataclasses
import errno
import fnmatch
import functools
import os
import re
import secrets
import shutil
import stat
import tempfile
import types
import warnings
from pathlib import Path

from videorep.errors import OutputError, StorageError

COPY_CHUNK = 1 << 20
LARGEST_TEXT = 1 << 28  # bytes; a list of a million videos has half of that
TEMPORARY = "unfinished-"  # before the name of a file that is being written
_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+):/{1,2}(.+)")  # pathlib makes one slash of two


@dataclasses.dataclass(frozen=True, order=True)
class RemotePath:
    """A file or a folder at a URL. Its methods do and raise what those of `pathlib.Path` do."""

    url: str

    def __str__(self):
        return self.url

    def __truediv__(self, name):
        return RemotePath(f"{self.url.rstrip('/')}/{name}")

    @property
    def name(self):
        return self.url.rsplit("/", 1)[-1]

    def resolve(self):
        return self

    def exists(self):
        with _reaching(self.url) as files:
            return files.exists(self.url)

    def is_dir(self):
        with _reaching(self.url) as files:
            return files.isdir(self.url)

    def is_file(self):
        with contextlib.suppress(FileNotFoundError), _reaching(self.url) as files:
            return not files.stat(self.url).is_directory
        return False

    def stat(self):
        with _reaching(self.url) as files:
            return types.SimpleNamespace(st_size=files.stat(self.url).length)

    def iterdir(self):
        with _reaching(self.url) as files:
            names = {name.rstrip("/") for name in files.listdir(self.url)}
        return iter([self / name for name in sorted(names - {""})])

    def glob(self, pattern):
        return iter([path for path in self.iterdir() if fnmatch.fnmatchcase(path.name, pattern)])

    @contextlib.contextmanager
    def open(self, mode="rb"):
        with _reaching(self.url) as files, files.GFile(self.url, mode) as file:
            yield file

    def read_text(self, encoding="utf-8"):
        with self.open() as file:
            return file.read().decode(encoding)

    def mkdir(self, parents=True, exist_ok=True):
        with _reaching(self.url) as files:
            files.makedirs(self.url)

    def unlink(self, missing_ok=False):
        absent = (FileNotFoundError,) if missing_ok else ()
        with contextlib.suppress(*absent), _reaching(self.url) as files:
            files.remove(self.url)

    def rmdir(self):
        """Does nothing: an empty folder of an object store is not there."""


@contextlib.contextmanager
def _reaching(url):
    """Hands out tf.io.gfile, and turns TensorFlow's errors into the OSErrors that a folder of this machine raises."""
    import tensorflow as tf

    try:
        yield tf.io.gfile
    except tf.errors.OpError as error:
        numbers = {tf.errors.NotFoundError: errno.ENOENT, tf.errors.PermissionDeniedError: errno.EACCES}
        reason = error.message.strip().split("\n")[0] or type(error).__name__
        raise OSError(numbers.get(type(error), errno.EIO), reason, url) from error


def read_file(path, largest=LARGEST_TEXT):
    """The bytes of a file of this machine that somebody else may have made.

    Raises:
        OSError: it is no regular file (a pipe would be waited for, a device has no end), is larger than `largest`
            bytes, or cannot be read.
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "no regular file", os.fspath(path))
        content = file.read(largest + 1)
    if len(content) > largest:
        raise OSError(errno.EFBIG, f"more than {largest:,} bytes", os.fspath(path))
    return content


def is_no_regular_file(path):
    """Whether something is there that is no file: a folder, a pipe that would be waited for, a device without end."""
    return path.exists() and not path.is_file()


def locate(path):
    """What a folder's or file's name stands for: a `Path`, or a `RemotePath` if it is a URL.

    Raises:
        StorageError: a URL of a kind that cannot be read with what is installed.
    """
    if isinstance(path, RemotePath):
        return path
    url = _URL.fullmatch(os.fspath(path))
    if not url:
        return Path(path)
    scheme, place = url[1].lower(), url[2].rstrip("/")
    _require_plugin(scheme)
    if scheme == "s3" and "/" not in place:
        raise StorageError(f"expected a folder in a bucket, such as s3://{place}/shards, received {path}; add its name")
    return RemotePath(f"{scheme}://{place}")


def is_url(path):
    """Whether `locate` gives a `RemotePath` for it."""
    return isinstance(path, RemotePath) or _URL.fullmatch(os.fspath(path)) is not None


def require_local(path, error):
    """Raises `error` for a URL, where only a path will do; it would otherwise become a folder of that name."""
    if is_url(path):
        raise error(f"expected a path on this machine, received {path}; only shards may lie at a URL")


def require_apart(out, inputs):
    """Raises an OutputError where a folder to be written is, lies in, or holds what is read.

    `inputs` are {what the command line calls it: path or URL, "" where there is none}.
    """
    for name, path in inputs.items():
        if not path or is_url(path) != is_url(out):
            continue
        places = [f"{str(locate(each).resolve()).rstrip('/')}/" for each in (out, path)]
        if any(one.startswith(other) for one, other in (places, places[::-1])):
            raise OutputError(
                f"expected --out outside {name} ({path}), from which this is made, and not above it, received {out}; "
                "choose another --out"
            )


@functools.cache
def _require_plugin(scheme):
    import tensorflow as tf

    if scheme not in tf.io.gfile.get_registered_schemes():
        with contextlib.suppress(ImportError), warnings.catch_warnings(action="ignore"):
            import tensorflow_io  # noqa: F401 (registers its schemes)

            atexit.register(_keep_exit_status)
    if scheme not in tf.io.gfile.get_registered_schemes():
        raise StorageError(
            f"expected what reads {scheme}:// paths, received an installation without it (TensorFlow "
            f"{tf.__version__}); pip install 'videorep[remote]' (into an environment of its own: it takes TensorFlow "
            "2.17), or use a folder on this machine"
        )


def _keep_exit_status():
    """Has the C library end the process just before it destroys what the plugins of tensorflow-io left.

    Their destructors abort the process ("pure virtual method called"), which would replace its exit status. Python is
    through by then; `_exit`, called in place of them, receives the status.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "on_exit"):  # glibc
        library.on_exit(library._exit, None)


@functools.cache
def _scratch():
    """A folder for copies of what lies at URLs; it goes when the process ends."""
    folder = tempfile.mkdtemp(prefix="videorep-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def fetch(path):
    """The file itself; of one at a URL a copy on this machine, made once."""
    return _copy(path) if isinstance(path, RemotePath) else path


@functools.cache
def _copy(path):
    descriptor, copy = tempfile.mkstemp(prefix=f"{path.name}.", dir=_scratch())
    try:
        with open(descriptor, "wb") as target, path.open() as source:
            shutil.copyfileobj(source, target, COPY_CHUNK)
    except OSError as error:
        raise OSError(error.errno, error.strerror, error.filename or copy) from error  # a full disk names no file
    return Path(copy)


def workplace(folder):
    """Where files that are to be published in `folder` are written: there, or for a URL on this machine."""
    return _scratch() if isinstance(folder, RemotePath) else folder


def publish(source, target):
    """Gives a file that has been flushed its name, whole or not at all: by renaming, or for a URL by uploading."""
    if isinstance(target, RemotePath):
        with _reaching(target.url) as files:
            files.copy(str(source), target.url, overwrite=True)
        source.unlink()
        return
    os.replace(source, target)
    sync(target.parent)


def sync(path):
    """Brings the content of a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path, shared=False):
    """Writes a file of this machine so that it is there whole or not at all, even after a power cut.

    Yields the name under which the block writes it, beside `path`; the file goes if the block fails. `shared` says that
    other processes may be writing it too, or may have files of any name beside it.
    """
    temporary = path.with_name(f"{TEMPORARY}{f'{secrets.token_hex(8)}-' if shared else ''}{path.name}")
    try:
        yield temporary
        sync(temporary)
        publish(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def write_text_durably(path, text, shared=False):
    """Writes a text file so that it is there whole or not at all, even after a power cut; `shared`: see `replacing`."""
    if isinstance(path, RemotePath):
        with path.open("wb") as file:
            file.write(text.encode())
        return
    with replacing(path, shared) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_folder(folder):
    """Removes a folder and all that lies in it, as far as that is possible."""
    if not isinstance(folder, RemotePath):
        shutil.rmtree(folder, ignore_errors=True)
        return
    with contextlib.suppress(OSError), _reaching(folder.url) as files:
        files.rmtree(folder.url)
