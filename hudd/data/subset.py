"""Some of the images of a source, as a source of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hudd.data.base import ImageSource
from hudd.data.identifiers import Identifiers


class Subset(ImageSource):
    """Some rows of another source, read through it.

    Parameters
    ----------
    source : ImageSource
        Where the images are from.
    rows : np.ndarray
        (n,) int64 its rows.
    mark : str
        What the fingerprint has of the source, by default the source's own: given, so that several subsets of one
        source ask for it once.

    Attributes
    ----------
    taken_from : list
        How the rows were chosen, as JSON has it, where that is kept; else empty.
    """

    taken_from: Sequence[Any] = ()

    def __init__(self, source: ImageSource, rows: np.ndarray, mark: str = "") -> None:
        self.source, self.rows = source, np.asarray(rows, np.int64)
        known = source.paths
        paths = (
            known.take(self.rows)
            if isinstance(known, Identifiers)
            else [known[row] for row in self.rows.tolist()]
        )
        parameters = {name: values[self.rows] for name, values in source.parameters.items()}
        super().__init__(paths, source.labels[self.rows], source.class_names, parameters, source.transform)
        self.assignment, self.without_labels = source.assignment, source.without_labels
        self.remarks, self.skipped, self.scanned = source.remarks, source.skipped, source.scanned
        self.decoder, self.target_names = source.decoder, source.target_names
        self.mark = mark or source.fingerprint()

    def pixels(self, index: int) -> np.ndarray:
        """Decode one image; see :meth:`ImageSource.pixels`."""
        return self.source.pixels(int(self.rows[index]))

    def file(self, index: int) -> Path | None:
        """Return the file that an image is from."""
        return self.source.file(int(self.rows[index]))

    def read_bytes(self, indices: Sequence[int] | np.ndarray) -> list[bytes | None]:
        """Return the bytes of images; see :meth:`ImageSource.read_bytes`."""
        return self.source.read_bytes(self.rows[np.asarray(indices, np.int64)])

    def decode_bytes(
        self,
        indices: Sequence[int] | np.ndarray,
        encoded: Sequence[bytes | None],
        into: Iterable[np.ndarray | None] = repeat(None),
    ) -> list[np.ndarray]:
        """Decode images; see :meth:`ImageSource.decode_bytes`."""
        return self.source.decode_bytes(self.rows[np.asarray(indices, np.int64)], encoded, into)

    def load(self, indices: Iterable[int]) -> torch.Tensor:
        """Decode and transform images as the source does; see :meth:`ImageSource.load`."""
        if self.transform is not self.source.transform:
            return super().load(indices)
        return self.source.load([int(self.rows[index]) for index in indices])

    def check(self) -> None:
        """Look at all images of the source; see :meth:`ImageSource.check`."""
        self.source.check()

    def contents(self) -> Iterator[bytes]:
        """Yield the fingerprint of the source, and the rows."""
        yield self.mark.encode()
        yield self.rows.tobytes()
