"""Images held in one NumPy archive."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hudd.data.assignment import UNKNOWN
from hudd.data.base import ImageSource
from hudd.data.classes import renumber
from hudd.data.targets import target_columns
from hudd.data.transforms import Transform
from hudd.errors import UsageError
from hudd.lazy import torch
from hudd.memory import check_memory


class ArraySource(ImageSource):
    """Images of one size in memory.

    Parameters
    ----------
    images : numpy.ndarray
        (N, H, W) or (N, H, W, 3) uint8; the other parameters are those of :class:`ImageSource`.
    """

    def __init__(
        self,
        images: np.ndarray,
        paths: Sequence[str],
        labels: Any,
        class_names: Sequence[str],
        parameters: Mapping[str, Any] | None = None,
        transform: Callable[..., torch.Tensor] | None = None,
    ) -> None:
        super().__init__(paths, labels, class_names, parameters, transform)
        self.images = images

    def pixels(self, index: int) -> np.ndarray:
        """Return one image, (H, W) or (H, W, 3) uint8."""
        image: np.ndarray = self.images[index]
        return image

    def load(self, indices: Iterable[int]) -> torch.Tensor:
        """Transform images; see :meth:`ImageSource.load`."""
        if isinstance(self.transform, Transform):
            return self.transform.many(self.images[np.asarray(list(indices), dtype=np.int64)])
        return super().load(indices)

    def contents(self) -> Iterator[bytes]:
        """Yield the bytes of the images, in slices."""
        for start in range(0, len(self.images), 1024):
            yield np.ascontiguousarray(self.images[start : start + 1024]).tobytes()


_REMEDY = "write it with numpy.savez(file, images=..., labels=...)"


def open_archive(
    file: Path,
    *,
    transform: Callable[..., torch.Tensor] | None = None,
    class_names: Sequence[str] | None = None,
) -> ArraySource:
    """Open an ``.npz`` archive.

    Arrays: ``images`` (N, H, W), (N, H, W, 1) or (N, H, W, 3) uint8; ``labels`` (N,) integers, -1 where unknown
    (optional); ``class_names`` (K,) (optional); ``targets``, numbers to predict in the order of the network's outputs
    (optional): (N, T), or (N, K, 2) places x and y of landmarks, nan where unknown, with their names, (T,) or (K,), in
    ``target_names``; every other array must be (N,) and is a parameter of the images.

    Parameters
    ----------
    file : Path
        The archive; identifiers are ``name.npz[0]``, ``name.npz[1]``, ...
    transform : callable, optional
        See :class:`hudd.data.ImageSource`.
    class_names : sequence of str, optional
        The network's classes; labels are carried over by name where the archive has names of its own.

    Raises
    ------
    UsageError
        If the archive cannot be read, or an array in it has the wrong type or shape.
    """
    arrays = _read(file)
    if "images" not in arrays:
        raise UsageError(
            f"'{file}' has no array 'images' (it has: {', '.join(arrays) or 'nothing'}); {_REMEDY}."
        )
    images = arrays.pop("images")
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.dtype != np.uint8 or not (images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)):
        raise UsageError(
            f"'images' in '{file}' is {images.dtype} of shape {images.shape}; it must be uint8, "
            "(N, H, W) or (N, H, W, 3)."
        )
    count = len(images)
    if images.size == 0:  # (2**40, 0, 1) too, of which no byte is there
        raise UsageError(f"'{file}' holds no images; name another archive.")
    own = [str(name) for name in np.atleast_1d(arrays.pop("class_names", np.array([], dtype=str))).ravel()]
    labelled = "labels" in arrays
    labels = arrays.pop("labels", np.full(count, UNKNOWN))
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise UsageError(
            f"'labels' in '{file}' is {labels.dtype} of shape {labels.shape}; it must hold {count} whole "
            "numbers; numbers to predict are called 'targets'."
        )
    targets = _targets(arrays, count, file)
    arrays |= targets
    for name, values in arrays.items():
        if values.shape != (count,):
            raise UsageError(
                f"'{name}' in '{file}' has shape {values.shape}; a parameter has one value per image, ({count},)."
            )
    assignment = renumber(labels, own, class_names, lambda row: f"image {row} of '{file}'")
    paths = [f"{file.name}[{row}]" for row in range(count)]
    source = ArraySource(images, paths, assignment.labels, assignment.class_names, arrays, transform)
    source.assignment, source.target_names = assignment, list(targets)
    if not labelled:
        source.without_labels = f"'{file}' has no array 'labels'; write one whole number per image into it"
    return source


def _targets(arrays: dict[str, np.ndarray], count: int, file: Path) -> dict[str, np.ndarray]:
    """Take the numbers to predict out of the arrays; return them as columns by name."""
    values, names = arrays.pop("targets", None), arrays.pop("target_names", None)
    if values is None:
        return {}
    if not values.ndim or len(values) != count:
        raise UsageError(
            f"'targets' in '{file}' is {values.dtype} of shape {values.shape}; it must be numbers, ({count}, T), or "
            f"({count}, K, 2) for landmarks."
        )
    own = None if names is None else names.ravel().tolist()
    return target_columns(values, own, f"'targets' in '{file}'", f"'target_names' in '{file}'")


def _read(file: Path) -> dict[str, np.ndarray]:
    try:
        if not zipfile.is_zipfile(file):
            raise UsageError(f"'{file}' is no NumPy archive; {_REMEDY}.")
        _check_declared(file)
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except UsageError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy's header parser have a dozen kinds between them
        why = (
            "it holds Python objects"
            if "pickle" in str(error)
            else f"{error or type(error).__name__}".rstrip(".")
        )
        raise UsageError(f"'{file}' cannot be read ({why}); {_REMEDY}.") from error


def _check_declared(file: Path) -> None:
    """Refuse an archive whose arrays say that they are larger than memory, or than what they unpack to."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        check_memory(
            sum(member.file_size for member in members),
            f"unpacking '{file}'",
            "give the images as files in a folder or a manifest, which are read one by one",
        )
        for member in members:
            with archive.open(member) as stream:
                shape, _, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
            declared = math.prod(shape) * dtype.itemsize
            if declared > member.file_size:
                raise UsageError(
                    f"'{member.filename}' in '{file}' says that it holds {declared:,} bytes, but has "
                    f"{member.file_size:,}; the file is damaged: write it again."
                )


_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
