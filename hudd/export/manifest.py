"""The list of what an export holds: it says which study made it, and tells its files from those of others."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hudd.errors import UsageError
from hudd.version import __version__

NAME = "hudd-export.json"
FORMAT, VERSION = "hudd-export", 1


@dataclass(frozen=True)
class State:
    """What an export was made from.

    Attributes
    ----------
    study : str
        Checksum of ``study.h5``.
    review : str
        Checksum of names, notes and edits of the clusters.
    """

    study: str
    review: str


@dataclass(frozen=True)
class Record:
    """What one exporter has written: into which folder, with which options, and the SHA-256 of each file."""

    folder: str
    options: dict[str, Any]
    files: dict[str, str]


@dataclass(frozen=True)
class Manifest:
    """What an export holds.

    Attributes
    ----------
    study : str
        Name of the study's directory.
    state : State
        What it was made from.
    formats : dict of str to Record
        Exporter to what it has written.
    """

    study: str
    state: State
    formats: dict[str, Record]

    @property
    def files(self) -> dict[str, str]:
        """Path of each file in the export to its SHA-256."""
        return {path: digest for record in self.formats.values() for path, digest in record.files.items()}

    @property
    def digest(self) -> str:
        """SHA-256 of all files by their paths: equal for exports that are equal."""
        lines = [f"{digest}  {path}\n" for path, digest in sorted(self.files.items())]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Write it into the folder that it is about."""
        about = {"format": FORMAT, "version": VERSION, "hudd_version": __version__, "digest": self.digest}
        text = json.dumps(about | asdict(self), indent=1, sort_keys=True)
        (folder / NAME).write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """Return what lies in a folder; None where there is nothing that can be read."""
        with suppress(OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            content = json.loads((folder / NAME).read_bytes())
            if (content["format"], content["version"]) == (FORMAT, VERSION):
                formats = {str(name): Record(**record) for name, record in content["formats"].items()}
                found = cls(str(content["study"]), State(**content["state"]), formats)
                if found.digest == content["digest"]:
                    return found
        return None


def check_replaceable(folder: Path, manifest: Manifest | None) -> dict[str, tuple[int, ...]]:
    """Refuse a folder that holds anything but what an export of hudd has made.

    Returns
    -------
    dict
        What lies there, see :func:`contents`.

    Raises
    ------
    UsageError
        Naming the first file that hudd has not exported, or that was changed since.
    """
    found = contents(folder)
    if not found:
        return found
    remedy = "name another folder, or move what is yours out of it"
    if manifest is None:
        raise UsageError(f"'{folder}' holds files and no readable {NAME} of an earlier export; {remedy}.")
    known = {NAME, *manifest.files} | {
        str(parent) for path in manifest.files for parent in Path(path).parents
    }
    if strange := sorted(set(found) - known):
        raise UsageError(f"'{folder}' holds '{strange[0]}', which hudd has not exported; {remedy}.")
    for path, digest in manifest.files.items():
        if path in found and hash_file(folder / path) != digest:
            raise UsageError(f"'{folder / path}' was changed since hudd exported it; {remedy}.")
    return found


def contents(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return what lies in a folder, by its path in it, with what changes when it is written to."""
    found = {}
    for path in _walk(folder):
        status = path.lstat()
        same = () if path.is_dir() and not path.is_symlink() else (status.st_size, status.st_mtime_ns)
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_ino, *same)
    return found


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        yield from (Path(place, name) for name in (*folders, *files))


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file; of what is no plain file an empty text."""
    if path.is_symlink() or not path.is_file():
        return ""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_in(folder: Path) -> set[str]:
    """Return the paths in a folder of all files in it."""
    return {str(path.relative_to(folder)) for path in _walk(folder) if not path.is_dir()}


def keep_files(earlier: Path, folder: Path, files: dict[str, str]) -> None:
    """Put files of an earlier export into a new one, without a copy where the file system can."""
    for path in files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(earlier / path, folder / path)
        except OSError:
            shutil.copyfile(earlier / path, folder / path)
