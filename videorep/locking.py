"""One writer to a folder: a lock that the kernel lets go of when its process ends, however it ends."""

import contextlib
import errno
import fcntl
import os

from videorep.errors import OutputError

WITHOUT_LOCKS = (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextlib.contextmanager
def exclusive(folder, shared=False):
    """Keeps other processes from writing into a folder of this machine for as long as the block lasts.

    The lock is on the folder itself, so it leaves no file behind and no lock is ever stale. Where the file system
    cannot lock a folder (NFS), the block runs without. `shared` keeps only those out who do not share the folder too.

    Raises:
        OutputError: another process holds the lock, or removed the folder just now.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, *WITHOUT_LOCKS):
                raise
            if error.errno not in WITHOUT_LOCKS:
                raise _occupied(folder, _holder(descriptor)) from error
        if not _is_at(descriptor, folder):
            raise _occupied(folder, "")
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def alone_in(folder, shared=False):
    """Makes a folder and keeps other processes out, as `exclusive`; what it made goes again if it is left empty.

    Raises:
        OSError: the folder cannot be made.
        OutputError: as `exclusive`.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder, shared):
        try:
            yield
        finally:
            for each in made:
                with contextlib.suppress(OSError):
                    each.rmdir()


def _occupied(folder, holder):
    return OutputError(
        f"expected to be alone in writing into {folder}, received: another process is writing there{holder}; wait "
        "until it is done, or choose another --out"
    )


def _is_at(descriptor, folder):
    """Whether the open folder is still the one of that name: whoever held the lock before may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(folder))
    except FileNotFoundError:
        return False


def _holder(descriptor):
    """ " (pid N)" of the process that holds the lock, "" where the kernel does not tell."""
    status = os.fstat(descriptor)
    file = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    with contextlib.suppress(OSError), open("/proc/locks") as locks:
        for line in locks:
            words = line.split()
            if words[1:2] == ["FLOCK"] and words[5] == file and int(words[4]) > 0:
                return f" (pid {words[4]})"
    return ""
