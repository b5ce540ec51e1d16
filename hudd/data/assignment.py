"""How the labels of a source were taken for outputs of the network, and whether that is certain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from hudd.errors import UsageError
from hudd.language import marked

UNKNOWN = -1
BY_NAME, BY_NUMBER, BY_ORDER = marked("by name"), marked("by number"), marked("by the order of the names")
CLASSES = "give the class name of every output, in order, with `classes`"


@dataclass(frozen=True)
class Assignment:
    """How the labels of a source were taken for outputs of the network.

    Attributes
    ----------
    labels : numpy.ndarray
        (N,) int64 class numbers, -1 where unknown.
    class_names : list of str
        Name of every output, as far as known.
    how : str
        "by name", "by number", or "by the order of the names" where nothing but the labels themselves says which
        class is which output.
    written : list of str
        The distinct labels as they were written, in the order of `outputs`.
    outputs : list of int
        The output that each of `written` was taken for.
    remarks : list of str
        What a user should know about it, a sentence each.
    """

    labels: np.ndarray
    class_names: list[str]
    how: str = BY_NAME
    written: list[str] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def unlabelled(count: int, class_names: Sequence[str] | None) -> Assignment:
    """Return the assignment of `count` images without labels."""
    return Assignment(np.full(count, UNKNOWN, np.int64), list(class_names or []))


def whole_numbers(numbers: np.ndarray, where: Callable[[int], str], given: str) -> np.ndarray:
    """Return labels that are given as numbers, (N,) float64, -1 where they are missing.

    Parameters
    ----------
    numbers : numpy.ndarray
        (N,) floating point, NaN where missing.
    where : callable
        Names a row.
    given : str
        As what numbers to predict are given in place of labels.

    Raises
    ------
    UsageError
        Naming the first row whose label is no whole number.
    """
    filled = np.where(np.isnan(numbers), UNKNOWN, numbers)
    broken = np.flatnonzero(~np.isfinite(filled) | (filled != np.floor(filled)))
    if broken.size:
        row = int(broken[0])
        raise UsageError(
            f"{where(row)} has label {filled[row]}; a label is a whole number or a class name; numbers to predict "
            f"are {given}, named with `targets`."
        )
    return filled


def check_outputs(assignment: Assignment, outputs: int, split: str) -> None:
    """Refuse names that only their order could tie to the outputs, where there are fewer or more of them.

    Raises
    ------
    UsageError
        Saying how many of each there are.
    """
    known = assignment.class_names
    if assignment.how != BY_ORDER or not known or len(known) == outputs:
        return
    present = set(assignment.labels.tolist())
    empty = [name for number, name in enumerate(known) if number not in present]
    also = f" ({quoted(empty, 3)} without an image)" if empty else ""
    raise UsageError(
        f"the {split} set has {len(known)} classes ({quoted(known)}){also} and the model {outputs} outputs, and "
        f"nothing says which output is which class; {CLASSES}: a list, or a file with one name a line."
    )


def quoted(names: Sequence[str], most: int = 8) -> str:
    """Return names in quotes, the first `most` of them."""
    return ", ".join(f"'{name}'" for name in names[:most]) + (", ..." if len(names) > most else "")
