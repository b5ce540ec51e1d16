"""The journal of what people made of a study's clusters: ``review.jsonl``, one edit a line, only ever appended to.

Several processes may write at the same time: each takes the kernel's lock on the file, reads what the others have
appended, looks whether its own edit still fits, appends it and flushes it to disk. A line that a killed writer left
half is no edit; the next writer cuts it off.

A study that was reviewed by an earlier version has a ``review.json``. It is read until the first edit, which writes
its content to the journal; after that only the journal counts.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hudd.errors import HuddError
from hudd.store import open_inside, read_inside
from hudd.store.files import sync_directory, write_error

NAME, EARLIER = "review.jsonl", "review.json"
FORMAT, VERSION = "hudd-review", 2
FIELDS = ("name", "note")


@dataclass(frozen=True)
class Edit:
    """One edit.

    Attributes
    ----------
    kind : str
        "text" (name, note or both were given), "merge", "split" or "undo".
    clusters : tuple of str
        The clusters that it is about, each by the path of its key member; of a merge the one that stays first.
    texts : dict of str to str
        What was given to ``name`` and ``note``.
    layer : str
        Layer of the clustering that was merged or split.
    undone : int
        Number of the edit, from 1, that an "undo" takes back.
    """

    kind: str
    clusters: tuple[str, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    layer: str = ""
    undone: int = 0

    def to_line(self) -> bytes:
        """Return the line of the journal."""
        content: dict[str, Any] = {"edit": self.kind, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
        if self.kind == "undo":
            content["of"] = self.undone
        else:
            content["clusters"] = list(self.clusters)
        if self.kind in ("merge", "split"):
            content["layer"] = self.layer
        return json.dumps(content | dict(self.texts)).encode() + b"\n"

    @classmethod
    def of(cls, content: dict[str, Any], before: list[Edit]) -> Edit:
        """Read a line strictly; ``before`` are the edits above it."""
        kind = content["edit"]
        if kind == "undo":
            number = content["of"]
            if type(number) is not int or not 0 < number <= len(before):
                raise ValueError("it takes back an edit that is not above it")
            if before[number - 1].kind not in ("merge", "split"):
                raise ValueError("it takes back what is neither a merge nor a split")
            return cls("undo", undone=number)
        clusters, layer = content["clusters"], content.get("layer", "")
        texts = tuple((name, content[name]) for name in FIELDS if name in content)
        least, most = _COUNT.get(kind, (1, 0))
        if not least <= len(clusters) <= most or len(set(clusters)) != len(clusters):
            raise ValueError("it is not about the clusters that such an edit is about")
        if not all(isinstance(text, str) for text in (*clusters, layer, *dict(texts).values())):
            raise TypeError("a name is no text")
        return cls(kind, tuple(clusters), texts if kind == "text" else (), layer)


# The least and the most clusters that an edit is about.
_COUNT: dict[str, tuple[int, float]] = {"text": (1, 1), "merge": (2, math.inf), "split": (1, 1)}


def stamp(directory: Path) -> tuple[int, ...]:
    """Return what changes with every edit of the study in a directory."""
    found: list[int] = []
    for name in (NAME, EARLIER):
        with suppress(OSError):
            status = (directory / name).lstat()
            found += (status.st_ino, status.st_size, status.st_mtime_ns)
    return tuple(found)


class Journal:
    """The edits of a study's review, shared by all processes that make some.

    Parameters
    ----------
    directory : Path
        The study's.

    Attributes
    ----------
    edits : list of Edit
        All that was read, oldest first; an edit's number is its place, from 1.

    Raises
    ------
    HuddError
        If ``review.jsonl``, or ``review.json`` where there is none, is there but cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        self.file, self.old = directory / NAME, directory / EARLIER
        self.edits: list[Edit] = []
        self._end = 0  # bytes read
        self._state: tuple[int, ...] | None = None  # of the file then
        self.refresh()

    def refresh(self) -> bool:
        """Read what was appended since; say whether there was anything."""
        try:
            handle = open_inside(self.file, os.O_RDONLY)
        except FileNotFoundError:
            handle = -1
        except OSError as error:
            raise self._unreadable(self.file, error) from error
        try:
            state = _state(handle)
            if state == self._state:
                return False
            known, content = self.edits, b"" if handle < 0 else os.pread(handle, state[1], 0)
        except OSError as error:
            raise self._unreadable(self.file, error) from error
        finally:
            if handle >= 0:
                os.close(handle)
        self._take(content)
        self._state = state
        return self.edits != known

    def append(self, make: Callable[[], Edit]) -> None:
        """Add an edit.

        Parameters
        ----------
        make : callable
            Returns the edit. It is called, once or twice, when everybody else's edits have been read; the last time
            when nobody can add one. What it raises ends the call, and nothing is added.

        Raises
        ------
        HuddError
            If the file cannot be written.
        """
        self.refresh()
        if not self._end:
            make()  # what is refused leaves no file behind
        try:
            handle = open_inside(self.file, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise write_error(self.file, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            size = os.fstat(handle).st_size
            self._take(os.pread(handle, size, 0) if size else b"")
            edit = make()
            # An empty file was made just now, or by someone who was killed before the first line.
            start = b"" if self._end else _HEADER + b"".join(known.to_line() for known in self.edits)
            self._write(handle, start + edit.to_line())
        except OSError as error:
            raise write_error(self.file, error) from error
        finally:
            os.close(handle)
        self.edits = [*self.edits, edit]

    def _write(self, handle: int, lines: bytes) -> None:
        """Write at the end of what is whole, and flush it to disk; after a failure the file is as it was."""
        begin = self._end
        try:
            os.ftruncate(handle, begin)
            done = 0
            while done < len(lines):
                done += os.pwrite(handle, lines[done:], begin + done)
            os.fsync(handle)
            if not begin:
                sync_directory(self.file.parent)
        except OSError:
            os.ftruncate(handle, begin)
            raise
        self._end = begin + len(lines)
        self._state = _state(handle)

    def _take(self, content: bytes) -> None:
        """Read the journal's bytes; of a journal that does not begin yet, what an earlier version has left."""
        whole = content[: content.rfind(b"\n") + 1]
        if not whole:
            self.edits, self._end = self._earlier(), 0
            return
        edits: list[Edit] = []
        for number, line in enumerate(whole.split(b"\n")[:-1], start=1):
            try:
                found = json.loads(line)
                if number == 1:
                    if (found["format"], found["version"]) != (FORMAT, VERSION):
                        raise ValueError(f"it is no {FORMAT} of version {VERSION}")
                else:
                    edits.append(Edit.of(found, edits))
            except _UNREADABLE as error:
                raise HuddError(
                    f"'{self.file}' cannot be read (line {number}: {error}); fix it or move it away."
                ) from error
        self.edits, self._end = edits, len(whole)

    def _earlier(self) -> list[Edit]:
        """Return the edits in ``review.json``."""
        try:
            content = json.loads(read_inside(self.old))
            edits = [_earlier_edit(entry) for entry in content.get("edits", [])]
            for path, entry in content["clusters"].items():
                texts = tuple((name, _whole_text(str(entry[name]))) for name in FIELDS if name in entry)
                edits.append(Edit("text", (str(path),), texts))
            return edits
        except FileNotFoundError:
            return []
        except (OSError, *_UNREADABLE) as error:
            raise self._unreadable(self.old, error) from error

    def _unreadable(self, file: Path, error: Exception) -> HuddError:
        return HuddError(f"'{file}' cannot be read ({error}); fix it or move it away.")


_HEADER = json.dumps({"format": FORMAT, "version": VERSION}).encode() + b"\n"
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


def _state(handle: int) -> tuple[int, ...]:
    """Return what changes with an open file; of no file zeros."""
    if handle < 0:
        return (0, 0, 0)
    status = os.fstat(handle)
    return status.st_ino, status.st_size, status.st_mtime_ns


def _earlier_edit(entry: dict[str, Any]) -> Edit:
    if "merge" in entry:
        into, other = map(str, entry["merge"])
        if into == other:
            raise ValueError("a cluster merged with itself")
        return Edit("merge", (into, other), layer=str(entry["layer"]))
    return Edit("split", (str(entry["split"]),), layer=str(entry["layer"]))


def _whole_text(text: str) -> str:
    """Return a text that an earlier version has saved, halves of surrogate pairs as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
