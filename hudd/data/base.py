"""What every data spec opens to."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from itertools import islice, repeat
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from hudd.data.assignment import Assignment
from hudd.data.decoding import Decoder
from hudd.data.identifiers import Identifiers
from hudd.data.transforms import Transform, apply
from hudd.errors import UsageError
from hudd.lazy import torch

_SLICE = 65_536  # identifiers that are hashed at once
RESIZE = "give a resize, as Transform(resize=(height, width)) or `resize`"


class ImageSource(ABC):
    """Images with identifiers, labels and parameters, read on demand.

    Parameters
    ----------
    paths : sequence of str
        N unique, stable identifiers.
    labels : array_like
        (N,) class numbers, -1 where unknown.
    class_names : sequence of str
        Name of every class number; may be empty if no label is known.
    parameters : mapping, optional
        Name to (N,) column; numbers and booleans become float64, everything else str.
    transform : Transform or callable, optional
        From uint8 pixels (a Pillow image for a callable of another kind) to float ``(C, H, W)``;
        None is ``Transform()``.

    Attributes
    ----------
    paths : sequence of str
    labels : numpy.ndarray
        (N,) int64.
    class_names : list of str
    parameters : dict of str to numpy.ndarray
    transform : Transform or callable
    assignment : Assignment or None
        How the labels were taken for outputs of the network; None where that is not known.
    remarks : list of str
        What a user should know about how the images were read, a sentence each.
    without_labels : str
        Why there are no labels and what helps, in words; "" where there are labels.
    skipped : list of (str, str)
        Images that were left out because they cannot be decoded, and why.
    scanned : str
        Fingerprint of the source before any was left out; "" where that was not asked for.
    target_names : list of str
        Parameters that hold the numbers which the network is to predict, in the order of its outputs, where the source
        says so itself.
    decoder : str
        What decodes JPEG files, see :func:`hudd.data.decoding.decode`.
    arrays : dict of str to list of str
        Columns of the data that hold an array for each image, with the parameters that its numbers are.
    """

    assignment: Assignment | None = None
    remarks: Sequence[str] = ()
    without_labels: str = ""
    skipped: Sequence[tuple[str, str]] = ()
    scanned: str = ""
    target_names: Sequence[str] = ()
    decoder: Decoder = "pillow"
    arrays: Mapping[str, Sequence[str]] = MappingProxyType({})

    def __init__(
        self,
        paths: Sequence[str],
        labels: Any,
        class_names: Sequence[str],
        parameters: Mapping[str, Any] | None = None,
        transform: Callable[..., torch.Tensor] | None = None,
    ) -> None:
        self.paths: Sequence[str] = paths if isinstance(paths, Identifiers) else list(paths)
        self.labels = np.asarray(labels, dtype=np.int64)
        self.class_names = [str(name) for name in class_names]
        self.parameters = {str(name): column(values) for name, values in (parameters or {}).items()}
        _check_names(self.parameters)
        self.transform: Callable[..., torch.Tensor] = Transform() if transform is None else transform

    def __len__(self) -> int:
        return len(self.paths)

    @abstractmethod
    def pixels(self, index: int) -> np.ndarray:
        """Decode one image: uint8, ``(H, W)`` or ``(H, W, 3)``."""

    def file(self, index: int) -> Path | None:
        """Return the file that an image is from, None where it is from none of its own."""
        return None

    def read_bytes(self, indices: Sequence[int] | np.ndarray) -> list[bytes | None]:
        """Return the bytes of images that lie encoded in a larger file, read in one turn; None of the others."""
        return [None] * len(indices)

    def decode_bytes(
        self,
        indices: Sequence[int] | np.ndarray,
        encoded: Sequence[bytes | None],
        into: Iterable[np.ndarray | None] = repeat(None),
    ) -> list[np.ndarray]:
        """Decode images, from the bytes that :meth:`read_bytes` returned where there are any; see :meth:`pixels`.

        Where the pixels of one fit into the array of `into` in its place, that may hold and be what is returned.
        """
        return [self.pixels(int(row)) for row in indices]

    @abstractmethod
    def contents(self) -> Iterable[bytes]:
        """Bytes that change when the images do; :meth:`fingerprint` hashes them."""

    def named(self, targets: Sequence[str]) -> list[str]:
        """Return targets with what stands for their numbers in place of columns that hold arrays; none: the source's.

        Parameters
        ----------
        targets : sequence of str
            Names of columns, or globs.
        """
        return [
            name for target in targets or self.target_names for name in self.arrays.get(target, (target,))
        ]

    def check(self) -> None:
        """Look at every image as far as is cheap, before long work starts.

        Raises
        ------
        UsageError
            Naming the first image that cannot be used; one whose name is not UTF-8 cannot be kept in a study.
        """
        for path in self.paths:
            try:
                path.encode()
            except UnicodeEncodeError as error:
                raise UsageError(
                    f"image '{path}' has a name that is not UTF-8; rename it or leave it out."
                ) from error

    def faults(self) -> list[tuple[int, str]]:
        """Return row and reason of every image that cannot be decoded, as far as that shows before it is used."""
        return []

    def without(self, bad: Mapping[int, str]) -> Self:
        """Return the source without some rows, each with the reason why it is left out."""
        if not bad:
            return self
        kept = np.delete(np.arange(len(self)), list(bad))
        other = copy(self)
        paths = self.paths
        other.paths = (
            paths.take(kept) if isinstance(paths, Identifiers) else [paths[row] for row in kept.tolist()]
        )
        other.labels = self.labels[kept]
        other.parameters = {name: values[kept] for name, values in self.parameters.items()}
        other.skipped = [*self.skipped, *((self.paths[row], reason) for row, reason in sorted(bad.items()))]
        other._keep(kept)
        return other

    def _keep(self, rows: np.ndarray) -> None:
        """Keep only some images of a copy, in a subclass whose images can be left out."""
        raise NotImplementedError(f"{type(self).__name__} reports faults and cannot leave images out")

    def load(self, indices: Iterable[int]) -> torch.Tensor:
        """Decode and transform images.

        Parameters
        ----------
        indices : iterable of int
            Row numbers; repeats allowed.

        Returns
        -------
        torch.Tensor
            (n, C, H, W) float32, ready for the network.

        Raises
        ------
        UsageError
            If an image cannot be decoded, or the images differ in size.
        """
        rows = [int(index) for index in indices]
        return self.prepare(rows, self.decode_bytes(rows, self.read_bytes(rows)))

    def prepare(self, indices: Sequence[int] | np.ndarray, decoded: Sequence[np.ndarray]) -> torch.Tensor:
        """Transform images that are decoded already; see :meth:`load`."""
        if isinstance(self.transform, Transform):
            if isinstance(decoded, np.ndarray):
                return self.transform.many(decoded)
            if len({pixels.shape for pixels in decoded}) == 1:
                return self.transform.many(np.stack(decoded))
        images = [apply(self.transform, pixels, self.paths[row]) for row, pixels in zip(indices, decoded)]
        for row, image in zip(indices, images):
            if image.shape != images[0].shape:
                raise UsageError(
                    f"image '{self.paths[row]}' is {_size(image)} and '{self.paths[indices[0]]}' is "
                    f"{_size(images[0])}; a batch needs one size: {RESIZE}."
                )
        return torch.stack(images) if images else torch.empty(0)

    def picture(self, index: int) -> np.ndarray:
        """Return one image as a person sees it: (H, W, 3) uint8, before any transform."""
        pixels = self.pixels(int(index))
        return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)

    def fingerprint(self) -> str:
        """Return the SHA-256 (hex) of identifiers, labels, class names, parameters and contents."""
        digest = hashlib.sha256()
        for texts in (self.paths, self.class_names):
            encoded = Identifiers.encode(texts)
            for row in range(0, len(texts), _SLICE):
                digest.update(b"\0" * (row > 0) + b"\0".join(islice(encoded, _SLICE)))
            digest.update(b"\1")
        digest.update(self.labels.tobytes())
        for name, values in sorted(self.parameters.items()):
            digest.update(f"{name}\1{values.dtype.str}".encode() + values.tobytes())
        for block in self.contents():
            digest.update(block)
        return digest.hexdigest()


def column(values: Any) -> np.ndarray:
    """Make a parameter column: float64 for numbers and booleans, str for the rest."""
    array = np.asarray(values)
    return array.astype(np.float64 if array.dtype.kind in "biuf" else str)


def _check_names(names: Iterable[str]) -> None:
    """Refuse names of parameters under which a study could not keep them: there "/" becomes "_"."""
    kept: dict[str, str] = {}
    for name in names:
        if name in ("", ".", "..") or not name.isprintable():
            raise UsageError(f"a parameter is called '{name}'; give it a name of printable characters.")
        same = kept.setdefault(name.replace("/", "_"), name)
        if same != name:
            raise UsageError(
                f"the parameters '{same}' and '{name}' are one name to a study; rename one of them."
            )


def _size(image: torch.Tensor) -> str:
    return "x".join(str(side) for side in image.shape)
