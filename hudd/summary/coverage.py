"""How the images of a study cover the operational design domain, cell by cell, and where the DNN fails."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hudd.evaluation import Region, wilson
from hudd.evaluation.numbers import format_exactly

MISSING = "<missing>"
"""The bucket of an image whose number is not known."""


@dataclass(frozen=True)
class Axis:
    """An attribute of the domain in buckets.

    Attributes
    ----------
    name : str
        Its name.
    edges : tuple of float
        Ends of the buckets, ascending; the last bucket holds its upper end. Empty for texts.
    values : tuple of str
        Of texts, one bucket each.
    """

    name: str
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()

    @property
    def buckets(self) -> list[str]:
        """What its buckets are called, in order."""
        if not self.edges:
            return list(self.values)
        pairs, last = list(zip(self.edges, self.edges[1:])), len(self.edges) - 2
        return [
            f"[{format_exactly(low)}, {format_exactly(high)}{']' if at == last else ')'}"
            for at, (low, high) in enumerate(pairs)
        ]

    def places(self, column: np.ndarray) -> np.ndarray:
        """Return the bucket of each value, (N,) int64; as many as there are buckets where it is not known."""
        if not self.edges:
            place = {value: at for at, value in enumerate(self.values)}
            return np.array([place[value] for value in column.astype(str).tolist()], np.int64)
        numbers = column.astype(np.float64)
        found = np.clip(np.searchsorted(self.edges, numbers, "right") - 1, 0, len(self.edges) - 2)
        return np.where(np.isfinite(numbers), found, len(self.edges) - 1).astype(np.int64)


def axes_of(regions: Sequence[Region], columns: Sequence[Mapping[str, np.ndarray]]) -> list[Axis]:
    """Divide what regions ask about into buckets, at the bounds that they have.

    Parameters
    ----------
    regions : sequence of Region
        At least one bound in all.
    columns : sequence of mapping of str to np.ndarray
        Columns of each set of images, all of which the buckets hold.

    Returns
    -------
    list of Axis
        In the order in which the regions ask.
    """
    bounds = [bound for region in regions for bound in region.bounds]
    found = []
    for name in dict.fromkeys(bound.parameter for bound in bounds):
        own, sets = (
            [bound for bound in bounds if bound.parameter == name],
            [one[name] for one in columns if name in one],
        )
        if any(bound.value is not None for bound in own):
            asked = {bound.value for bound in own if bound.value is not None}
            texts = {value for column in sets for value in column.astype(str).tolist()}
            found.append(Axis(name, values=tuple(sorted(asked | texts))))
        else:
            ends = {end for bound in own for end in (bound.low, bound.high) if math.isfinite(end)}
            found.append(Axis(name, edges=_edges(ends, [column.astype(np.float64) for column in sets])))
    return found


def _edges(ends: set[float], columns: Sequence[np.ndarray]) -> tuple[float, ...]:
    """Return bounds with an edge below and above them, so that all numbers lie between the first and the last."""
    numbers = np.concatenate([column[np.isfinite(column)] for column in columns])
    low, high = min(ends), max(ends)
    least, most = (float(numbers.min()), float(numbers.max())) if len(numbers) else (low, high)
    beyond = {most} if most > high else {high + max(high - min(low, least), 1.0)}  # the last bucket is closed
    return tuple(sorted(ends | beyond | ({least} if least < low else set())))


def coverage(
    axes: Sequence[Axis], columns: Mapping[str, np.ndarray], known: np.ndarray, failed: np.ndarray
) -> list[dict[str, Any]]:
    """Count the images of a set in each cell that has any: one bucket of each axis.

    Parameters
    ----------
    axes : sequence of Axis
        The domain.
    columns : mapping of str to np.ndarray
        (N,) columns of the images.
    known, failed : np.ndarray
        (N,) bool: images with a label, and those of them that the DNN gets wrong.

    Returns
    -------
    list of dict
        ``cell``, the names of its buckets, and the figures of :func:`counted`; most images first.
    """
    count = len(known)
    places = np.stack([
        axis.places(columns[axis.name]) if axis.name in columns else np.full(count, len(axis.buckets))
        for axis in axes
    ])  # fmt: skip
    cells, of = np.unique(places, axis=1, return_inverse=True)
    names = [[*axis.buckets, MISSING] for axis in axes]
    rows = []
    for number, cell in enumerate(cells.T.tolist()):
        inside = np.ravel(of) == number
        called = [own[place] for own, place in zip(names, cell)]
        rows.append({"cell": called, **counted(inside, known, failed)})
    return sorted(rows, key=lambda row: (-row["images"], row["cell"]))


def counted(inside: np.ndarray, known: np.ndarray, failed: np.ndarray) -> dict[str, Any]:
    """Count images, those with a label, failures; their rate with Wilson's 95 % interval, all (N,) bool."""
    labelled, failures = int((inside & known).sum()), int((inside & known & failed).sum())
    low, high = wilson(failures, labelled)
    rate = failures / labelled if labelled else math.nan
    return {
        "images": int(inside.sum()),
        "labelled": labelled,
        "failures": failures,
        "rate": rate,
        "low": low,
        "high": high,
    }
