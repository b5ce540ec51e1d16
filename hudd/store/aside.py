"""Files written aside, to be renamed when they are whole, and what killed writers left of them."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import glob
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

ASIDE = ".aside-"
_number = count()  # threads of one process write aside, too


def reserve(path: Path, *, folder: bool = False) -> tuple[Path, int]:
    """Make an empty file or folder next to `path` that :func:`sweep` spares as long as it is open.

    The kernel's lock on it says that its writer lives, whatever process, container or machine sweeps.

    Parameters
    ----------
    path : Path
        Where the file or folder is to stand in the end.
    folder : bool
        Make a folder.

    Returns
    -------
    tuple
        The path of what was made, and its open descriptor, to be closed after the renaming.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    while True:
        aside = path.with_name(f"{ASIDE}{os.getpid()}-{next(_number)}-{path.name}")
        try:
            if folder:
                aside.mkdir()
                handle = os.open(aside, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            else:
                handle = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        except FileExistsError:
            continue
        except FileNotFoundError:
            if folder and aside.parent.is_dir():
                continue  # swept before it was open
            raise
        if _lock(handle) is not False and _stands(aside, handle):
            return aside, handle
        os.close(handle)


@contextmanager
def whole_folder(path: Path, may_replace: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """Give a folder to fill that stands at `path`, whole and on disk, when the body ends, or not at all.

    Parameters
    ----------
    path : Path
        Where the folder shall stand; one that is there is replaced in one step.
    may_replace : callable
        Looks at what stands at `path`, right before it is replaced and while no other process replaces it;
        raises where it must stay.

    Yields
    ------
    Path
        The folder to fill.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    path = path.absolute()
    for leftover in path.parent.glob(f"{ASIDE}*-{glob.escape(path.name)}"):
        remove_left(leftover)
    aside, handle = reserve(path, folder=True)
    try:
        yield aside
        _flush(aside)
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(parent, fcntl.LOCK_EX)
            may_replace()
            if path.is_dir() and any(path.iterdir()):
                shutil.copymode(path, aside)
                _exchange(aside, path)
            else:
                aside.rename(path)
            os.fsync(parent)
        finally:
            os.close(parent)
    finally:
        os.close(handle)
        shutil.rmtree(aside, ignore_errors=True)  # half a folder, or the one that was replaced


def _flush(folder: Path) -> None:
    """Flush a folder and all in it to disk."""
    for place, _, files in os.walk(folder):
        for name in (*files, "."):
            handle = os.open(Path(place, name), os.O_RDONLY | os.O_NOFOLLOW)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _exchange(new: Path, old: Path) -> None:
    """Let two folders change places: in one step where the file system can, else in two."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    places = (_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(old), _RENAME_EXCHANGE)
    if renameat2 is not None and renameat2(*places) == 0:
        return
    between = new.with_name(f"{ASIDE}{os.getpid()}-{next(_number)}-{old.name}")
    old.rename(between)
    try:
        new.rename(old)
    except OSError:
        between.rename(old)
        raise
    between.rename(new)


_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def sweep(directory: Path) -> None:
    """Remove what killed writers left aside in `directory`; what a living one writes is spared."""
    for leftover in directory.glob(f"{ASIDE}*"):
        remove_left(leftover)


def remove_left(leftover: Path) -> None:
    """Remove a file or folder that was written aside, unless its writer lives."""
    try:
        handle = os.open(leftover, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    except OSError:  # a symbolic link, a socket or unreadable: not one that is being written
        leftover.unlink(missing_ok=True)
        return
    try:
        locked = _lock(handle)
        if locked is False or (locked is None and _lives(leftover)):
            return
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _lock(handle: int) -> bool | None:
    """Lock an open file; False if another has, None if the file system has no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in NO_LOCKS:
            return None
        raise
    return True


NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)  # what file systems without locks say


def _lives(leftover: Path) -> bool:
    """Whether a process of this machine has the number in the name of what was written aside."""
    number = leftover.name.removeprefix(ASIDE).partition("-")[0]
    return number.isdecimal() and Path(f"/proc/{number}").exists()


def _stands(path: Path, handle: int) -> bool:
    """Whether the open file is still the one at `path`."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(handle))
    except FileNotFoundError:
        return False
