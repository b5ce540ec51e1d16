"""Checksums of what a study's file says, object by object, kept in the file itself.

The seal tells that a file is byte for byte as hudd left it. Another program that opens the file to write loses the
seal even where it changes nothing; these checksums then tell whether every value is still what hudd wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import h5py
import numpy as np
import xxhash

from hudd.store.schema import is_bare

NAME = (
    "checksums"  # the root attribute that has them as JSON: object, attribute ("" for the values), checksum
)
_VALUES = ""
_SLICE = 65_536  # texts that are objects at once
# HDF5 and other programs maintain these: who refers to whom, by addresses.
_LINKS = ("DIMENSION_LIST", "REFERENCE_LIST")


def walk(file: h5py.File) -> Iterator[tuple[str, h5py.HLObject]]:
    """Yield the name of every object and the object, the root first."""
    names: list[str] = []
    file.visit(names.append)
    for name in ("/", *names):
        yield name, file[name]


def checksums(item: h5py.HLObject) -> dict[str, str]:
    """Read an object whole, its attributes and its values, and return the XXH3-64 of each.

    A virtual dataset has its values in shards, which have checksums of their own; here it is its shape and type.
    """
    found = {name: _checksum(value) for name, value in item.attrs.items() if name not in (*_LINKS, NAME)}
    if isinstance(item, h5py.Dataset):
        bare = item.is_virtual or item.shape is None or is_bare(item)
        long = not bare and item.dtype.kind == "O" and item.ndim == 1 and len(item) > _SLICE
        found[_VALUES] = (
            _checksum_of_texts(item)
            if long
            else _checksum(f"{item.shape} {item.dtype}" if bare else item[()])
        )
    return found


def write_checksums(file: h5py.File) -> None:
    """Put the checksums of everything in the file into it."""
    file.attrs[NAME] = json.dumps({name: checksums(item) for name, item in walk(file)})


def read_checksums(file: h5py.File) -> dict[str, dict[str, str]] | None:
    """Return what :func:`write_checksums` wrote; None if it did not.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    text = file.attrs.get(NAME)
    if text is None:
        return None
    recorded = json.loads(text)
    if not isinstance(recorded, dict) or not all(isinstance(sums, dict) for sums in recorded.values()):
        raise ValueError(f"attribute '{NAME}' holds no checksums")
    return recorded


def changed(recorded: dict[str, str], found: dict[str, str]) -> list[str]:
    """Name what of an object is not as recorded: attributes, and "its values"; what was added does not count."""
    return [
        f"attribute '{name}'" if name != _VALUES else "its values"
        for name, own in recorded.items()
        if found.get(name) != own
    ]


def _checksum_of_texts(item: h5py.Dataset) -> str:
    """Return what :func:`_checksum` does of a long list of texts, read slice by slice."""
    starts, lengths = range(0, len(item), _SLICE), list[int]()
    for start in starts:
        lengths += map(len, item[start : start + _SLICE])
    digest = xxhash.xxh3_64(f"text {item.shape} {lengths}".encode())
    for start in starts:
        digest.update(b"".join(item[start : start + _SLICE]))
    return digest.hexdigest()


def _checksum(value: object) -> str:
    """Of text, numbers or arrays of them: of kind, shape and every byte."""
    digest = xxhash.xxh3_64()
    array = np.asarray(value)
    if isinstance(value, h5py.Empty):
        array = np.asarray(f"empty {value.dtype}")
    if array.dtype.kind == "O":
        parts = [part if isinstance(part, bytes) else str(part).encode() for part in array.ravel().tolist()]
        digest.update(f"text {array.shape} {[len(part) for part in parts]}".encode())
        digest.update(b"".join(parts))
    else:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
