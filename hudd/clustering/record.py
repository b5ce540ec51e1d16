"""What a linkage has computed so far, in a file: a call that was killed goes on where it stopped.

Only results that take long are in it: what searches found, in the order in which they were made. Everything else
follows from these by the same arithmetic, so a call that goes on has the bits of one that ran through.
"""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from hudd.errors import HuddError, UsageError
from hudd.ranks import Ranks
from hudd.store import open_inside
from hudd.store.files import write_error

_MAGIC = b"hudd linkage 1\n"  # another number where results are asked for in another order
_HEAD = struct.Struct("<QQI")  # of a result: its number, how many values it has, their checksum
_SYNCED = (
    10.0  # seconds between two waits for the disk: what a power failure loses, a kill loses nothing written
)


class Record:
    """Results in their order, those that were recorded first.

    Parameters
    ----------
    path : Path, optional
        The file; it is made where there is none. Without one nothing is kept.
    identity : bytes
        Of the rows and of everything else that the results depend on.
    ranks : Ranks
        The first process reads and writes; the others are told what it has read.

    Raises
    ------
    UsageError
        If the file is of other rows.
    HuddError
        If it is no such file, or cannot be written.
    """

    def __init__(self, path: Path | None, identity: bytes, ranks: Ranks) -> None:
        self._path, self._count = path, 0
        self._file: BinaryIO | None = None
        self._left: deque[np.ndarray] = deque()
        self._synced = time.monotonic()
        if path is not None:
            self._left.extend(ranks.lead(lambda: self._open(path, _MAGIC + identity)))

    def __enter__(self) -> Record:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._file is not None:
            with suppress(OSError):  # each write was flushed
                self._file.close()

    def next(self, make: Callable[[], np.ndarray], size: int) -> np.ndarray:
        """Return the next result, (size,) float64: as it was recorded, or as it is made now and recorded.

        Raises
        ------
        HuddError
            If it was recorded with another size, or cannot be written.
        """
        if self._left:
            found = self._left.popleft()
            if len(found) != size:
                raise self.unfit()
            return found
        found = make()
        if self._file is not None:
            self._append(self._file, found)
        return found

    def unfit(self) -> HuddError:
        """Return the error of a recorded result that cannot be one of these rows."""
        return HuddError(f"'{self._path}' is damaged; delete it to begin again.")

    def _open(self, path: Path, header: bytes) -> list[np.ndarray]:
        """Return the results in the file, from which a torn one at its end is cut off."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.fdopen(open_inside(path, os.O_RDWR | os.O_CREAT), "r+b")
            try:
                results = _read(file, path, header)
            except BaseException:
                file.close()
                raise
        except OSError as error:
            raise write_error(path, error) from error
        self._file, self._count = file, len(results)
        return results

    def _append(self, file: BinaryIO, found: np.ndarray) -> None:
        body = np.ascontiguousarray(found, "<f8").tobytes()
        try:
            file.write(_HEAD.pack(self._count, len(found), _checksum(self._count, body)) + body)
            file.flush()
            if time.monotonic() - self._synced > _SYNCED:
                os.fsync(file.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            raise write_error(Path(str(self._path)), error) from error
        self._count += 1


def _read(file: BinaryIO, path: Path, header: bytes) -> list[np.ndarray]:
    """Return all whole results, and leave the file open at the end of the last one."""
    content = file.read()
    if len(content) < len(header) and header.startswith(content):
        file.seek(0)
        file.write(header)
        file.flush()
        return []
    if not content.startswith(_MAGIC):
        raise HuddError(f"'{path}' is not the checkpoint of a linkage; name another file, or delete it.")
    if not content.startswith(header):
        raise UsageError(f"'{path}' was written by a linkage of other rows; name another file, or delete it.")
    results: list[np.ndarray] = []
    start = len(header)
    while start + _HEAD.size <= len(content):
        number, size, checksum = _HEAD.unpack_from(content, start)
        first = start + _HEAD.size
        body = memoryview(content)[first : first + 8 * size]
        whole = number == len(results) and len(body) == 8 * size
        if not whole or checksum != _checksum(number, body):
            break
        results.append(np.frombuffer(body, "<f8").astype(np.float64))
        start = first + 8 * size
    file.seek(start)
    file.truncate()
    return results


def _checksum(number: int, body: bytes | memoryview) -> int:
    return zlib.crc32(body, number & 0xFFFFFFFF)
