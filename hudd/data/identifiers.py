"""Identifiers of many images as one block of bytes: an object for each would take ten times the memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np

_SLICE = 65_536


class Identifiers(Sequence[str]):
    """A sequence of text held as bytes.

    Parameters
    ----------
    content : numpy.ndarray
        (b,) uint8, the UTF-8 of all of them one after the other; bytes that are not UTF-8 become lone surrogates,
        as the names of files do.
    ends : numpy.ndarray
        (n,) int64, where each of them ends.
    """

    def __init__(self, content: np.ndarray, ends: np.ndarray) -> None:
        self.content, self.ends = content, ends

    @classmethod
    def of(cls, texts: Iterable[str]) -> Identifiers:
        """Make them from text."""
        encoded = [*cls.encode(texts)]
        ends = np.cumsum([len(one) for one in encoded], dtype=np.int64)
        return cls(np.frombuffer(b"".join(encoded), np.uint8), ends)

    @classmethod
    def joined(cls, parts: Sequence[Identifiers]) -> Identifiers:
        """Put sequences behind each other."""
        starts = np.cumsum([0, *(len(part.content) for part in parts[:-1])])
        return cls(
            np.concatenate([part.content for part in parts]),
            np.concatenate([part.ends + start for part, start in zip(parts, starts)]),
        )

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return self.take(np.arange(len(self))[at])
        row = range(len(self))[int(at)]
        start = self.ends[row - 1] if row else 0
        return self.content[start : self.ends[row]].tobytes().decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        for content in self.encoded():
            yield content.decode("utf-8", "surrogateescape")

    def encoded(self) -> Iterator[bytes]:
        """Yield the UTF-8 of each, as it is held."""
        for start in range(0, len(self), _SLICE):
            ends = self.ends[start : start + _SLICE].tolist()
            at = first = int(self.ends[start - 1]) if start else 0
            block = self.content[first : ends[-1]].tobytes()
            for end in ends:
                yield block[at - first : end - first]
                at = end

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Identifiers):
            return np.array_equal(self.ends, other.ends) and np.array_equal(self.content, other.content)
        return list(self) == other

    __hash__ = None  # type: ignore[assignment]

    @staticmethod
    def encode(texts: Iterable[str]) -> Iterator[bytes]:
        """Yield the UTF-8 of each of some texts, without a way through text where they are identifiers."""
        if isinstance(texts, Identifiers):
            return texts.encoded()
        return (text.encode("utf-8", "surrogateescape") for text in texts)

    def take(self, rows: np.ndarray) -> Identifiers:
        """Return some of them, in the order of the rows."""
        starts = np.concatenate([[0], self.ends[:-1]]) if len(self) else self.ends
        lengths = (self.ends - starts)[rows]
        ends = np.cumsum(lengths, dtype=np.int64)
        places = np.arange(int(lengths.sum())) + np.repeat(starts[rows] - (ends - lengths), lengths)
        return Identifiers(self.content[places], ends)

    def is_utf8(self) -> bool:
        """Say whether every one of them is UTF-8."""
        try:
            for text in self:
                text.encode()
        except UnicodeEncodeError:
            return False
        return True
