"""Files that are whole or absent: written aside, flushed to disk, renamed."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
from pathlib import Path

from hudd.errors import HuddError, UsageError
from hudd.store.aside import NO_LOCKS, reserve
from hudd.store.aside import sweep as sweep

BLOCK = 4096  # of memory and of the disk
_LARGE = 1 << 20  # bytes from which the page cache is more trouble than it is worth


def write_whole(
    path: Path, content: bytes | memoryview, size: int | None = None, *, behind: bytes = b""
) -> None:
    """Put `content` at `path` so that a reader finds the old file or the new one, never a piece.

    Parameters
    ----------
    path : Path
        Where the file shall stand; an older one is replaced.
    content : bytes or memoryview
        What the file shall hold. Where it begins at a block of memory and is whole blocks, it goes to the disk
        without a copy in the page cache, if the file system can do that.
    size : int, optional
        How many bytes of it are the file, all by default.
    behind : bytes
        What comes after them.

    Raises
    ------
    HuddError
        If the disk is full or does not let itself be written; the old file then still stands.
    """
    try:
        aside, handle = reserve(path)
    except OSError as error:
        raise write_error(path, error) from error
    try:
        _fill(handle, memoryview(content), len(content) if size is None else size, behind)
        aside.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        _forget(aside)
        raise write_error(path, error) from error
    except BaseException:
        _forget(aside)
        raise
    finally:
        os.close(handle)


def check_place(path: Path, what: str, example: str) -> None:
    """Refuse a path where no file can stand, before the work that fills it.

    Raises
    ------
    UsageError
        If it is a folder, or its folder does not exist.
    """
    if path.is_dir() or not path.absolute().parent.is_dir():
        why = "is a folder" if path.is_dir() else "is in a folder that does not exist"
        raise UsageError(f"{what}'{path}' {why}; name a file to write, such as {example}.")


def _fill(handle: int, content: memoryview, size: int, behind: bytes) -> None:
    """Write an open file from its beginning and flush it to disk."""
    unbuffered = getattr(os, "O_DIRECT", 0) if len(content) >= _LARGE else 0
    for flag in (unbuffered, 0):
        try:
            fcntl.fcntl(handle, fcntl.F_SETFL, flag)
            done, end = 0, len(content) if flag else size
            while done < end:
                done += os.pwrite(handle, content[done:end], done)
            os.ftruncate(handle, size)
            if behind:
                fcntl.fcntl(handle, fcntl.F_SETFL, 0)
                os.pwrite(handle, behind, size)
            os.fsync(handle)
            return
        except OSError as error:
            if not flag or error.errno != errno.EINVAL:  # not aligned, or the file system buffers always
                raise


def write_error(path: Path, error: OSError) -> HuddError:
    """Say in one sentence why `path` could not be written and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "free some space and run the same command again; finished work is kept"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = "make the directory writable or name another one"
    else:
        remedy = "see to it and run the same command again; finished work is kept"
    reason = error.strerror or str(error)
    return HuddError(f"cannot write '{path}' ({reason.lower()}): {remedy}.")


def missing_resource(error: Exception) -> str | None:
    """Say what the system did not give, such as "too many open files"; None where it is not to blame for the error."""
    told = _ERRNO.search(str(error))  # HDF5 tells it in its text alone, where h5py makes a KeyError of it
    number = getattr(error, "errno", None) or int(told[1] if told else 0)
    return os.strerror(number).lower() if number else None


_ERRNO = re.compile(r"\berrno = (\d+)")


def read_error(path: Path, reason: str) -> HuddError:
    """Say in one sentence that the system does not let `path` be read, for a reason of :func:`missing_resource`."""
    unlocked = reason in {os.strerror(number).lower() for number in NO_LOCKS}
    remedy = "set HDF5_USE_FILE_LOCKING=FALSE" if unlocked else "see to it"
    return HuddError(f"cannot read '{path}' ({reason}): {remedy} and run the same command again.")


def check_space(directory: Path, needed: int, what: str) -> None:
    """Refuse to begin what the disk cannot hold.

    Parameters
    ----------
    directory : Path
        Where it will be written.
    needed : int
        Bytes.
    what : str
        What it is, as the subject of a sentence in the plural.

    Raises
    ------
    HuddError
        Saying how much is needed, how much there is and what to do.
    """
    free = shutil.disk_usage(directory).free
    if needed > free:
        raise HuddError(
            f"{what} take {size_text(needed)}, but '{directory}' has {size_text(free)} left: free some space, "
            "or store less (`store='selected'`, `dtype='float16'`, `pool='channel'`)."
        )


def size_text(size: float) -> str:
    """Write a number of bytes for people: 3.2 GiB."""
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def sync_directory(directory: Path) -> None:
    """Flush the names in `directory` to disk, so that a rename outlives a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _forget(aside: Path) -> None:
    try:
        aside.unlink(missing_ok=True)
    except OSError:  # a read-only directory: the first error is the one to tell
        return
