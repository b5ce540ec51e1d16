"""From class names to the network's outputs: the one place where labels of any form become class numbers.

Folders, manifests, archives, factories and imported labels all come here. Text is matched by name before it is read
as a number; what has two readings is refused, and whatever was taken is kept in an :class:`Assignment` to be shown.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from difflib import get_close_matches
from itertools import pairwise

import numpy as np

from hudd.data.assignment import (
    BY_NAME,
    BY_NUMBER,
    BY_ORDER,
    CLASSES,
    UNKNOWN,
    Assignment,
)
from hudd.errors import UsageError

_MOST = 1_000_000  # classes
_LONGEST_NUMBER = 15  # digits

Where = Callable[[int], str]


def from_names(
    names: Sequence[str], class_names: Sequence[str] | None, where: Where, *, also: Iterable[str] = ()
) -> Assignment:
    """Assign labels that are given as text.

    Parameters
    ----------
    names : sequence of str
        One per row; an empty name is an unknown label.
    class_names : sequence of str, optional
        The network's classes in order; None takes the names that occur, sorted as text.
    where : callable
        Row number to the words that name the row in an error.
    also : iterable of str
        Names of classes that have no row, such as empty folders; of use only where `class_names` is None.

    Raises
    ------
    UsageError
        If a name is no class, or has more than one reading.
    """
    first: dict[str, int] = {}
    for row, name in enumerate(names):
        first.setdefault(name, row)
    written = [name for name in first if name]
    if class_names is None:
        return _by_order(names, {*written, *also})
    number_of, how = match(written, class_names, lambda name: where(first[name]))
    return _assigned(names, {**number_of, "": UNKNOWN}, list(class_names), how)


def from_texts(
    texts: Sequence[str], class_names: Sequence[str] | None, where: Where, *, none: Collection[str] = ()
) -> Assignment:
    """Assign labels of a text file, where a name and a number look alike.

    Text that names a class is a name. If all of it are whole numbers and none is a name, they are class numbers, unless
    written with leading zeros ("001") where no class names are known: then they are names.

    Parameters
    ----------
    texts : sequence of str
        One per row; an empty one is an unknown label.
    class_names, where
        As for :func:`from_names`.
    none : collection of str
        Words that stand for no label among numbers.

    Raises
    ------
    UsageError
        If a label is no class, is a fraction, or has more than one reading.
    """
    distinct = {text: text.strip() for text in texts}
    names = {_plain(name).casefold() for name in class_names or ()}
    numbers: dict[str, float] = {}
    for text, stripped in distinct.items():
        number = UNKNOWN if not stripped or stripped in none else _number(stripped)
        if number is not None:
            numbers[text] = number
    named = {text for text, stripped in distinct.items() if stripped and _plain(stripped).casefold() in names}
    if len(numbers) < len(distinct) or all(number < 0 for number in numbers.values()):
        return from_names(texts, class_names, where)
    if not named:
        padded = any(is_number(text) and text[0] == "0" and len(text) > 1 for text in distinct.values())
        counted = class_names is not None and not all(is_number(name) for name in class_names)
        if counted or (class_names is None and not padded):
            return from_numbers(_whole(texts, numbers, where), class_names, where, typed=False)
    whole = {
        text: text if text in named else "" if number < 0 else _spelled(distinct[text], number)
        for text, number in numbers.items()
    }
    return from_names([whole[text] for text in texts], class_names, where)


def _number(text: str) -> float | None:
    try:
        return float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        return None


def _whole(texts: Sequence[str], numbers: dict[str, float], where: Where) -> np.ndarray:
    """Return class numbers as floats, for some are larger than integers."""
    values = np.array([numbers[text] for text in texts], dtype=float)
    broken = np.flatnonzero(~np.isfinite(values) | (values != np.floor(values)))
    if broken.size:
        row = int(broken[0])
        raise UsageError(f"{where(row)} has label {values[row]}; a label is a whole number or a class name.")
    return values


def _spelled(text: str, number: float) -> str:
    """Write "3.0" as "3"; anything else as it is."""
    return str(int(number)) if not is_number(text) and number == int(number) else text


def from_numbers(
    numbers: np.ndarray,
    class_names: Sequence[str] | None,
    where: Where,
    *,
    typed: bool = True,
    remedy: str = CLASSES,
) -> Assignment:
    """Assign labels that are given as class numbers; negative ones are unknown.

    Without `class_names` the classes are called "0", "1", ... up to the largest number that occurs.

    Parameters
    ----------
    numbers : numpy.ndarray
        (N,) whole numbers.
    class_names, where
        As for :func:`from_names`.
    typed : bool
        The numbers are stored as such, not read from text.
    remedy : str
        What to do where there are more numbers than names.

    Raises
    ------
    UsageError
        If a number is none of an output, or names another class than the one that it counts to.
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
        known = [str(number) for number in range(int(labels.max(initial=-1)) + 1)]
    else:
        known = list(class_names)
        _check_distinct(known)
        if typed:
            _check_one_reading(labels, known, where)
    beyond = np.flatnonzero(labels >= len(known))
    if beyond.size:
        raise UsageError(
            f"{where(int(beyond[0]))} has class number {labels[beyond[0]]}, but class numbers run "
            f"from 0 to {len(known) - 1}; correct it, or {remedy}."
        )
    found = np.unique(labels[labels >= 0]).tolist()
    return Assignment(labels, known, BY_NUMBER, [str(number) for number in found], found)


