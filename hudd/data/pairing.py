"""The same images in two sets: found by their identifiers, by their pixels where these are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pairing:
    """Images that two sets share.

    Attributes
    ----------
    rows, other_rows : numpy.ndarray
        (n,) int64 rows of the shared images in either set, ascending in the first.
    by_name : int
        How many of them have the same identifier; the others only have the same pixels.
    checked : bool
        Whether the pixels are known in both sets, so that images that merely have the same identifier are not paired.
    """

    rows: np.ndarray
    other_rows: np.ndarray
    by_name: int
    checked: bool


def pair_images(
    paths: Sequence[str],
    other_paths: Sequence[str],
    pixels: np.ndarray | None = None,
    other_pixels: np.ndarray | None = None,
) -> Pairing:
    """Find the images that two sets share.

    Parameters
    ----------
    paths, other_paths : sequence of str
        The N and M identifiers, no two the same in a set.
    pixels, other_pixels : numpy.ndarray, optional
        (N, 2) and (M, 2) hashes of the pixels, see :class:`hudd.data.prints.Prints`. Where both are given, an image is
        paired only with one of the same pixels: first the one of the same identifier, then, in the order of the rows,
        one of another identifier that nothing is paired with.
    """
    there = {path: row for row, path in enumerate(other_paths)}
    checked = pixels is not None and other_pixels is not None
    keys, other_keys = (_keys(one, checked) for one in (pixels, other_pixels))
    paired = {
        row: there[path]
        for row, path in enumerate(paths)
        if path in there and (not checked or keys[row] == other_keys[there[path]])
    }
    by_name = len(paired)
    if checked:
        taken, free = set(paired.values()), dict[tuple[int, ...], list[int]]()
        for other_row in reversed(range(len(other_paths))):
            if other_row not in taken:
                free.setdefault(other_keys[other_row], []).append(other_row)
        for row, key in enumerate(keys):
            if row not in paired and free.get(key):
                paired[row] = free[key].pop()
    rows = np.array(sorted(paired), np.int64)
    return Pairing(rows, np.array([paired[row] for row in rows.tolist()], np.int64), by_name, checked)


def _keys(pixels: np.ndarray | None, wanted: bool) -> list[tuple[int, ...]]:
    return list(map(tuple, pixels.tolist())) if wanted and pixels is not None else []
