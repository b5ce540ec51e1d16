"""Shards that are written while the next ones are computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from hudd.store.encoding import FileImage, Shapes


class Shards(Protocol):
    """Where shards belong, see :class:`hudd.store.ShardSet`."""

    def shapes(self, start: int, like: Mapping[str, np.ndarray]) -> Shapes:
        """Return what the shard whose first row is `start` holds, its rows being like those of some arrays."""

    def image(self, shapes: Shapes) -> FileImage:
        """Return a shard in memory, to be filled and saved."""

    def save(self, start: int, image: FileImage) -> None:
        """Write a filled shard whose first row is `start`."""


class WriteBehind:
    """Gives out arrays to fill, shard by shard, and writes them in a thread of its own.

    The memory of a shard that is written is filled again, since new memory costs as much time as the writing.

    Parameters
    ----------
    shards : Shards
        Where the shards belong.
    waiting : int
        Shards that may wait while one is written; one more and the caller waits.

    Raises
    ------
    HuddError
        By any call, if a shard before could not be written.
    """

    def __init__(self, shards: Shards, waiting: int = 1) -> None:
        self._shards, self._waiting = shards, waiting
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="hudd-write")
        self._pending: deque[Future[FileImage]] = deque()
        self._spare: list[FileImage] = []

    @classmethod
    @contextmanager
    def of(cls, shards: Shards) -> Iterator[WriteBehind]:
        """Write behind while the body runs; all is on disk when it ends."""
        behind = cls(shards)
        with behind._pool:
            yield behind
            behind._await(0)

    def begin(self, start: int, like: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return arrays for the rows of the shard that begins at row `start`, to be filled.

        Parameters
        ----------
        start : int
            First row of the shard.
        like : mapping of str to ndarray
            By dataset name, arrays of any length with the dtype and the other axes of those to be filled.
        """
        self._start, shapes = start, self._shards.shapes(start, like)
        while self._spare and self._spare[-1].shapes != shapes:
            self._spare.pop()
        self._image = self._spare.pop() if self._spare else self._shards.image(shapes)
        return self._image.arrays

    def end(self) -> None:
        """Have the shard that was begun last written."""
        self._await(self._waiting)
        self._pending.append(self._pool.submit(self._write, self._start, self._image))

    def _write(self, start: int, image: FileImage) -> FileImage:
        self._shards.save(start, image)
        return image

    def _await(self, waiting: int) -> None:
        while len(self._pending) > waiting:
            self._spare.append(self._pending.popleft().result())
