"""An array of a study that is read when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from hudd.errors import HuddError
from hudd.store.encoding import read
from hudd.store.guard import check_size


class Stored:
    """A dataset on disk, behind the face of an array; its file is open only while it is read.

    Parameters
    ----------
    path : Path
        The HDF5 file.
    name : str
        The dataset in it.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype

    Raises
    ------
    HuddError
        If a shard that it is made of is missing.

    Examples
    --------
    >>> heatmaps = study.heatmaps_of("features.3")  # doctest: +SKIP
    >>> heatmaps[:10], heatmaps.numpy(), heatmaps.torch()  # doctest: +SKIP
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        with self.open() as dataset:
            self.shape: tuple[int, ...] = dataset.shape
            self.dtype: np.dtype = dataset.dtype
            sources = dataset.virtual_sources() if dataset.is_virtual else []
            missing = [s.file_name for s in sources if not (path.parent / s.file_name).is_file()]
        if missing:
            raise HuddError(f"shard '{path.parent / missing[0]}' is missing; its step computes it again.")

    @contextmanager
    def open(self) -> Iterator[h5py.Dataset]:
        """Open the file and give the dataset itself, for as long as the body runs."""
        with h5py.File(self.path, locking=False) as file:
            item = file.get(self.name)
            if not isinstance(item, h5py.Dataset) or not item.shape:
                raise HuddError(
                    f"'{self.path}' is damaged (no array at '{self.name}'); restore it from a copy, or run the study "
                    "anew in another directory."
                )
            yield item

    def __getitem__(self, key: Any) -> np.ndarray:
        """Read some of it, by h5py's rules of indexing."""
        with self.open() as dataset:
            if key is Ellipsis:
                check_size(dataset, dataset.nbytes)
            return read(dataset, key)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<{'x'.join(map(str, self.shape))} {self.dtype} in '{self.path}', not yet read>"

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.numpy().astype(dtype or self.dtype, copy=False)

    def numpy(self) -> np.ndarray:
        """Read all of it."""
        return self[...]

    def torch(self) -> torch.Tensor:
        """Read all of it as a tensor."""
        return torch.from_numpy(self.numpy())
