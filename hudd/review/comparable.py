"""Whether two studies can be held against each other, and on which images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hudd.data.pairing import Pairing, pair_images
from hudd.errors import UsageError
from hudd.review.view import View

_LEAST = 0.1  # of the smaller set that has to be shared: fewer are copies that happen to be in both
_SHOWN = 3


def check_comparable(one: View, other: View) -> None:
    """Refuse two studies in which an error is not the same.

    Raises
    ------
    UsageError
        If they are one study, or of other tasks, classes or outputs, or thresholds.
    """
    if one.path.resolve() == other.path.resolve():
        raise UsageError(
            f"'{one.path}' and '{other.path}' are the same study; give two, such as that of the DNN before and that of "
            "the DNN after retraining."
        )
    for study in (one, other):
        study.split("test")  # or says that it is to be tested first
    if one.task_name != other.task_name:
        raise UsageError(
            f"the task of '{one.path}' is {one.task_name}, that of '{other.path}' is {other.task_name}; give two "
            "studies of one task."
        )
    names, others = set(one.class_names), set(other.class_names)
    if names != others:
        raise UsageError(
            f"'{one.path}' and '{other.path}' have different classes or outputs ({_differing(names, others)}); "
            "give two studies whose DNNs have the same."
        )
    limits = [study.facts().get("thresholds") for study in (one, other)]
    if limits[0] != limits[1]:
        raise UsageError(
            f"in '{one.path}' an error counts from {_listed(limits[0])} on, in '{other.path}' from "
            f"{_listed(limits[1])}; 'hudd run {other.path} --threshold' with the numbers of the first makes them the "
            "same."
        )


def shared_images(one: View, other: View, split: str) -> tuple[Pairing, int]:
    """Return the images of a split that two studies share, without those whose labels differ, and how many these are.

    Raises
    ------
    UsageError
        If they share fewer than a tenth of the smaller test set.
    """
    sets, pixels = (
        [study.split(split) for study in (one, other)],
        [_pixels(study, split) for study in (one, other)],
    )
    found = pair_images(sets[0].path, sets[1].path, *pixels)
    sizes = [len(each.path) for each in sets]
    if split == "test" and len(found.rows) < max(1, _LEAST * min(sizes)):
        raise UsageError(
            f"the test sets of '{one.path}' ({sizes[0]:,} images) and '{other.path}' ({sizes[1]:,}) share "
            f"{len(found.rows):,} images; test both DNNs on the same ones: "
            f"'hudd run {other.path} --test DATA' with the data of '{one.path}'."
        )
    same = _same_truth(one, other, split, found)
    named = [sets[0].path[row] == sets[1].path[there] for row, there in zip(found.rows, found.other_rows)]
    kept = replace(
        found,
        rows=found.rows[same],
        other_rows=found.other_rows[same],
        by_name=int(np.array(named, bool)[same].sum()),
    )
    return kept, int((~same).sum())


def _same_truth(one: View, other: View, split: str, found: Pairing) -> np.ndarray:
    """Which of the shared images are to be answered alike, (n,) bool: classes by their names, numbers as they are."""
    pairs = ((one, found.rows), (other, found.other_rows))
    targets = [study.values(split).get("target") for study, _ in pairs]
    if targets[0] is not None and targets[1] is not None:
        known, others = (np.asarray(each, np.float64)[rows] for each, (_, rows) in zip(targets, pairs))
        if known.shape != others.shape:
            return np.zeros(len(found.rows), bool)
        close: np.ndarray = np.isclose(known, others, equal_nan=True).reshape(len(known), -1).all(axis=1)
        return close
    names = [
        np.array([*study.class_names, ""], object)[study.split(split).label[rows]] for study, rows in pairs
    ]
    same: np.ndarray = (names[0] == names[1]).astype(bool)
    return same


def _pixels(study: View, split: str) -> np.ndarray | None:
    with study.file.reading() as h5:
        found = h5.get(f"splits/{split}/pixels")
        return None if found is None else np.asarray(found[...])


def _differing(names: set[str], others: set[str]) -> str:
    only = {"the first": sorted(names - others), "the second": sorted(others - names)}
    return "; ".join(f"only in {which}: {_quoted(found)}" for which, found in only.items() if found)


def _quoted(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(f"'{name}'" for name in names[:_SHOWN]) + more


def _listed(limits: Any) -> str:
    known = sorted({f"{limit:.4g}" for limit in limits or () if limit is not None}, key=float)
    return ", ".join(known[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "") if known else "no threshold"