def renumber(
    labels: np.ndarray, own: Sequence[str], class_names: Sequence[str] | None, where: Where
) -> Assignment:
    """Carry class numbers over from a source's own class names to the network's, by name.

    A source without names of its own is taken to count as the network does, and so is one with the plain names "0",
    "1", ... unless the network has these names, too.
    """
    plain = list(own) == [str(number) for number in range(len(own))]
    if not own or (plain and not set(own) <= set(class_names or ())):
        return from_numbers(labels, class_names if class_names is not None else own or None, where)
    counted = from_numbers(labels, own, where, typed=False, remedy="name every class in class_names")
    if class_names is None:
        return Assignment(
            counted.labels, list(own), BY_ORDER, [str(name) for name in own], list(range(len(own)))
        )
    return from_names(["" if label < 0 else own[label] for label in counted.labels], class_names, where)


def match(
    written: Iterable[str], class_names: Sequence[str], where: Callable[[str], str], *, positions: bool = True
) -> tuple[dict[str, int], str]:
    """Find the output of every label as it was written.

    Names are compared as they are, then without surrounding blanks and differences of Unicode normalisation or case.
    Whole numbers that are no names are the numbers that the names are ("1" for "001"), or positions among them.

    Parameters
    ----------
    written : iterable of str
        Distinct labels, none empty.
    class_names : sequence of str
        The K classes in order.
    where : callable
        A label to the words that name the place where it stands.
    positions : bool
        Whether whole numbers may be class numbers.

    Returns
    -------
    number_of : dict of str to int
    how : str
        "by name" or "by number".

    Raises
    ------
    UsageError
        Naming the first label that is no class, or all of them where they have two readings.
    """
    _check_distinct(class_names)
    written = list(written)
    exact = {name: number for number, name in enumerate(class_names)}
    alike = _unique((_plain(name), number) for number, name in enumerate(class_names))
    folded = _unique((_plain(name).casefold(), number) for number, name in enumerate(class_names))
    named: dict[str, int] = {}
    for name in written:
        plain = _plain(name)
        number = exact.get(name, alike.get(plain, folded.get(plain.casefold())))
        if number is not None:
            named[name] = number
    if len(named) == len(written):
        return named, BY_NAME
    if all(is_number(name) for name in written):
        by_value = _by_value(written, class_names)
        by_position = _by_position(written, class_names, named) if positions else None
        if by_value is not None and by_position is not None and by_value != by_position:
            one = next(name for name in written if by_value[name] != by_position[name])
            raise UsageError(
                f"{where(one)} has class '{one}', which may be the name '{class_names[by_value[one]]}' or output "
                f"{by_position[one]} ('{class_names[by_position[one]]}'); write the class names in full."
            )
        found = by_value if by_value is not None else by_position
        if found is not None:
            return found, BY_NAME if found is by_value else BY_NUMBER
    name = next(name for name in written if name not in named)
    close = get_close_matches(name, class_names, 1, cutoff=0.75)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    raise UsageError(
        f"{where(name)} has class '{name}', which is none of the {_listing(class_names)}{hint}; correct it, leave it "
        f"out, or {CLASSES}."
    )


def find_class(written: str, class_names: Sequence[str]) -> int | None:
    """Return the output of one label by its name, see :func:`match`; None where it is no class."""
    try:
        return match([written], class_names, str, positions=False)[0][written]
    except UsageError:
        return None


