"""Arrays as the bytes of an HDF5 file, without HDF5 ever touching the disk, plain or compressed."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import h5py
import numpy as np

from hudd.errors import HuddError, UsageError
from hudd.parts import COMPRESSIONS
from hudd.store.files import BLOCK

_CHUNK = 1 << 20  # bytes of a compressed chunk, about
Shapes = tuple[tuple[str, str, tuple[int, ...]], ...]


def check_compression(name: str) -> None:
    """Refuse a compression that is unknown or not installed.

    Raises
    ------
    UsageError
        Listing those that exist, or saying what to install.
    """
    if name not in COMPRESSIONS:
        raise UsageError(f"compression '{name}' is unknown; choose one of: {', '.join(COMPRESSIONS)}.")
    if COMPRESSIONS[name] and not _plugins():
        raise UsageError(
            f"compression '{name}' needs hdf5plugin: run pip install '.[compression]' in hudd's source "
            "tree, or choose gzip or lzf."
        )


class FileImage:
    """An HDF5 file in memory, whose arrays are filled in where they stand in it and can be filled again.

    Parameters
    ----------
    shapes : tuple of (str, str, tuple of int)
        Name, dtype and shape of each dataset.
    before : int
        Bytes before the HDF5 file, for whoever writes it.
    compression : str
        One of :data:`COMPRESSIONS`.

    Attributes
    ----------
    shapes
        As given.
    arrays : dict of str to ndarray
        The datasets; their values are arbitrary at first.
    """

    def __init__(self, shapes: Shapes, before: int = 0, compression: str = "none") -> None:
        self.shapes, self._before, self._compression = shapes, before, compression
        self._in_place = compression == "none" and all(math.prod(shape) for _, _, shape in shapes)
        if not self._in_place:
            self.arrays = {name: np.empty(shape, dtype) for name, dtype, shape in shapes}
            return
        self._size, pieces, places = _frame(shapes)
        self._room = _room(before + self._size)
        for at, piece in pieces:
            self._room[before + at : before + at + len(piece)] = np.frombuffer(piece, np.uint8)
        self.arrays = {
            name: np.ndarray(shape, dtype, self._room.data, before + places[name])
            for name, dtype, shape in shapes
        }

    def encoded(self) -> tuple[memoryview, int]:
        """Return the bytes and how many of them are the file: those after it fill up a block of the disk."""
        if self._in_place:
            return self._room.data, self._before + self._size
        content = _compressed(self.arrays, self._compression)
        room, size = _room(self._before + len(content)), self._before + len(content)
        room[self._before : size] = np.frombuffer(content, np.uint8)
        return room.data, size


def read(dataset: h5py.Dataset, key: Any = ...) -> np.ndarray:
    """Read from a dataset, loading the decompressor that it needs.

    Raises
    ------
    HuddError
        If the decompressor is not installed, or the file is damaged.
    """
    values: np.ndarray
    try:
        values = dataset[key]
    except OSError as error:
        if "filter" not in str(error).lower() and "plugin" not in str(error).lower():
            raise HuddError(f"'{dataset.file.filename}' cannot be read ({error}).") from error
        if not _plugins():
            raise HuddError(
                f"'{dataset.file.filename}' is compressed by a filter of hdf5plugin: run pip install "
                "'.[compression]' in hudd's source tree."
            ) from error
        values = dataset[key]
    return values


def _room(size: int) -> np.ndarray:
    """Return bytes that begin at a block of memory and fill whole blocks, as unbuffered writing asks for."""
    length = -(-size // BLOCK) * BLOCK
    room = np.empty(length + BLOCK, np.uint8)
    start = -room.ctypes.data % BLOCK
    room[start + size : start + length] = 0
    return room[start : start + length]


@lru_cache(maxsize=4)
def _frame(shapes: Shapes) -> tuple[int, tuple[tuple[int, bytes], ...], dict[str, int]]:
    """Size of an uncompressed file of such arrays, what it holds in addition, and where each begins."""
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    settings.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    with _memory_file() as file:
        for name, dtype, shape in shapes:
            file.create_dataset(name, shape, dtype, dcpl=settings, track_times=False)
        file.flush()
        image = file.id.get_file_image()
        places = {name: file[name].id.get_offset() for name, _, _ in shapes}
        ends = {name: places[name] + file[name].nbytes for name in places}
    pieces, at = [], 0
    for name in sorted(places, key=lambda name: places[name]):
        pieces.append((at, image[at : places[name]]))
        at = ends[name]
    return len(image), (*pieces, (at, image[at:])), places


def _compressed(arrays: Mapping[str, np.ndarray], compression: str) -> bytes:
    with _memory_file() as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, track_times=False, **_filters(array, compression))
        file.flush()
        image: bytes = file.id.get_file_image()
        return image


def _memory_file() -> h5py.File:
    return h5py.File("shard", "w", driver="core", backing_store=False, block_size=1 << 20, libver="v110")


def _filters(array: np.ndarray, compression: str) -> dict[str, Any]:
    if compression == "none" or not array.size:
        return {}
    rows = min(len(array), max(1, _CHUNK // max(1, array[0].nbytes)))
    chunks = {"chunks": (rows, *array.shape[1:])}
    filter_ = COMPRESSIONS[compression]
    if filter_ is None:
        return {**chunks, "compression": compression, "shuffle": True}
    check_compression(compression)
    plugin, options = filter_
    return {**chunks, **getattr(importlib.import_module("hdf5plugin"), plugin)(**options)}


def _plugins() -> bool:
    """Load hdf5plugin, whose import registers its filters, and say whether it is there."""
    try:
        importlib.import_module("hdf5plugin")
    except ImportError:
        return False
    return True
