"""Prints of images: by them the same image is found in two sets, and images that look alike."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hudd.data.base import ImageSource
from hudd.data.compiled import is_taken, prints
from hudd.data.transforms import Transform
from hudd.lazy import torch

ROWS, COLUMNS = (
    8,
    9,
)  # of a thumbnail; the signs of its 8 x 8 differences along the rows are the difference hash
FLAT_BITS = 8  # an image with fewer bits of the hash set has no structure to compare
_ALIKE_BITS = 3  # of 64 in which the difference hashes of images that look alike may differ
_ALIKE_LEVELS = 4.0  # of 255 in which their thumbnails may differ on average
_SAMPLED = 96  # pixels a side that a thumbnail is made of, at most


@dataclass(frozen=True)
class Prints:
    """Of n images.

    Attributes
    ----------
    pixels : numpy.ndarray
        (n, 2) uint64, the first 128 bits of the BLAKE2b hash of the decoded pixels as RGB, and of their size.
    thumbnail : numpy.ndarray
        (n, 8, 9) uint8, mean grey levels of the image cut into 8 rows and 9 columns.
    """

    pixels: np.ndarray
    thumbnail: np.ndarray


def prints_of(images: Sequence[np.ndarray]) -> Prints:
    """Return the prints of decoded images, each (H, W) or (H, W, 3) uint8."""
    alike = isinstance(images, np.ndarray) or len({image.shape for image in images}) == 1
    if alike and is_taken(stacked := np.asarray(images)):
        return Prints(*prints(stacked, ROWS, COLUMNS))
    pixels = np.array([_hash(image) for image in images], dtype=np.uint64).reshape(len(images), 2)
    if alike:
        return Prints(pixels, _thumbnails(stacked))
    thumbnails = [_thumbnails(image[None])[0] for image in images]
    return Prints(pixels, np.array(thumbnails, np.uint8).reshape(-1, ROWS, COLUMNS))


@dataclass(frozen=True)
class Loaded:
    """A batch with all that is made of it while it is decoded.

    Attributes
    ----------
    images : torch.Tensor or None
        (n, C, H, W) float32 as :meth:`ImageSource.load` gives them; None where :meth:`ImageSource.prepare` makes them
        of `decoded` in one pass, best right before they are used: they are four times as large, and new in the cache.
    decoded : sequence of numpy.ndarray
        The pixels of each.
    prints : Prints
    """

    images: torch.Tensor | None
    decoded: Sequence[np.ndarray]
    prints: Prints


def load_with_prints(source: ImageSource, rows: np.ndarray, encoded: Sequence[bytes | None]) -> Loaded:
    """Load images as :meth:`ImageSource.load` does, with their pixels and prints; files are decoded once.

    `encoded` is what :meth:`ImageSource.read_bytes` returned of them.
    """
    decoded: Any = _together(source, rows, encoded)
    prints = prints_of(decoded)
    if type(source).load is not ImageSource.load:
        return Loaded(source.load(rows), decoded, prints)
    transform, together = source.transform, isinstance(decoded, np.ndarray)
    if together and isinstance(transform, Transform) and transform.is_one_pass(decoded):
        return Loaded(None, decoded, prints)
    return Loaded(source.prepare(rows, decoded), decoded, prints)


def _together(
    source: ImageSource, rows: np.ndarray, encoded: Sequence[bytes | None]
) -> np.ndarray | list[np.ndarray]:
    """Decode images, those of one size into one array."""
    first = source.decode_bytes(rows[:1], encoded[:1])[0]
    room = np.empty((len(rows), *first.shape), first.dtype)
    places = list(room)
    decoded = [first, *source.decode_bytes(rows[1:], encoded[1:], places[1:])]
    elsewhere = [(place, image) for place, image in zip(places, decoded) if image is not place]
    if any(image.shape != first.shape or image.dtype != first.dtype for _, image in elsewhere):
        return decoded
    for place, image in elsewhere:
        place[...] = image
    return room


def difference_hash(thumbnail: np.ndarray) -> np.ndarray:
    """Return the 64-bit difference hashes, (n,) uint64, of (n, 8, 9) thumbnails.

    A bit says whether a field is brighter than the one to its left.

    References
    ----------
    N. Krawetz, "Kind of like that", The Hacker Factor Blog, 2013.
    """
    bits = thumbnail[:, :, 1:] > thumbnail[:, :, :-1]
    packed = np.packbits(bits.reshape(len(bits), 64), axis=1)
    return np.ascontiguousarray(packed).view(">u8").reshape(-1).astype(np.uint64)


def alike(
    one: np.uint64, thumbnail: np.ndarray, hashes: np.ndarray, thumbnails: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return which images look like one, (k,) int64 rows, and by how many of 255 grey levels they differ, (k,).

    The difference hashes, (n,) uint64, differ in at most 3 of 64 bits, and the thumbnails, (n, 8, 9), in at most 4 of
    255 levels on average.
    """
    near = np.flatnonzero(np.bitwise_count(hashes ^ one) <= _ALIKE_BITS)
    levels = np.abs(thumbnails[near].astype(np.float32) - thumbnail).mean(axis=(1, 2))
    kept = levels <= _ALIKE_LEVELS
    return near[kept], levels[kept]


def _hash(image: np.ndarray) -> tuple[int, int]:
    colour = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    sha = hashlib.blake2b(np.ascontiguousarray(colour).data, digest_size=16)
    sha.update(f"{image.shape[0]}x{image.shape[1]}".encode())
    digest = sha.digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")


def _thumbnails(images: np.ndarray) -> np.ndarray:
    """Mean grey levels of (n, H, W[, 3]) images of one size."""
    height, width = images.shape[1:3]
    images = images[:, :: -(-height // _SAMPLED), :: -(-width // _SAMPLED)]
    if images.ndim == 4:
        red, green, blue = (images[..., channel].astype(np.float32) for channel in range(3))
        grey = (red + green + blue) / np.float32(3)
    else:
        grey = images.astype(np.float32)
    for axis, fields in ((1, ROWS), (2, COLUMNS)):
        length = grey.shape[axis]
        edges = np.arange(fields + 1) * length // fields
        counts = np.maximum(np.diff(edges), 1).astype(np.float32)
        sums = np.add.reduceat(grey, edges[:-1], axis=axis)  # a field of no pixel takes the one at its edge
        grey = sums / counts.reshape([-1 if at == axis else 1 for at in range(3)])
    return np.round(grey).astype(np.uint8)
