"""An array of a study that is read when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from hudd.errors import HuddError
from hudd.store.encoding import read
from hudd.store.files import missing_resource, read_error
from hudd.store.guard import check_size

if TYPE_CHECKING:
    import torch


def read_whole(dataset: h5py.Dataset) -> np.ndarray:
    """Return all of a dataset, which may be made of shards.

    Raises
    ------
    HuddError
        If a shard is missing or cannot be opened, or it is larger than memory.
    """
    check_size(dataset, dataset.nbytes)
    with ExitStack() as stack:
        for shard in _shards(dataset):
            stack.enter_context(shard)  # open as long as is read, so that HDF5 finds every one
        return read(dataset)


def _shards(dataset: h5py.Dataset) -> Iterator[h5py.File]:
    """Open every shard that a dataset is made of: HDF5 silently fills in for one that it cannot open."""
    folder = Path(dataset.file.filename).parent
    for name in [source.file_name for source in dataset.virtual_sources()] if dataset.is_virtual else ():
        try:
            yield h5py.File(folder / name, locking=False)
            continue
        except FileNotFoundError:
            fault = "is missing"
        except OSError as error:
            if lack := missing_resource(error):
                raise read_error(folder / name, lack) from error
            fault = "is damaged"
        step = _STEPS.get("".join(Path(name).parts[1:2]), "heatmaps")
        raise HuddError(f"shard '{folder / name}' {fault}; 'hudd {step}' computes it again.")


_STEPS = {"distances": "distances", "nearest": "select"}


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
        If a shard that it is made of is missing, or cannot be opened.

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
            for shard in _shards(dataset):
                shard.close()

    @contextmanager
    def open(self) -> Iterator[h5py.Dataset]:
        """Open the file and give the dataset itself, for as long as the body runs."""
        with h5py.File(self.path, locking=False) as file:
            item = file.get(self.name)
            if not isinstance(item, h5py.Dataset) or not item.shape:
                raise HuddError(
                    f"'{self.path}' is damaged (no array at '{self.name}'); restore it from a copy, or run the study "
                    "again in another directory."
                )
            yield item

    def __getitem__(self, key: Any) -> np.ndarray:
        """Read some of it, by h5py's rules of indexing."""
        with self.open() as dataset:
            return read_whole(dataset) if key is Ellipsis else read(dataset, key)

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
        import torch

        return torch.from_numpy(self.numpy())
