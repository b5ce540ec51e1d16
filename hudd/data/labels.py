"""Class names and class numbers: how the labels of a source become those of the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hudd.errors import UsageError

UNKNOWN = -1
_MOST = 1_000_000  # classes


def from_names(
    names: Sequence[str], class_names: Sequence[str] | None, where: Callable[[int], str]
) -> tuple[np.ndarray, list[str]]:
    """Number labels that are given by name.

    Parameters
    ----------
    names : sequence of str
        One a row; an empty name is an unknown label.
    class_names : sequence of str, optional
        The network's classes in order; None takes the names that occur, sorted.
    where : callable
        Row number to the words that name the row in an error.

    Returns
    -------
    labels : numpy.ndarray
        (N,) int64, -1 where unknown.
    class_names : list of str

    Raises
    ------
    UsageError
        Naming the first row whose class is not among `class_names`.
    """
    known = sorted({name for name in names if name}) if class_names is None else list(class_names)
    number = {name: position for position, name in enumerate(known)}
    number[""] = UNKNOWN
    for row, name in enumerate(names):
        if name not in number:
            raise UsageError(
                f"{where(row)} has class '{name}', which is none of the {_listing(known)}; correct it, or leave it out."
            )
    return np.array([number[name] for name in names], dtype=np.int64), known


def from_numbers(
    numbers: np.ndarray, class_names: Sequence[str] | None, where: Callable[[int], str]
) -> tuple[np.ndarray, list[str]]:
    """Check labels that are given by class number; negative ones are unknown.

    Without `class_names` the classes are called "0", "1", ... up to the largest number that occurs.
    Parameters, returns and errors are as in :func:`from_names`.
    """
    numbers = np.asarray(numbers)
    if numbers.max(initial=-1) >= _MOST:  # before they are cast, and before each number below gets a name
        row = int(numbers.argmax())
        raise UsageError(
            f"{where(row)} has class number {numbers[row]:.0f}; class numbers run from 0 and are below {_MOST:,}: "
            "number the classes one after the other, or give their names."
        )
    labels = np.maximum(numbers, UNKNOWN).astype(np.int64)
    if class_names is None:
        return labels, [str(number) for number in range(int(labels.max(initial=-1)) + 1)]
    beyond = np.flatnonzero(labels >= len(class_names))
    if beyond.size:
        raise UsageError(
            f"{where(int(beyond[0]))} has class number {labels[beyond[0]]}, but class numbers run "
            f"from 0 to {len(class_names) - 1}; correct it, or give every class a name."
        )
    return labels, list(class_names)


def renumber(
    labels: np.ndarray, own: Sequence[str], class_names: Sequence[str] | None, where: Callable[[int], str]
) -> tuple[np.ndarray, list[str]]:
    """Carry class numbers over from a source's own class names to the network's, by name.

    A source without names of its own, or with the plain names "0", "1", ..., is taken to count as the network does.
    """
    if class_names is None:
        return from_numbers(labels, own or None, where)
    if not own or list(own) == [str(number) for number in range(len(own))]:
        return from_numbers(labels, class_names, where)
    labels, own = from_numbers(labels, own, where)
    return from_names(["" if label < 0 else own[label] for label in labels], class_names, where)


def _listing(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:most])
    more = f", ... ({len(names) - most} more)" if len(names) > most else ""
    return f"{len(names)} known classes: {shown}{more}"
