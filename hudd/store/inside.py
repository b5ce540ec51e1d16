"""A study's own files, opened without following links.

A study may come from anyone, and any of its names may be a link: what is written to ``log.jsonl`` would then be
written elsewhere. A study's own path may lead through links, since its user has given it; nothing beneath it may.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from hudd.errors import HuddError
from hudd.store.aside import ASIDE

# What hudd writes into a study. Whatever else lies there is its user's own, and is left alone.
OWN = (
    *("study.h5", "shards", "models", "log.jsonl", ".lock*", f"{ASIDE}*"),
    *("report", "export", "comparison", "review*", "labels.csv"),
)


def check_inside(study: Path) -> None:
    """Refuse a study in which one of hudd's own names is a link, or anything but a file or a directory.

    Parameters
    ----------
    study : Path
        The study's directory, which need not exist. Its own path may lead through links.

    Raises
    ------
    HuddError
        Naming the first such entry.
    """
    for entry in _entries(study, own=True):
        if entry.is_symlink():
            raise HuddError(
                f"'{entry.path}' is a link to '{_target(entry.path)}'; a study is not reached through links: put "
                "the file itself in its place, or remove it."
            )
        if not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)):
            raise HuddError(f"'{entry.path}' is neither a file nor a directory; remove it.")


def _entries(folder: str | Path, own: bool = False) -> Iterator[os.DirEntry[str]]:
    """Yield every entry of hudd's own beneath a study's directory, no links followed."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return  # told by whatever comes to read there
    for entry in found:
        if own and not any(fnmatchcase(entry.name, name) for name in OWN):
            continue
        yield entry
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(entry.path)


def open_inside(path: Path, flags: int) -> int:
    """Open a file of a study to read or to write it where it stands, and return its descriptor.

    Parameters
    ----------
    path : Path
        The file, whose directory was looked at by :func:`check_inside`.
    flags : int
        As of :func:`os.open`. A new file's permissions follow the umask.

    Raises
    ------
    HuddError
        If it is a link, no file, or, where it is to be written, a second name of a file that may lie elsewhere.
    OSError
        If the system does not let it be opened.
    """
    try:
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise HuddError(
                f"'{path}' is a link to '{_target(path)}', and is not followed; remove it."
            ) from None
        if error.errno in (errno.ENXIO, errno.EISDIR):
            raise HuddError(f"'{path}' is not a file; remove it.") from None
        raise
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise HuddError(f"'{path}' is not a file; remove it.")
        if flags & (os.O_WRONLY | os.O_RDWR) and status.st_nlink > 1:
            raise HuddError(
                f"'{path}' is a second name (a hard link) of a file that may lie elsewhere, and is not written to; "
                f"put a copy in its place: 'cp {path} {path}.copy && mv {path}.copy {path}'."
            )
    except BaseException:
        os.close(handle)
        raise
    return handle


def append_line(path: Path, line: str) -> None:
    """Append a line to a file of a study, which is made if need be, by one write.

    Raises
    ------
    HuddError, OSError
        As :func:`open_inside`.
    """
    handle = open_inside(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(handle, f"{line}\n".encode())
    finally:
        os.close(handle)


def read_inside(path: Path) -> bytes:
    """Return what a file of a study holds.

    Raises
    ------
    HuddError, OSError
        As :func:`open_inside`.
    """
    with os.fdopen(open_inside(path, os.O_RDONLY), "rb") as file:
        return file.read()


def _target(path: str | Path) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 - a Path would be normalised
    except OSError:
        return "another file"
