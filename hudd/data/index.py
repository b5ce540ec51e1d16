"""What is known of the images in a file of many: where each is, what its header says, its label and parameters.

An index is made in one pass over the file and kept in the user's cache, with the size and the time of last change of
the file. It is arrays, however many images there are.
"""

from __future__ import annotations

import hashlib
import json
import os
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from hudd import caches
from hudd.data.decoding import Header, scan
from hudd.data.identifiers import Identifiers
from hudd.data.places import Place, is_url
from hudd.errors import UsageError

_VERSION = 1
_WIDEST = 1000  # parameters
_SMALL = 4 << 20  # bytes of a file that is read through as fast as its index is
_NUMBERS = ("place", "size", "mark", "width", "height", "orientation")


@dataclass
class Column:
    """What a label or a parameter is for each of n images.

    Attributes
    ----------
    numbers : numpy.ndarray
        (n,) float64, NaN where the value is text or missing.
    codes : numpy.ndarray
        (n,) int32 places in `texts`, -1 where the value is a number or missing.
    texts : list of str
    """

    numbers: np.ndarray
    codes: np.ndarray
    texts: list[str]

    def values(self) -> np.ndarray:
        """Return it as a parameter of images: float64, or text where any value is text."""
        if not self.texts:
            return self.numbers
        number = np.isfinite(self.numbers)
        spelled = np.array([*self.texts, ""])[self.codes]
        if number.any():
            spelled = spelled.astype(object)
            spelled[number] = [f"{value:g}" for value in self.numbers[number].tolist()]
        return np.asarray(spelled.astype(str))


@dataclass
class Index:
    """The images of one file, or of several, in their order.

    Attributes
    ----------
    names : Identifiers
        Of each image.
    place, size : numpy.ndarray
        (n,) int64: where it begins, by the file's own count (bytes of an archive, rows of a table), and its bytes.
    mark : numpy.ndarray
        (n,) uint64, XXH3 hash of its bytes.
    width, height : numpy.ndarray
        (n,) int64 pixels as stored; 0 of an image that cannot be decoded.
    orientation : numpy.ndarray
        (n,) int64: 0 if it is shown as it is stored, 1 if it is mirrored or turned by half, 2 if by a quarter.
    faults : dict of int to str
        Rows that cannot be decoded, and why in a sentence.
    columns : dict of str to Column
        Labels ("label") and parameters by name.
    passed : dict of str to int
        What was passed over, by kind.
    """

    names: Identifiers
    place: np.ndarray
    size: np.ndarray
    mark: np.ndarray
    width: np.ndarray
    height: np.ndarray
    orientation: np.ndarray
    faults: dict[int, str] = field(default_factory=dict)
    columns: dict[str, Column] = field(default_factory=dict)
    passed: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def joined(cls, parts: Sequence[Index]) -> Index:
        """Put the images of several files behind each other."""
        faults: dict[int, str] = {}
        passed: dict[str, int] = {}
        start = 0
        for part in parts:
            faults |= {start + row: why for row, why in part.faults.items()}
            for kind, count in part.passed.items():
                passed[kind] = passed.get(kind, 0) + count
            start += len(part)
        known = dict.fromkeys(name for part in parts for name in part.columns)
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _NUMBERS}
        columns = {name: _joined([(part.columns.get(name), len(part)) for part in parts]) for name in known}
        names = Identifiers.joined([part.names for part in parts])
        return cls(names, **arrays, faults=faults, columns=columns, passed=passed)

    def save(self, file: Path, about: str) -> None:
        """Write it, with what it is about, so that it is there whole or not at all."""
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _NUMBERS}
        arrays |= {"content": self.names.content, "ends": self.names.ends}
        for at, column in enumerate(self.columns.values()):
            arrays |= {f"numbers {at}": column.numbers, f"codes {at}": column.codes}
        told = {
            "about": about,
            "faults": list(self.faults.items()),
            "columns": [[name, column.texts] for name, column in self.columns.items()],
            "passed": self.passed,
        }
        arrays["told"] = np.frombuffer(json.dumps(told).encode(), np.uint8)
        aside = file.with_name(f".{os.getpid()}-{file.name}")
        try:
            with aside.open("wb") as stream:
                np.savez(stream, **arrays)
            aside.replace(file)
        except OSError:  # a full disk: the index is made again next time
            aside.unlink(missing_ok=True)

    @classmethod
    def load(cls, file: Path, about: str) -> Index | None:
        """Read what :meth:`save` wrote; None where that is not there, is damaged, or is about something else."""
        try:
            with np.load(file, allow_pickle=False) as stored:
                told = json.loads(stored["told"].tobytes())
                if told["about"] != about:
                    return None
                columns = {
                    name: Column(stored[f"numbers {at}"], stored[f"codes {at}"], texts)
                    for at, (name, texts) in enumerate(told["columns"])
                }
                names = Identifiers(stored["content"], stored["ends"])
                arrays = {name: stored[name] for name in _NUMBERS}
                return cls(
                    names, **arrays, faults=dict(told["faults"]), columns=columns, passed=told["passed"]
                )
        except Exception:  # NumPy and zipfile have a dozen kinds; it is a cache
            return None


