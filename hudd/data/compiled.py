"""What the compiled core makes of decoded colour images of one size, in the thread that asks and without the GIL."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from hudd import _core


def is_taken(images: np.ndarray) -> bool:
    """Say whether the core takes images: those in colour."""
    return images.ndim == 4 and images.shape[3] == 3 and images.size > 0


def planes(images: np.ndarray, scale: float, mean: Any, std: Any) -> np.ndarray:
    """Return (n, 3, H, W) float32, ``(images * scale - mean) / std``, of (n, H, W, 3) uint8 images.

    `mean` and `std` are numbers, or one for each channel. Every operation rounds to float32, as in NumPy.
    """
    values = np.empty((len(images), 3, *images.shape[1:3]), np.float32)
    _core.image_planes(_handed(images), values.__dlpack__(), scale, _of_channels(mean), _of_channels(std))
    return values


@lru_cache(maxsize=16)
def _of_channels(numbers: Any) -> tuple[float, ...]:
    """Return three numbers rounded to float32; kept, as making them takes a tenth of the time of small planes."""
    return tuple(np.broadcast_to(np.asarray(numbers, np.float32), 3).tolist())


def prints(images: np.ndarray, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return hashes, (n, 2) uint64, and thumbnails, (n, rows, columns) uint8, see :class:`hudd.data.prints.Prints`."""
    pixels, thumbnails = (
        np.empty((len(images), 2), np.uint64),
        np.empty((len(images), rows, columns), np.uint8),
    )
    _core.image_prints(_handed(images), pixels.__dlpack__(), thumbnails.__dlpack__())
    return pixels, thumbnails


def _handed(images: np.ndarray) -> Any:
    """Return images as a DLPack capsule, which NumPy makes of writable arrays alone."""
    there = images.flags.c_contiguous and images.flags.writeable
    return (images if there else images.copy()).__dlpack__()
