"""Images that lie encoded, many to a file: read by batches in the order in which they lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import repeat
from typing import Any, Protocol

import numpy as np
import xxhash

from hudd.data.assignment import Assignment, unlabelled, whole_numbers
from hudd.data.base import RESIZE, ImageSource
from hudd.data.classes import from_names, from_numbers, from_texts
from hudd.data.decoding import decode, decode_jpeg
from hudd.data.files import first
from hudd.data.identifiers import Identifiers
from hudd.data.index import Column, Index
from hudd.data.places import Place
from hudd.data.transforms import Transform
from hudd.errors import UsageError
from hudd.lazy import torch


class Reader(Protocol):
    """Reads the bytes of images out of one file."""

    def __call__(self, place: Place, index: Index, rows: np.ndarray) -> list[bytes]:
        """Return the bytes of some images.

        Parameters
        ----------
        place : Place
            The file.
        index : Index
            Of all images of the source.
        rows : numpy.ndarray
            (n,) int64 rows of the index, all in this file.
        """
        ...


class EncodedSource(ImageSource):
    """Images that lie encoded in a few files, decoded as 8-bit RGB.

    Parameters
    ----------
    places : sequence of Place
        The files, in the order of the images.
    counts : sequence of int
        Images of each.
    index : Index
        Of all images.
    read : Reader
        Reads images out of a file.
    assignment : Assignment
        Labels and classes.
    parameters, transform
        As for :class:`ImageSource`.

    Attributes
    ----------
    exif_orient : bool
        Turn and mirror the images as their EXIF data say.
    """

    exif_orient = False

    def __init__(
        self,
        places: Sequence[Place],
        counts: Sequence[int],
        index: Index,
        read: Reader,
        assignment: Assignment,
        parameters: Mapping[str, Any] | None = None,
        transform: Callable[..., torch.Tensor] | None = None,
    ) -> None:
        super().__init__(index.names, assignment.labels, assignment.class_names, parameters, transform)
        self.places, self.assignment, self.skipped = places, assignment, ()
        self._index, self._read = index, read
        self._ends = np.cumsum(counts, dtype=np.int64)
        self._rows: np.ndarray | None = None  # of the index; None is all

    def read_bytes(self, indices: Sequence[int] | np.ndarray) -> list[bytes | None]:
        """Return the bytes of images, read file by file in the order in which they lie there."""
        rows = np.asarray(indices, np.int64)
        rows = rows if self._rows is None else self._rows[rows]
        files = np.searchsorted(self._ends, rows, side="right")
        found: list[bytes | None] = [None] * len(rows)
        for file in np.unique(files).tolist():
            at = np.flatnonzero(files == file)
            for place, content in zip(at.tolist(), self._read(self.places[file], self._index, rows[at])):
                found[place] = content
        return found

    def told(self, index: int) -> str:
        """Return what an image is called in errors."""
        row = int(index) if self._rows is None else int(self._rows[index])
        file = int(np.searchsorted(self._ends, row, side="right"))
        return f"'{self.paths[index]}' in '{self.places[file].name}'"

    def pixels(self, index: int) -> np.ndarray:
        """Decode one image: (H, W, 3) uint8."""
        return self.decode_bytes([index], self.read_bytes([index]))[0]

    def decode_bytes(
        self,
        indices: Sequence[int] | np.ndarray,
        encoded: Sequence[bytes | None],
        into: Iterable[np.ndarray | None] = repeat(None),
    ) -> list[np.ndarray]:
        """Decode images from the bytes that :meth:`read_bytes` returned; see :meth:`ImageSource.decode_bytes`."""
        orient, is_fast = self.exif_orient, self.decoder == "simplejpeg"
        found = []
        for row, content, place in zip(np.asarray(indices).tolist(), encoded, into):
            pixels = decode_jpeg(content or b"", orient, place) if is_fast else None
            if pixels is None:  # only now its name, which takes a tenth as long as a small image
                pixels = decode(content or b"", self.told(row), exif_orient=orient)
            found.append(pixels)
        return found

    def faults(self) -> list[tuple[int, str]]:
        """Return the images that cannot be decoded, as they were found when the files were read through."""
        if self._rows is None:
            return sorted(self._index.faults.items())
        places = {int(row): at for at, row in enumerate(self._rows) if int(row) in self._index.faults}
        return sorted((at, self._index.faults[row]) for row, at in places.items())

    def check(self) -> None:
        """Refuse images that cannot be used, all by name; see :meth:`ImageSource.check`."""
        if not isinstance(self.paths, Identifiers) or not self.paths.is_utf8():
            super().check()
        bad = self.faults()
        if bad:
            more = ""
            if len(bad) > 1:
                others = first((self.paths[row] for row, _ in bad[1:]), most=9)
                more = f" So it is with {len(bad) - 1:,} more of {len(self):,}: {others}."
            raise UsageError(f"{bad[0][1]}{more} `skip_bad` leaves such images out.")
        width, height, orientation = (
            values if self._rows is None else values[self._rows]
            for values in (self._index.width, self._index.height, self._index.orientation)
        )
        if orientation.any() and not self.exif_orient:
            self.remarks = [
                *self.remarks,
                f"{np.count_nonzero(orientation):,} images say by EXIF that they are to be turned; this is not done "
                "without exif_orient.",
            ]
        if not isinstance(self.transform, Transform) or self.transform.resize is not None:
            return
        turned = (orientation == 2) & self.exif_orient
        shown = np.where(turned, width, height), np.where(turned, height, width)
        other = np.flatnonzero((shown[0] != shown[0][0]) | (shown[1] != shown[1][0]))
        if other.size:
            one, two = (f"{self.told(row)} is {shown[0][row]}x{shown[1][row]}" for row in (0, int(other[0])))
            raise UsageError(f"image {one} and {two}; a batch needs one size: {RESIZE}.")

    def contents(self) -> Iterator[bytes]:
        """Yield the hash of every image, so that the same images in other files count as the same."""
        if self.exif_orient:
            yield b"turned by EXIF\n"
        marks = self._index.mark
        yield (marks if self._rows is None else marks[self._rows]).tobytes()

    def _keep(self, rows: np.ndarray) -> None:
        self._rows = rows if self._rows is None else self._rows[rows]


def assign(
    column: Column | None,
    class_names: Sequence[str] | None,
    where: Callable[[int], str],
    count: int,
    *,
    named: bool = False,
) -> Assignment:
    """Assign the labels of a column, each distinct one once; see :mod:`hudd.data.classes`.

    Parameters
    ----------
    column : Column or None
        The labels of `count` images; None where there are none.
    class_names, where
        As for :func:`hudd.data.classes.from_names`.
    count : int
    named : bool
        Text is names, also where it looks like numbers.

    Raises
    ------
    UsageError
        If a label is no class.
    """
    if column is None:
        return unlabelled(count, class_names)
    if not column.texts:
        numbers = whole_numbers(column.numbers, where, "parameters")
        return from_numbers(numbers, class_names, where)
    if np.isfinite(column.numbers).any():
        column = _spelled(column)
    texts = [*column.texts, ""]
    codes = np.where(column.codes < 0, len(texts) - 1, column.codes)
    rows = np.full(len(texts), -1, np.int64)
    rows[codes[::-1]] = np.arange(count)[::-1]  # the first of each
    used = np.flatnonzero(rows >= 0)
    place = np.zeros(len(texts), np.int64)
    place[used] = np.arange(len(used))
    take = from_names if named else from_texts
    found = take([texts[at] for at in used], class_names, lambda at: where(int(rows[used[at]])))
    return replace(found, labels=found.labels[place[codes]])


def _spelled(column: Column) -> Column:
    """Return a column of text and numbers as one of text."""
    texts, codes = np.unique(column.values(), return_inverse=True)
    return Column(np.full(len(codes), np.nan), codes.astype(np.int32), texts.tolist())


def tellers(
    places: Sequence[Place], parts: Sequence[Index], index: Index
) -> tuple[Callable[[int], str], Callable[[int], str]]:
    """Return what names the file of a row of the joined index, and what names its image with the file."""
    ends = np.cumsum([len(part) for part in parts])

    def file_of(row: int) -> str:
        return places[int(np.searchsorted(ends, row, side="right"))].name

    def where(row: int) -> str:
        return f"image '{index.names[row]}' of '{file_of(row)}'"

    return file_of, where


def check_distinct(index: Index, file_of: Callable[[int], str]) -> None:
    """Refuse identifiers that occur twice.

    Raises
    ------
    UsageError
        Naming the identifier, and where it is.
    """
    encoded = Identifiers.encode(index.names)
    hashes = np.fromiter(map(xxhash.xxh3_64_intdigest, encoded), np.uint64, len(index))
    order = np.argsort(hashes, kind="stable")
    same = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
    pairs = sorted(zip(order[same].tolist(), order[same + 1].tolist()))
    for one, other in pairs:
        if index.names[one] == index.names[other]:
            again = "twice in" if file_of(one) == file_of(other) else f"in '{file_of(one)}' and again in"
            raise UsageError(
                f"image '{index.names[one]}' is {again} '{file_of(other)}'; give every image a name of its own, in all "
                "files."
            )
