"""What training and prediction need of a set of images, and how they read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from hudd.errors import UsageError


@runtime_checkable
class Images(Protocol):
    """A sized set of images that loads any of them, ready for the network."""

    def __len__(self) -> int: ...

    def load(self, indices: np.ndarray) -> torch.Tensor:
        """Return the images as (n, C, H, W) float32."""
        ...


class TensorImages:
    """Images held as one (N, ...) tensor or array; uint8 is read as intensity / 255."""

    def __init__(self, images: torch.Tensor | np.ndarray) -> None:
        self.images = torch.as_tensor(images)

    def __len__(self) -> int:
        return len(self.images)

    def load(self, indices: np.ndarray) -> torch.Tensor:
        """Return the images as (n, ...) float32."""
        rows = self.images[torch.as_tensor(indices, dtype=torch.long)]
        return rows.float() / 255 if rows.dtype == torch.uint8 else rows.float()


class JoinedImages:
    """Chosen rows of several image sets, one after the other; rows may repeat. Each set is cached."""

    def __init__(self, parts: Sequence[tuple[Images, np.ndarray]]) -> None:
        self.sets = [cached(images) for images, _ in parts]
        self.part = np.repeat(np.arange(len(parts)), [len(rows) for _, rows in parts])
        self.row = np.concatenate([np.asarray(rows, np.int64) for _, rows in parts])

    def __len__(self) -> int:
        return len(self.row)

    def load(self, indices: np.ndarray) -> torch.Tensor:
        """Return the images as (n, C, H, W) float32."""
        indices = np.asarray(indices, np.int64)
        parts = self.part[indices]
        order = np.argsort(parts, kind="stable")
        loaded = [self.sets[p].load(self.row[indices[parts == p]]) for p in np.unique(parts)]
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        return torch.cat(loaded)[torch.from_numpy(back)]


class CachedImages:
    """Keeps every loaded image, so that later epochs and runs decode nothing; passes through what is too big.

    Parameters
    ----------
    images : Images
        What to read; its images must not change between two readings.
    memory : int
        Bytes that all images together may take; 0 from the moment that they turn out to be more.
    """

    def __init__(self, images: Images, memory: int = 1 << 30) -> None:
        self.images, self.memory = images, memory
        self._store: torch.Tensor | None = None
        self._have = np.zeros(len(images), bool)

    def __len__(self) -> int:
        return len(self.images)

    def load(self, indices: np.ndarray) -> torch.Tensor:
        """Return the images as (n, C, H, W) float32."""
        indices = np.asarray(indices, np.int64)
        missing = np.unique(indices[~self._have[indices]])
        if not self.memory:
            return self.images.load(indices)
        if len(missing):
            loaded = self.images.load(missing)
            if self._store is None:
                if len(self) * loaded[0].numel() * loaded.element_size() > self.memory:
                    self.memory = 0
                    return loaded[torch.from_numpy(np.searchsorted(missing, indices))]
                with torch.inference_mode(False):  # what is made in it cannot be trained on
                    self._store = torch.empty((len(self), *loaded.shape[1:]), dtype=loaded.dtype)
            self._store[torch.from_numpy(missing)] = loaded
            self._have[missing] = True
        assert self._store is not None  # something has been loaded
        return self._store[torch.from_numpy(indices)]


def as_images(images: Any) -> Images:
    """Accept a tensor, an array or anything with ``len()`` and ``load(indices)``.

    Raises
    ------
    UsageError
        If it is none of these.
    """
    if isinstance(images, torch.Tensor | np.ndarray):
        return TensorImages(images)
    if isinstance(images, Images):
        return images
    raise UsageError(
        "images must be a tensor, an array or a source with len() and load(indices), "
        f"not {type(images).__name__}."
    )


def cached(images: Images) -> Images:
    """Keep what is decoded, unless it is in memory already."""
    return images if isinstance(images, TensorImages | CachedImages | JoinedImages) else CachedImages(images)


def as_labels(labels: Any, images: Any, count: int) -> torch.Tensor:
    """Labels as a tensor, int64 classes or float32 targets, one per image; a source's own where None is given.

    Raises
    ------
    UsageError
        If there are none, their number differs, or a class is negative (unknown).
    """
    if labels is None:
        labels = getattr(images, "labels", None)
        if labels is None:
            raise UsageError("the images carry no labels; give them with the images.")
    tensor = torch.as_tensor(np.asarray(labels))
    if len(tensor) != count:
        raise UsageError(f"there are {count} images but {len(tensor)} labels; give one per image.")
    if tensor.is_floating_point():
        return tensor.float()
    tensor = tensor.long()
    if (tensor < 0).any():
        rows = torch.nonzero(tensor < 0).flatten()[:5].tolist()
        raise UsageError(
            f"the labels of rows {rows} are negative, that is unknown; label them or leave them out."
        )
    return tensor


def read_ahead(images: Images, pieces: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Yield ``(indices, images)`` for each piece in order, the next piece loading in a thread meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        ahead = [pool.submit(images.load, piece) for piece in pieces[:1]]
        for number, piece in enumerate(pieces):
            loaded = ahead.pop().result()
            if number + 1 < len(pieces):
                ahead.append(pool.submit(images.load, pieces[number + 1]))
            yield piece, loaded
