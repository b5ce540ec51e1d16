"""Images that sets share, or that one set holds twice: the same pixels, the same look, and labels that contradict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from hudd.data.prints import FLAT_BITS, Prints, alike, difference_hash

_MOST_PAIRS = 200_000_000  # that are compared between two sets
_SHOWN = 5


@dataclass(frozen=True)
class Shared:
    """Images of one set that are in another one too.

    Attributes
    ----------
    sets : tuple of str
        Names of the two sets; the images are counted in the first.
    same, alike : int
        Images with the same pixels; others that look alike.
    compared : int
        Images of the first set that were compared by their look.
    pairs, alike_pairs : list of (str, str)
        The first few, by their identifiers.
    """

    sets: tuple[str, str]
    same: int = 0
    alike: int = 0
    compared: int = 0
    pairs: list[tuple[str, str]] = field(default_factory=list)
    alike_pairs: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Overlap:
    """What sets share.

    Attributes
    ----------
    shared : list of Shared
        Pairs of sets that share anything.
    doubles : dict of str to int
        Set to the number of its images that are in it once more.
    contradicting : int
        Images whose copies have different labels.
    contradictions : list of list of str
        The first few: where a copy is, its label, where another is, its label.
    """

    shared: list[Shared] = field(default_factory=list)
    doubles: dict[str, int] = field(default_factory=dict)
    contradicting: int = 0
    contradictions: list[list[str]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Overlap:
        """Return what :meth:`to_json` wrote."""
        shared = [Shared(**{**entry, "sets": tuple(entry["sets"])}) for entry in found["shared"]]
        return cls(**{**found, "shared": shared})


@dataclass(frozen=True)
class Imprint:
    """A set to compare: its N identifiers, labels (-1 unknown) and prints."""

    paths: Sequence[str]
    labels: np.ndarray
    prints: Prints


def find_overlap(sets: Mapping[str, Imprint], class_names: Sequence[str]) -> Overlap:
    """Compare sets with each other and each with itself.

    Parameters
    ----------
    sets : mapping of str to Imprint
        By name, the one that matters most first.
    class_names : sequence of str
        To name contradicting labels by.

    Returns
    -------
    Overlap
        Identical pixels are found exactly. The look is compared of as many images as two hundred million pairs allow,
        spread evenly over the first set.
    """
    shared = [_shared((a, b), sets[a], sets[b]) for a, b in combinations(sets, 2)]
    doubles = {name: len(one.paths) - _distinct(one.prints.pixels) for name, one in sets.items()}
    contradictions = _contradictions(sets, class_names)
    return Overlap(
        [pair for pair in shared if pair.same or pair.alike],
        {name: count for name, count in doubles.items() if count},
        len(contradictions),
        contradictions[:_SHOWN],
    )


def _distinct(pixels: np.ndarray) -> int:
    """Count distinct hashes of pixels, (n, 2)."""
    order = np.lexsort(
        (pixels[:, 1], pixels[:, 0])
    )  # as one value each, NumPy sorts pairs ten times as slowly
    return int(np.count_nonzero(_first(pixels[order])))


def _first(ordered: np.ndarray) -> np.ndarray:
    """Say of sorted rows whether each is the first of its kind."""
    first = np.ones(len(ordered), bool)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return first


def _keys(one: Imprint) -> np.ndarray:
    """Hashes of the pixels as one sortable value each."""
    return np.ascontiguousarray(one.prints.pixels).view([("a", "u8"), ("b", "u8")]).reshape(-1)


def _shared(names: tuple[str, str], one: Imprint, other: Imprint) -> Shared:
    own, theirs = _keys(one), _keys(other)
    order = np.argsort(theirs, kind="stable")
    at = np.minimum(np.searchsorted(theirs, own, sorter=order), len(theirs) - 1)
    match = order[at] if len(theirs) else np.zeros(len(own), np.int64)
    same = theirs[match] == own if len(theirs) else np.zeros(len(own), bool)
    rows = np.flatnonzero(same)
    pairs = [(one.paths[row], other.paths[match[row]]) for row in rows[:_SHOWN]]
    rest = np.flatnonzero(~same)
    most = max(1, _MOST_PAIRS // max(len(theirs), 1))
    if len(rest) > most:
        rest = rest[np.linspace(0, len(rest) - 1, most).astype(np.int64)]
    found = _look_alike(one.prints.thumbnail[rest], other.prints.thumbnail)
    looking = np.flatnonzero(found >= 0)
    alike_pairs = [(one.paths[rest[row]], other.paths[found[row]]) for row in looking[:_SHOWN]]
    return Shared(names, len(rows), len(looking), len(rest), pairs, alike_pairs)


def _look_alike(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return for every thumbnail of `one` the first of `other` that looks alike, -1 where there is none."""
    found = np.full(len(one), -1, np.int64)
    if not len(other):
        return found
    own, theirs = difference_hash(one), difference_hash(other)
    structured = np.bitwise_count(own) >= FLAT_BITS
    for row in np.flatnonzero(structured):
        near, levels = alike(own[row], one[row], theirs, other)
        if len(near):
            found[row] = near[int(levels.argmin())]
    return found


def _contradictions(sets: Mapping[str, Imprint], class_names: Sequence[str]) -> list[list[str]]:
    """Return one entry an image whose copies are labelled differently."""
    labelled = {name: np.flatnonzero(one.labels >= 0) for name, one in sets.items()}
    if not any(map(len, labelled.values())):  # as where no set has prints
        return []
    rows = np.concatenate(list(labelled.values()))
    names = list(labelled)
    of_set = np.repeat(np.arange(len(names)), [len(found) for found in labelled.values()])
    pixels = np.concatenate([one.prints.pixels[one.labels >= 0] for one in sets.values()])
    labels = np.concatenate([one.labels[one.labels >= 0] for one in sets.values()])
    order = np.lexsort((labels, pixels[:, 1], pixels[:, 0]))
    new = _first(pixels[order])  # first of the copies of an image, which has the lowest label
    last = np.append(new[1:], True)  # and the last one, which has the highest
    low, high = order[new], order[last]
    differ = labels[low] != labels[high]
    entries = []
    for pair in sorted(zip(low[differ].tolist(), high[differ].tolist())):
        entry = []
        for at in pair:
            name = names[of_set[at]]
            entry += [f"{name}: {sets[name].paths[rows[at]]}", _name(labels[at], class_names)]
        entries.append(entry)
    return entries


def _name(label: int, class_names: Sequence[str]) -> str:
    return class_names[label] if label < len(class_names) else str(label)
