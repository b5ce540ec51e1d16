"""A set divided in two, class by class, with images that belong together on one side."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hudd.data.base import ImageSource
from hudd.data.loader import loaded_ahead
from hudd.data.prints import FLAT_BITS, Prints, alike, difference_hash, prints_of
from hudd.errors import UsageError

_BATCH = 64
_LINKS = 1 << 22  # pairs of images that look alike, held at a time


def split_rows(labels: np.ndarray, groups: np.ndarray, share: float, *, seed: int) -> np.ndarray:
    """Choose whole groups that hold a share of the images, and about the same share of each class.

    Groups are drawn in random order, large ones before small ones; each goes to the side on which the shares of its
    classes, and of all images, then deviate less from what is wanted.

    Parameters
    ----------
    labels : np.ndarray
        (N,) int class of each image.
    groups : np.ndarray
        (N,) group of each image, numbers or text.
    share : float
        Of the images to choose, between 0 and 1.
    seed : int
        Of the order.

    Returns
    -------
    np.ndarray
        (N,) bool, True where an image is chosen. With a group an image, each class has its share to one image.
    """
    of_class = np.unique(labels, return_inverse=True)[1].ravel()
    of_group = np.unique(groups, return_inverse=True)[1].ravel()
    size, rng = np.bincount(of_group), np.random.default_rng(seed)
    order = rng.permutation(len(size))
    order = order[np.argsort(-size[order], kind="stable")]
    rows = np.split(np.argsort(of_group, kind="stable"), np.cumsum(size)[:-1])
    seen, taken = (np.zeros(of_class.max() + 2 if len(of_class) else 1) for _ in range(2))
    chosen = np.zeros(len(labels), bool)
    for group in order.tolist():
        classes, counts = np.unique(of_class[rows[group]], return_counts=True)
        at, counts = np.r_[classes, len(seen) - 1], np.r_[counts, counts.sum()]  # the last counts all images
        seen[at] += counts
        away = taken[at] - share * seen[at]
        if ((away + counts) ** 2 / seen[at]).sum() < (away**2 / seen[at]).sum():
            taken[at] += counts
            chosen[rows[group]] = True
    return chosen


def groups_alike(prints: Prints) -> np.ndarray:
    """Number the groups of images that are copies of each other or look alike, directly or through others.

    Parameters
    ----------
    prints : Prints
        Of N images.

    Returns
    -------
    np.ndarray
        (N,) int64 group of each image. Two look alike whose difference hashes differ in at most 3 of 64 bits and
        whose thumbnails in at most 4 of 255 grey levels on average; images without structure, only if they are copies.
    """
    hashes, thumbnails = difference_hash(prints.thumbnail), prints.thumbnail
    copies = np.unique(prints.pixels, axis=0, return_index=True, return_inverse=True)
    first = copies[1][copies[2].ravel()]
    one, other, waiting = [np.arange(len(hashes))], [first], 0
    structured = np.flatnonzero(np.bitwise_count(hashes) >= FLAT_BITS)
    for place, row in enumerate(structured.tolist()):
        rest = structured[place + 1 :]
        near = rest[alike(hashes[row], thumbnails[row], hashes[rest], thumbnails[rest])[0]]
        one.append(np.full(len(near), row))
        other.append(near)
        waiting += len(near)
        if waiting > _LINKS:  # what is linked so far is known by one member of each group
            groups = _linked(one, other)
            one, other, waiting = (
                [np.arange(len(groups))],
                [np.unique(groups, return_index=True)[1][groups]],
                0,
            )
    return _linked(one, other)


def _linked(one: list[np.ndarray], other: list[np.ndarray]) -> np.ndarray:
    """Return the group of each image, (N,) int64, where pairs of them are linked, first each to itself or another."""
    pairs, count = (np.concatenate(one), np.concatenate(other)), len(one[0])
    links = coo_array((np.ones(len(pairs[0]), bool), pairs), shape=(count, count))
    groups: np.ndarray = connected_components(links, directed=False)[1].astype(np.int64)
    return groups


def groups_of(source: ImageSource, column: str | None, *, workers: int | None = 2) -> np.ndarray:
    """Return which images of a source belong together: those alike in a column, by default those that look alike.

    Parameters
    ----------
    source : ImageSource
        N images.
    column : str or None
        A parameter: track, driver, sequence. Images where it is empty are groups of their own.
    workers : int or None
        Decoding threads, where images are looked at.

    Returns
    -------
    np.ndarray
        (N,) int64.

    Raises
    ------
    UsageError
        If there is no such column.
    """
    if column is not None:
        if column not in source.parameters:
            names = ", ".join(source.parameters) or "none"
            raise UsageError(
                f"judge_groups is '{column}', which is no column of the test set; its columns are: {names}."
            )
        values = source.parameters[column]
        groups: np.ndarray = np.unique(values, return_inverse=True)[1].ravel().astype(np.int64)
        empty = np.isnan(values) if values.dtype.kind == "f" else values == ""
        groups[empty] = len(groups) + np.arange(np.count_nonzero(empty))
        return groups
    parts = [np.arange(at, min(at + _BATCH, len(source))) for at in range(0, len(source), _BATCH)]

    def load(rows: np.ndarray) -> Prints:
        return prints_of([source.pixels(int(row)) for row in rows])

    found = [prints for _, prints in loaded_ahead(load, parts, workers)]
    return groups_alike(
        Prints(
            np.concatenate([one.pixels for one in found]), np.concatenate([one.thumbnail for one in found])
        )
    )
