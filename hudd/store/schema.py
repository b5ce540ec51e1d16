"""The datasets of ``study.h5``: each with a description, its units and its dimensions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hudd.errors import UsageError

FORMAT = "hudd-study"
VERSION = 1
MINOR = 5  # raised when something is added that readers of the same VERSION may pass over; absent counts as 0

# netCDF-4's convention for a dimension that has a length but no coordinates; it takes no storage.
_BARE = "This is a netCDF dimension but not a netCDF variable.{:10d}"


def minor_version(file: h5py.File) -> int:
    """Return the minor version of a study's file; what a later one has added is not known here."""
    return int(file.attrs.get("minor", 0))


def check_format(file: h5py.File, path: Path, *, writing: bool = False) -> None:
    """Refuse what is no study of this version.

    Parameters
    ----------
    file : h5py.File
        Open.
    path : Path
        Where it stands.
    writing : bool
        Refuse a later minor version, too: what it has added would be lost.

    Raises
    ------
    UsageError
        Saying what the file is and which hudd reads it.
    """
    found = file.attrs.get("format")
    if found != FORMAT:
        what = f"of format '{found}'" if found is not None else "without a 'format' attribute"
        raise UsageError(f"'{path}' is an HDF5 file {what}, not a {FORMAT}; name a directory that hudd made.")
    version = file.attrs.get("version")
    if version != VERSION:
        writer = file.attrs.get("hudd_version", "unknown")
        raise UsageError(
            f"'{path}' is a {FORMAT} of version {version}, written by hudd {writer}; this hudd reads version "
            f"{VERSION}: use the hudd that wrote it, or run the study again in another directory."
        )
    if writing and minor_version(file) > MINOR:
        writer = file.attrs.get("hudd_version", "unknown")
        raise UsageError(
            f"'{path}' is a {FORMAT} of version {VERSION}.{minor_version(file)}, written by hudd {writer}; this hudd "
            f"reads it, but would lose what is later than version {VERSION}.{MINOR}: change it with the hudd that "
            "wrote it, or run the study again in another directory."
        )


_SLICE = 65_536  # texts that are objects at once


def write_dataset(
    group: h5py.Group,
    name: str,
    data: Any,
    *,
    description: str,
    dims: tuple[str, ...],
    units: str = "1",
    scale: bool = False,
    compress: bool = False,
) -> h5py.Dataset:
    """Write `data` as ``group/name``, replacing what was there.

    Parameters
    ----------
    group : h5py.Group
        Where to.
    name : str
        Dataset name; "/" makes groups on the way.
    data : array_like or h5py.VirtualLayout
        The values; text becomes UTF-8 strings, of a long sequence slice by slice.
    description : str
        What the values are, for the reader of the file.
    dims : tuple of str
        Name of each dimension. A dataset of that name in the group or one of its ancestors becomes the
        dimension scale; where there is none, a bare one (a length without values) is made next to the dataset.
    units : str
        Units of the values; "1" for pure numbers.
    scale : bool
        The dataset is itself the scale of its only dimension.
    compress : bool
        Compress an array, as one that is mostly of one value.

    Returns
    -------
    h5py.Dataset
    """
    if name in group:
        del group[name]
    how: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if compress else {}
    if isinstance(data, h5py.VirtualLayout):
        fill = np.nan if np.issubdtype(data.dtype, np.floating) else None
        dataset = group.create_virtual_dataset(name, data, fillvalue=fill)
    elif _is_list(data) and len(data) > _SLICE and isinstance(data[0], str):
        dataset = group.create_dataset(name, (len(data),), h5py.string_dtype(), track_times=False, **how)
        for start in range(0, len(data), _SLICE):
            texts = list(data[start : start + _SLICE])
            objects = np.empty(len(texts), object)  # as an array of text they would be copied twice more
            objects[:] = texts
            dataset[start : start + _SLICE] = objects
    else:
        dataset = group.create_dataset(name, data=_storable(data), track_times=False, **how)
    dataset.attrs["description"] = description
    dataset.attrs["units"] = units
    if scale:
        dataset.make_scale(dims[0])
        return dataset
    for axis, dim in enumerate(dims):
        dataset.dims[axis].label = dim
        dataset.dims[axis].attach_scale(_find_scale(dataset.parent, dim, dataset.shape[axis]))
    return dataset


def read_text(dataset: h5py.Dataset) -> np.ndarray:
    """Return a text dataset as a NumPy array of `str` objects."""
    text: np.ndarray = dataset.asstr()[...]
    return text


def read_values(dataset: h5py.Dataset) -> np.ndarray:
    """Return a dataset as an array, text as `str` objects."""
    return read_text(dataset) if h5py.check_string_dtype(dataset.dtype) else dataset[...]


def is_bare(dataset: h5py.Dataset) -> bool:
    """Whether a dataset is a dimension without coordinates: a length, whose values nobody wrote."""
    name = dataset.attrs.get("NAME", b"")
    return dataset.is_scale and bytes(name).startswith(_BARE.partition("{")[0].encode())


def drop(group: h5py.Group, names: Iterable[str]) -> None:
    """Remove members of `group`, those that are there."""
    for name in names:
        if name in group:
            del group[name]


def _is_list(data: Any) -> bool:
    return isinstance(data, Sequence) and not isinstance(data, (str, bytes))


def _storable(data: Any) -> Any:
    array = np.asarray(data)
    if array.dtype.kind in "UO":
        return np.asarray([str(value) for value in array.ravel()], dtype=h5py.string_dtype()).reshape(
            array.shape
        )
    return array


def _find_scale(group: h5py.Group, dim: str, length: int) -> h5py.Dataset:
    place = group
    while True:
        found = place.get(dim)
        if isinstance(found, h5py.Dataset) and found.is_scale and found.shape == (length,):
            return found
        if place.name == "/":
            break
        place = place.parent
    drop(group, [dim])
    bare = group.create_dataset(dim, shape=(length,), dtype="i4", track_times=False)
    bare.attrs["description"] = "dimension without coordinates"
    bare.attrs["units"] = "1"
    bare.make_scale(_BARE.format(length))
    return bare