def index_of(place: Place, kind: str, make: Callable[[Place], Index]) -> Index:
    """Return the index of a file: the one that was kept, if the file has not changed since, or a new one.

    Parameters
    ----------
    place : Place
    kind : str
        How the file is read.
    make : callable
        Makes the index, in one pass.
    """
    name = place.name if is_url(place.name) else str(Path(place.name).absolute())
    size, stamp = place.status()
    about = f"{_VERSION} {kind} {size} {stamp} {name}"
    folder = caches.prepare()
    if folder is None or size < _SMALL:
        return make(place)
    file = folder / "hudd" / "images" / f"{hashlib.sha256(f'{kind} {name}'.encode()).hexdigest()[:32]}.npz"
    found = Index.load(file, about)
    if found is None:
        found = make(place)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError:
            return found
        found.save(file, about)
    return found


class Builder:
    """An index in the making.

    Parameters
    ----------
    file : str
        Name of the file, for errors.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self._content, self._ends = bytearray(), array("q")
        self._numbers = {name: array("Q" if name == "mark" else "q") for name in _NUMBERS}
        self._columns: dict[str, _Growing] = {}
        self._faults: dict[int, str] = {}
        self.passed: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._ends)

    def add(
        self,
        name: str,
        place: int,
        content: bytes,
        fields: Mapping[str, str | float],
        fault: str | None = None,
    ) -> None:
        """Add an image by its bytes, and what is known of it: labels ("label") and parameters, text or numbers."""
        row = len(self)
        self._content += name.encode("utf-8", "surrogateescape")
        self._ends.append(len(self._content))
        found = fault or scan(content, f"'{name}' in '{self.file}'")
        if isinstance(found, Header):
            width, height = found.size
            orientation = 0 if not found.turned else 1 if found.shown == found.size else 2
        else:
            self._faults[row], width, height, orientation = found, 0, 0, 0
        mark = xxhash.xxh3_64_intdigest(content)
        for array_, value in zip(
            self._numbers.values(), (place, len(content), mark, width, height, orientation)
        ):
            array_.append(value)
        self.put(row, fields)

    def put(self, row: int, fields: Mapping[str, str | float]) -> None:
        """Add what is known of an image that was added before."""
        for key, value in fields.items():
            self._columns.setdefault(key, _Growing()).put(row, value)
        if len(self._columns) > _WIDEST:
            raise UsageError(
                f"the images in '{self.file}' have more than {_WIDEST:,} parameters; leave some out."
            )

    def names(self) -> Identifiers:
        """Return the names of the images so far."""
        return Identifiers(np.frombuffer(bytes(self._content), np.uint8), np.array(self._ends, np.int64))

    def pass_over(self, kind: str) -> None:
        """Count something that is not read."""
        self.passed[kind] = self.passed.get(kind, 0) + 1

    def finished(self) -> Index:
        """Return the index."""
        arrays = {
            name: np.array(values, np.uint64 if name == "mark" else np.int64)
            for name, values in self._numbers.items()
        }
        columns = {name: column.finished(len(self)) for name, column in self._columns.items()}
        return Index(self.names(), **arrays, faults=self._faults, columns=columns, passed=self.passed)


class _Growing:
    """A column in the making."""

    def __init__(self) -> None:
        self._numbers, self._codes = array("d"), array("i")
        self._known: dict[str, int] = {}

    def put(self, row: int, value: str | float) -> None:
        self._fill(row + 1)
        if isinstance(value, str):
            self._codes[row] = self._known.setdefault(value, len(self._known))
        else:
            self._numbers[row] = float(value)

    def _fill(self, rows: int) -> None:
        missing = rows - len(self._codes)
        self._numbers.extend([np.nan] * missing)
        self._codes.extend([-1] * missing)

    def finished(self, rows: int) -> Column:
        self._fill(rows)
        return Column(np.array(self._numbers), np.array(self._codes, np.int32), list(self._known))


def _joined(parts: Sequence[tuple[Column | None, int]]) -> Column:
    known: dict[str, int] = {}
    numbers, codes = [], []
    for column, rows in parts:
        if column is None:
            numbers.append(np.full(rows, np.nan))
            codes.append(np.full(rows, -1, np.int32))
            continue
        place = np.array([*(known.setdefault(text, len(known)) for text in column.texts), -1], np.int32)
        numbers.append(column.numbers)
        codes.append(place[column.codes])
    return Column(np.concatenate(numbers), np.concatenate(codes), list(known))
