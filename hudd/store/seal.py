"""A checksum at the end of ``study.h5``, beyond what HDF5 reads: damage is found before the HDF5 library meets it.

The library checks its metadata in part only, and a flipped bit can crash it. A study without a seal was cut off, or
written to by another program.
"""

from __future__ import annotations

import os
from pathlib import Path

import xxhash

from hudd.store.superblock import SIGNATURE

_MARK = b"\nhudd-study xxh3_128 "
_LENGTH = len(_MARK) + 32 + 1


def sealed(content: bytes) -> bytes:
    """Return the bytes of an HDF5 file with their seal behind them."""
    return content + seal(content)


def seal(content: bytes | memoryview) -> bytes:
    """Return the seal of the bytes of an HDF5 file."""
    return _MARK + xxhash.xxh3_128_hexdigest(content).encode() + b"\n"


def digest_of(path: Path) -> str:
    """Return the checksum that a study's file ends with; of a file without one, or of none, an empty text."""
    try:
        with path.open("rb") as stream:
            stream.seek(-_LENGTH, os.SEEK_END)
            end = stream.read(_LENGTH)
    except OSError:
        return ""
    return end[-33:-1].decode("ascii", "replace") if end.startswith(_MARK) else ""


def broken(content: bytes) -> str | None:
    """Say what is wrong with the bytes of a study's file by its seal; None: nothing, or it is no HDF5 file at all."""
    if content[-_LENGTH:-33] == _MARK:
        return None if seal(memoryview(content)[:-_LENGTH]) == content[-_LENGTH:] else "wrong checksum"
    if SIGNATURE in content:
        return "no checksum at its end: it was cut off, or another program wrote to it"
    return None


def unsealed(content: bytes) -> bytes:
    """Return the bytes of a study's file without what looks like a seal behind them."""
    return content[:-_LENGTH] if content[-_LENGTH:-33] == _MARK else content
