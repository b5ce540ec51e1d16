"""One writer at a time."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hudd.errors import HuddError
from hudd.store.aside import NO_LOCKS
from hudd.store.files import write_error
from hudd.store.inside import open_inside

_held: dict[Path, int] = {}
_FRESH = 5  # seconds that a file which names no owner is believed to be about to
_SETTLED = 0.05  # seconds in which two processes that found the same left-over have both replaced it


@contextmanager
def writer_lock(path: Path, *, break_stale: bool = False) -> Iterator[None]:
    """Hold the lock file `path` while the body runs.

    The kernel's lock on the file decides, and it goes with the process, so a killed writer on this machine is
    never in the way. The owner written into the file is for people, and for file systems shared by
    machines that do not pass locks on: an owner on another machine is believed until the lock is broken, unless it was
    an earlier start of the same Slurm job. Where the file system has no locks, a file next to it that exists while
    someone writes takes their place.
    The same process may take the lock again inside.

    Parameters
    ----------
    path : Path
        The lock file; its directory must exist.
    break_stale : bool
        Take over a lock that another machine left behind.

    Raises
    ------
    HuddError
        If someone else writes, or did on another machine and never said that it had ended; or the lock file is a link.
    """
    path = path.absolute()
    if path in _held:
        _held[path] += 1
        try:
            yield
        finally:
            _held[path] -= 1
        return
    try:
        handle = _open(path)
    except OSError as error:
        raise write_error(path, error) from error
    stand_in = None
    try:
        stand_in = _acquire(handle, path, break_stale)
        _held[path] = 1
        try:
            yield
        finally:
            del _held[path]
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)
        if stand_in is not None:
            stand_in.unlink(missing_ok=True)


@contextmanager
def edit_lock(path: Path) -> Iterator[None]:
    """Hold the kernel's lock on the file `path` while the body runs, after waiting for whoever holds it.

    For changes that take no longer than a file to be read and written. Threads of one process wait for each other too.

    Raises
    ------
    HuddError
        If the lock file cannot be made or locked, or is a link.
    """
    try:
        handle = _open(path)
    except OSError as error:
        raise write_error(path, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            raise write_error(path, error) from error
        yield
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    try:
        return open_inside(path, os.O_RDWR)
    except FileNotFoundError:  # only then may it be made: some systems refuse O_CREAT for a colleague's file
        return open_inside(path, os.O_RDWR | os.O_CREAT)


def _acquire(handle: int, path: Path, break_stale: bool) -> Path | None:
    """Take the lock; return the file that stands in for it where the file system has none."""
    stand_in = None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise _busy(path, _read(handle)) from None
        stand_in = path.with_name(f"{path.name}-held")
    owner = _read(handle)
    if owner and owner["host"] != socket.gethostname() and not break_stale and not _requeued(owner):
        raise HuddError(
            f"'{path.parent}' is locked by {_name(owner)}; if nothing runs there any more, "
            "give `break_lock=True` and try again."
        )
    who = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time(), **_job()}
    record = json.dumps(who).encode()
    try:
        if stand_in is not None:
            _make(stand_in, path, record, break_stale)
        os.ftruncate(handle, 0)
        os.pwrite(handle, record, 0)
    except OSError as error:
        raise write_error(path, error) from error
    return stand_in


def _make(stand_in: Path, path: Path, record: bytes, break_stale: bool) -> None:
    """Make the file that says that someone writes, which only one process can."""
    for left_over in (True, False):
        try:
            handle = open_inside(stand_in, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            break
        except FileExistsError:
            with os.fdopen(open_inside(stand_in, os.O_RDONLY)) as file:
                owner, age = _read(file.fileno()), time.time() - os.fstat(file.fileno()).st_mtime
            lives = age < _FRESH if owner is None else _lives(owner)
            if not left_over or (lives and not break_stale):
                raise _busy(path, owner) from None
            stand_in.unlink(missing_ok=True)
    try:
        os.write(handle, record)
        if not left_over:
            time.sleep(_SETTLED)
            if os.fstat(handle).st_nlink == 0:
                raise _busy(path, None)
    finally:
        os.close(handle)


def _lives(owner: dict[str, Any]) -> bool:
    """Whether the process that a lock names may still be there."""
    if _requeued(owner):
        return False
    if owner["host"] != socket.gethostname():
        return True
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _job() -> dict[str, Any]:
    """Name the Slurm job that this process belongs to, and how often it was started before."""
    job, cluster = os.environ.get("SLURM_JOB_ID", ""), os.environ.get("SLURM_CLUSTER_NAME", "")
    restarts = os.environ.get("SLURM_RESTART_COUNT") or "0"
    return {"job": f"{cluster}/{job}", "start": int(restarts)} if job and restarts.isdecimal() else {}


def _requeued(owner: dict[str, Any]) -> bool:
    """Whether an owner belonged to an earlier start of this Slurm job: that has ended, on whatever machine it was."""
    own = _job()
    return bool(own) and owner["job"] == own["job"] and owner["start"] < own["start"]


def _busy(path: Path, owner: dict[str, Any] | None) -> HuddError:
    return HuddError(
        f"'{path.parent}' is being written by {_name(owner)}; wait until it has ended, or end it."
    )


def _read(handle: int) -> dict[str, Any] | None:
    try:
        owner = json.loads(os.pread(handle, 4096, 0))
        found = {"pid": int(owner["pid"]), "host": str(owner["host"]), "since": float(owner["since"])}
        return {**found, "job": str(owner.get("job", "")), "start": int(owner.get("start", 0))}
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        # Empty: released. Torn: its writer died in the act.
        return None


def _name(owner: dict[str, Any] | None) -> str:
    if owner is None:
        return "another process"
    minutes = max(0, time.time() - owner["since"]) / 60
    return f"process {owner['pid']} on {owner['host']} (since {minutes:.0f} min)"