def is_number(text: str) -> bool:
    """Say whether `text` is a whole number of a length that class numbers have."""
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER


def _by_order(names: Sequence[str], written: set[str]) -> Assignment:
    """Take the names that occur for the classes, sorted as text, as torchvision's ImageFolder does."""
    plain = {name: _plain(name) for name in written}
    known = sorted(set(plain.values()))
    number = {name: position for position, name in enumerate(known)}
    how, remarks = BY_ORDER, _cased(known)
    if known and all(is_number(name) for name in known):
        values = [int(name) for name in known]
        if values == list(range(len(known))):
            how = BY_NUMBER
        elif any(a >= b for a, b in pairwise(values)):
            early = next(a for a, b in pairwise(known) if int(a) >= int(b))
            late = known[number[early] + 1]
            remarks = [
                *remarks,
                f"the classes are numbers and were sorted as text, '{early}' before '{late}', as torchvision's "
                "ImageFolder does; the setting classes gives another order.",
            ]
    assigned = {**{name: number[plain[name]] for name in written}, "": UNKNOWN}
    return _assigned(names, assigned, known, how, remarks)


def _cased(names: Sequence[str]) -> list[str]:
    """Say which names differ in upper and lower case only: they may be one class, or letters."""
    first: dict[str, str] = {}
    pairs = [(first.setdefault(name.casefold(), name), name) for name in names]
    twice = [f"'{one}' and '{other}'" for one, other in pairs if one != other]
    return [f"classes that differ in case only were taken for two: {', '.join(twice[:3])}."] if twice else []


def _assigned(
    names: Sequence[str],
    number_of: dict[str, int],
    known: list[str],
    how: str,
    remarks: Sequence[str] = (),
) -> Assignment:
    labels = np.array([number_of[name] for name in names], dtype=np.int64)
    pairs = sorted((number, name) for name, number in number_of.items() if name)
    other = [f"'{name}' as '{known[number]}'" for number, name in pairs if name != known[number]]
    more = f" and {len(other) - 5} more" if len(other) > 5 else ""
    taken = [f"classes were taken by another spelling: {', '.join(other[:5])}{more}."] if other else []
    return Assignment(
        labels, known, how, [name for _, name in pairs], [n for n, _ in pairs], [*remarks, *taken]
    )


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip()


def _unique(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Keys that one class alone has."""
    found: dict[str, int | None] = {}
    for key, number in pairs:
        found[key] = None if key in found else number
    return {key: number for key, number in found.items() if number is not None}


def _by_value(written: Sequence[str], class_names: Sequence[str]) -> dict[str, int] | None:
    """Read numbers as the numbers that the class names are; None where the names are none, or lack one."""
    if not all(is_number(name) for name in class_names):
        return None
    values = _unique((str(int(name)), number) for number, name in enumerate(class_names))
    found = {name: values.get(str(int(name))) for name in written}
    return (
        {name: number for name, number in found.items() if number is not None}
        if None not in found.values()
        else None
    )


def _by_position(
    written: Sequence[str], class_names: Sequence[str], named: dict[str, int]
) -> dict[str, int] | None:
    """Read numbers as positions among the class names; None where one is beyond them or a name elsewhere."""
    found = {name: int(name) for name in written}
    if max(found.values()) >= len(class_names) or any(
        found[name] != number for name, number in named.items()
    ):
        return None
    return found


def _check_distinct(class_names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in class_names:
        if name in seen:
            raise UsageError(f"two outputs are called '{name}'; give every class a name of its own.")
        seen.add(name)


def _check_one_reading(labels: np.ndarray, class_names: list[str], where: Where) -> None:
    """Refuse numbers that are all names of classes, but of others than those that they count to."""
    number = {name: position for position, name in enumerate(class_names)}
    found = np.unique(labels[labels >= 0]).tolist()
    if found and all(str(label) in number for label in found):
        for label in found:
            if number[str(label)] != label:
                row = int(np.flatnonzero(labels == label)[0])
                raise UsageError(
                    f"{where(row)} has class number {label}, which may be output {label} or the class called '{label}' "
                    f"(output {number[str(label)]}); give labels as text, or class names with the labels."
                )


def _listing(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:most])
    more = f", ... ({len(names) - most} more)" if len(names) > most else ""
    return f"{len(names)} known classes: {shown}{more}"
