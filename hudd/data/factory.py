"""Images from the user's own code: a factory that makes a source or a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from hudd.data.base import ImageSource
from hudd.data.classes import renumber
from hudd.data.decoding import check_depth
from hudd.errors import UsageError
from hudd.lazy import torch
from hudd.specs import call_factory


class DatasetSource(ImageSource):
    """A map-style dataset (torchvision's, or anything with ``len`` and ``[i]``) as a source.

    Parameters
    ----------
    dataset : object
        ``dataset[i]`` is ``(image, label)``; the image a Pillow image or a uint8 array (H, W[, 3]).
        The other parameters are those of :class:`ImageSource`.
    """

    def __init__(
        self,
        dataset: Any,
        paths: Sequence[str],
        labels: Any,
        class_names: Sequence[str],
        transform: Callable[..., torch.Tensor] | None = None,
    ) -> None:
        super().__init__(paths, labels, class_names, None, transform)
        self.dataset = dataset

    def pixels(self, index: int) -> np.ndarray:
        """Take one image out of the dataset, uint8 (H, W) or (H, W, 3)."""
        image = self.dataset[index][0]
        if isinstance(image, Image.Image):
            check_depth(image, f"'{self.paths[index]}'")
            return np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
        pixels = np.asarray(image) if isinstance(image, np.ndarray) else np.empty(0)
        if pixels.dtype != np.uint8 or not (
            pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3))
        ):
            raise UsageError(
                f"'{self.paths[index]}' is a {type(image).__name__}; the dataset must give Pillow images or uint8 "
                "arrays (H, W[, 3]), and leave the transform to the model (attribute 'transform')."
            )
        return pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels

    def faults(self) -> list[tuple[int, str]]:
        """Take every image once; see :meth:`ImageSource.faults`."""
        found = []
        for row in range(len(self)):
            try:
                self.pixels(row)
            except UsageError as error:
                found.append((row, str(error)))
            except Exception as error:  # the dataset's own code
                found.append(
                    (row, f"image '{self.paths[row]}' cannot be read ({type(error).__name__}: {error})")
                )
        return found

    def _keep(self, rows: np.ndarray) -> None:
        self.dataset = torch.utils.data.Subset(self.dataset, rows.tolist())

    def contents(self) -> Iterator[bytes]:
        """Yield every image's bytes: a dataset has no cheaper sign of change."""
        for index in range(len(self)):
            yield self.pixels(index).tobytes()


def open_factory(
    spec: str,
    *,
    transform: Callable[..., torch.Tensor] | None = None,
    class_names: Sequence[str] | None = None,
) -> ImageSource:
    """Open ``package.module:factory`` or ``path/file.py:factory``.

    The factory takes no arguments and returns an :class:`ImageSource`, or a dataset of (image, label) pairs;
    a dataset's attributes ``targets`` (labels) and ``classes`` (names) are used where present, as torchvision has them.

    Parameters
    ----------
    spec : str
        The factory spec.
    transform : callable, optional
        Replaces the source's own.
    class_names : sequence of str, optional
        The network's classes; labels are carried over by name where the factory gives names.

    Raises
    ------
    UsageError
        If the factory cannot be found or called, or makes something else.
    """
    _, made = call_factory(spec)
    if isinstance(made, ImageSource):
        if class_names is not None:
            where = made.paths
            made.assignment = renumber(
                made.labels, made.class_names, class_names, lambda row: f"image '{where[row]}' of '{spec}'"
            )
            made.labels, made.class_names = made.assignment.labels, made.assignment.class_names
        if transform is not None:
            made.transform = transform
        return _filled(made, spec)
    if not (hasattr(made, "__len__") and hasattr(made, "__getitem__")):
        raise UsageError(
            f"'{spec}' made an object of type {type(made).__name__}; it must return an ImageSource, or a dataset of "
            "(image, label) pairs."
        )
    name = spec.rpartition(":")[2]
    paths = [f"{name}[{index}]" for index in range(len(made))]
    try:
        given = made.targets if hasattr(made, "targets") else [made[index][1] for index in range(len(made))]
        targets = np.asarray([int(label) for label in given], dtype=np.int64)
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise UsageError(f"'{spec}' must hold pairs (image, class number): {error}.") from error
    own = [str(label) for label in getattr(made, "classes", [])]
    assignment = renumber(targets, own, class_names, lambda row: f"image {row} of '{spec}'")
    source = DatasetSource(made, paths, assignment.labels, assignment.class_names, transform)
    source.assignment = assignment
    return _filled(source, spec)


def _filled(source: ImageSource, spec: str) -> ImageSource:
    if len(source) == 0:
        raise UsageError(f"'{spec}' holds no images; return some.")
    return source
