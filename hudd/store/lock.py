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

from hudd.errors import HuddError
from hudd.store.files import write_error

_held: dict[Path, int] = {}


@contextmanager
def writer_lock(path: Path, *, break_stale: bool = False) -> Iterator[None]:
    """Hold the lock file `path` while the body runs.

    The kernel's lock on the file decides, and it goes with the process, so a killed writer on this machine is
    never in the way. The owner written into the file is for people, and for file systems shared by
    machines that do not pass locks on: an owner on another machine is believed until the lock is broken.
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
        If someone else writes, or did on another machine and never said that it had ended.
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
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise write_error(path, error) from error
    try:
        _acquire(handle, path, break_stale)
        _held[path] = 1
        try:
            yield
        finally:
            del _held[path]
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _acquire(handle: int, path: Path, break_stale: bool) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise HuddError(
            f"'{path.parent}' is being written by {_owner(handle)}; wait until it has ended, or end it."
        ) from None
    owner = _read(handle)
    if owner and owner["host"] != socket.gethostname() and not break_stale:
        raise HuddError(
            f"'{path.parent}' is locked by {_owner(handle)}; if nothing runs there any more, "
            "give --break-lock and try again."
        )
    record = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(record).encode(), 0)
    except OSError as error:
        raise write_error(path, error) from error


def _read(handle: int) -> dict | None:
    try:
        owner = json.loads(os.pread(handle, 4096, 0))
        return {"pid": int(owner["pid"]), "host": str(owner["host"]), "since": float(owner["since"])}
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        # Empty: released. Torn: its writer died in the act.
        return None


def _owner(handle: int) -> str:
    owner = _read(handle)
    if owner is None:
        return "another process"
    minutes = max(0, time.time() - owner["since"]) / 60
    return f"process {owner['pid']} on {owner['host']} (since {minutes:.0f} min)"
