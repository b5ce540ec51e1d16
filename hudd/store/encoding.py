"""Arrays as the bytes of an HDF5 file, without HDF5 ever touching the disk, plain or compressed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import h5py
import numpy as np

from hudd.errors import HuddError, UsageError

_CHUNK = 1 << 20  # bytes of a compressed chunk, about
_PLUGINS: dict[str, tuple[str, dict[str, Any]]] = {
    "zstd": ("Zstd", {}),
    "lz4": ("LZ4", {}),
    "blosc2": ("Blosc2", {"cname": "zstd", "filters": 1}),
    "bitshuffle": ("Bitshuffle", {"cname": "zstd"}),
}
COMPRESSIONS = ("none", "gzip", "lzf", *_PLUGINS)

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
    if name in _PLUGINS and not _plugins():
        raise UsageError(
            f"compression '{name}' needs hdf5plugin: 'pip install hudd[compression]', or choose gzip or lzf."
        )


def encode(arrays: Mapping[str, np.ndarray], compression: str = "none") -> list[bytes | memoryview]:
    """Return the bytes of an HDF5 file that holds `arrays`, in pieces to be written one after the other.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        By dataset name. Without compression they are not copied: they are pieces themselves.
    compression : str
        One of :data:`COMPRESSIONS`.
    """
    if compression != "none" or not all(array.size for array in arrays.values()):
        return [_image(arrays, compression)]
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    shapes = tuple((name, array.dtype.str, array.shape) for name, array in arrays.items())
    pieces: list[bytes | memoryview] = []
    for before, name in _frame(shapes):
        pieces.append(before)
        if name:
            pieces.append(arrays[name].reshape(-1).view(np.uint8).data)
    return pieces


def read(dataset: h5py.Dataset, key: Any = ...) -> np.ndarray:
    """Read from a dataset, loading the decompressor that it needs.

    Raises
    ------
    HuddError
        If the decompressor is not installed, or the file is damaged.
    """
    try:
        return dataset[key]
    except OSError as error:
        if "filter" not in str(error).lower() and "plugin" not in str(error).lower():
            raise HuddError(f"'{dataset.file.filename}' cannot be read ({error}).") from error
    if not _plugins():
        raise HuddError(
            f"'{dataset.file.filename}' is compressed by a filter of hdf5plugin: 'pip install hudd[compression]'."
        )
    return dataset[key]


@lru_cache(maxsize=4)
def _frame(shapes: Shapes) -> tuple[tuple[bytes, str], ...]:
    """What stands before each array in a file of such arrays, in file order, and after the last."""
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    settings.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    with _memory_file() as file:
        for name, dtype, shape in shapes:
            file.create_dataset(name, shape, dtype, dcpl=settings, track_times=False)
        file.flush()
        image = file.id.get_file_image()
        places = sorted((file[name].id.get_offset(), file[name].nbytes, name) for name, _, _ in shapes)
    frame, at = [], 0
    for offset, size, name in places:
        frame.append((image[at:offset], name))
        at = offset + size
    return (*frame, (image[at:], ""))


def _image(arrays: Mapping[str, np.ndarray], compression: str) -> bytes:
    with _memory_file() as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, track_times=False, **_filters(array, compression))
        file.flush()
        return file.id.get_file_image()


def _memory_file() -> h5py.File:
    return h5py.File("shard", "w", driver="core", backing_store=False, block_size=1 << 20, libver="v110")


def _filters(array: np.ndarray, compression: str) -> dict[str, Any]:
    if compression == "none" or not array.size:
        return {}
    rows = min(len(array), max(1, _CHUNK // max(1, array[0].nbytes)))
    chunks = {"chunks": (rows, *array.shape[1:])}
    if compression not in _PLUGINS:
        return {**chunks, "compression": compression, "shuffle": True}
    check_compression(compression)
    plugin, options = _PLUGINS[compression]
    return {**chunks, **getattr(importlib.import_module("hdf5plugin"), plugin)(**options)}


def _plugins() -> bool:
    """Load hdf5plugin, whose import registers its filters, and say whether it is there."""
    try:
        importlib.import_module("hdf5plugin")
    except ImportError:
        return False
    return True
