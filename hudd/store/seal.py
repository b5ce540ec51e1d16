"""A checksum at the end of ``study.h5``, beyond what HDF5 reads: damage is found before the HDF5 library meets it.

The library checks its metadata in part only, and a flipped bit can crash it. A file without a seal, one that another
program has written, is read all the same.
"""

from __future__ import annotations

from pathlib import Path

import xxhash

_MARK = b"\nhudd-study xxh3_128 "
_LENGTH = len(_MARK) + 32 + 1


def sealed(content: bytes) -> bytes:
    """Return the bytes of an HDF5 file with their seal behind them."""
    return content + _MARK + xxhash.xxh3_128_hexdigest(content).encode() + b"\n"


def is_broken(path: Path) -> bool:
    """Say whether a file has a seal that is not that of its content.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    content = path.read_bytes()
    return content[-_LENGTH:-33] == _MARK and sealed(content[:-_LENGTH]) != content
