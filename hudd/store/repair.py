"""Studies that another program has opened to write: read whole, and sealed again where nothing is wrong with them."""

from __future__ import annotations

import fcntl
import warnings
from pathlib import Path

from hudd.errors import HuddError, HuddWarning, UsageError
from hudd.store.files import write_whole
from hudd.store.inspection import inspect
from hudd.store.lock import writer_lock
from hudd.store.seal import broken, sealed, unsealed
from hudd.store.superblock import released

_RESTORE = "restore it from a copy, or run the study again in another directory"


def repair(path: Path, *, accept_changes: bool = False) -> str:
    """Read a study's file whole and seal it again, unless its seal fits.

    Parameters
    ----------
    path : Path
        The file.
    accept_changes : bool
        Seal also what another program has changed or removed, so long as HDF5 and the format have no fault with it.

    Returns
    -------
    str
        What was found and done, as a sentence.

    Raises
    ------
    UsageError
        If there is no such file.
    HuddError
        If it is damaged, is open in another program, or holds other values than hudd wrote, naming them.
    """
    if not path.is_file():
        raise UsageError(f"'{path}' does not exist; name the directory of a study.")
    with writer_lock(path.parent / ".lock"):
        content = path.read_bytes()
        if broken(content) is None:
            return f"'{path}' is as hudd left it; there is nothing to repair."
        whole, told = _recovered(path, content, accept_changes=accept_changes, asked=True)
        write_whole(path, whole)
    return f"'{path}' {told}; it is sealed again."


def recover(path: Path, content: bytes) -> None:
    """Seal a study's file again that another program opened to write and left as it was, and say so in a warning.

    Parameters
    ----------
    path : Path
        The file.
    content : bytes
        What it holds, with no seal that fits.

    Raises
    ------
    HuddError
        If it is damaged, is open in another program, or holds other values than hudd wrote, or might.
    """
    whole, told = _recovered(path, content, accept_changes=False, asked=False)
    try:
        with writer_lock(path.parent / ".lock"):
            if path.read_bytes() == content:
                write_whole(path, whole)
    except HuddError:
        if unsealed(whole) != content:
            raise
        return  # a directory that is only read, or in which someone writes: it is read as it stands
    warnings.warn(f"'{path}' {told}; it is sealed again.", HuddWarning, stacklevel=2)


def _recovered(path: Path, content: bytes, *, accept_changes: bool, asked: bool) -> tuple[bytes, str]:
    """The file with its seal, and what was wrong, or the reason why there is none."""
    _check_closed(path)
    freed = released(content)
    opened = "was left open by another program"
    if broken(freed) is None:
        return freed, opened
    body = unsealed(freed)
    found = inspect(body, path)
    if found.foreign:
        raise UsageError(found.fault)
    if found.fault:
        raise HuddError(f"'{path}' is damaged ({found.fault}); {_RESTORE}.")
    whole, study = sealed(body), path.parent
    if not found.checked:
        if (
            body != freed
        ):  # it has a seal, which no program has opened it to write since, and which does not fit
            raise HuddError(f"'{path}' is damaged (wrong checksum); {_RESTORE}.")
        if not asked:
            raise HuddError(
                f"'{path}' has no checksum at its end (it was cut off, or another program wrote to it) and none "
                f"of its values; 'hudd repair {study}' reads it whole and seals it again."
            )
        return whole, "can be read whole, but has no checksums to compare its values with"
    if found.differing and not accept_changes:
        more = f" and {len(found.differing) - 5} more" if len(found.differing) > 5 else ""
        raise HuddError(
            f"'{path}' does not hold what hudd wrote: {', '.join(found.differing[:5])}{more}; {_RESTORE}, or give "
            f"'hudd repair {study} --accept-changes' if another program changed it on purpose."
        )
    if found.differing:
        return whole, f"is kept with what another program changed: {', '.join(found.differing)}"
    return whole, "was opened by another program to write, and every value of hudd's in it is as it was"


def _check_closed(path: Path) -> None:
    """Refuse a file that another program has open to write, as HDF5's lock on it tells."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HuddError(
                f"'{path}' is open in another program to write; close it there and run the same command again."
            ) from None
        except OSError:  # a file system without locks
            return
