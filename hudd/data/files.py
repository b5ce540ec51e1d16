"""Image files on disk: decoding with errors that name the file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from hudd.data.base import RESIZE, ImageSource
from hudd.data.transforms import Transform
from hudd.errors import UsageError

_COMMON = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif")
_RARE = (".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".tga")
IMAGE_SUFFIXES = frozenset((*_COMMON, *_RARE))
# What a file may be, whatever it is called: of Pillow's other kinds some start programs (EPS) or were never hardened.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "AVIF", "PPM", "JPEG2000", "TGA")


@cache
def _formats() -> tuple[str, ...]:
    """Those of the kinds that this Pillow was built with."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


class FileSource(ImageSource):
    """Images in files of their own, decoded as 8-bit RGB.

    Parameters
    ----------
    files : sequence of Path
        One a row; the other parameters are those of :class:`ImageSource`.
    """

    def __init__(
        self,
        files: Sequence[Path],
        paths: Sequence[str],
        labels: Any,
        class_names: Sequence[str],
        parameters: Mapping[str, Any] | None = None,
        transform: Callable[..., torch.Tensor] | None = None,
    ) -> None:
        super().__init__(paths, labels, class_names, parameters, transform)
        self.files = list(files)

    def pixels(self, index: int) -> np.ndarray:
        """Decode one file: (H, W, 3) uint8."""
        return decode(self.files[index])

    def check(self) -> None:
        """Read the header of every file; see :meth:`ImageSource.check`. All that cannot be used are named."""
        super().check()
        refused, sizes = [], dict[tuple[int, int], Path]()
        for file in self.files:
            try:
                with _opened(file) as image:
                    sizes.setdefault(image.size, file)
            except UsageError as error:
                refused.append((file, error))
        if refused:
            others = first((str(file) for file, _ in refused[1:]), most=3)
            more = (
                f" So it is with {len(refused) - 1:,} more of {len(self.files):,}: {others}."
                if others
                else ""
            )
            raise UsageError(f"{refused[0][1]}{more}") from refused[0][1]
        if len(sizes) > 1 and isinstance(self.transform, Transform) and self.transform.resize is None:
            one, other = (
                f"'{file}' is {height}x{width}" for (width, height), file in list(sizes.items())[:2]
            )
            raise UsageError(f"image {one} and {other}; a batch needs one size: {RESIZE}.")

    def contents(self) -> Iterator[bytes]:
        """Yield size and time of last change of every file."""
        for file in self.files:
            try:
                status = file.stat()
            except (OSError, ValueError) as error:  # a ValueError where the name cannot be one of a file
                raise UsageError(
                    f"image '{file}' cannot be read ({_reason(error)}); correct the path or leave it out."
                ) from error
            yield f"{status.st_size} {status.st_mtime_ns}\n".encode()


class _opened:
    """Open an image file with Pillow; whatever goes wrong inside names the file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __enter__(self) -> Image.Image:
        try:
            self.image = Image.open(self.file, formats=_formats())
        except Exception as error:
            self._explain(error)
            raise
        try:
            self._check()
        except UsageError:
            self.image.close()
            raise
        return self.image

    def _check(self) -> None:
        width, height = self.image.size
        if width * height > (Image.MAX_IMAGE_PIXELS or math.inf):  # Pillow itself refuses at twice as many
            raise UsageError(self._too_large())
        check_depth(self.image, str(self.file))

    def _too_large(self) -> str:
        return (
            f"image '{self.file}' has more pixels than Pillow's guard against decompression bombs allows "
            f"({Image.MAX_IMAGE_PIXELS:,}); shrink it or leave it out."
        )

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.image.close()
        if error is not None:
            self._explain(error)

    def _explain(self, error: BaseException) -> None:
        if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
            raise UsageError(self._too_large()) from error
        if isinstance(error, FileNotFoundError):
            raise UsageError(
                f"image '{self.file}' does not exist; correct the path or leave it out."
            ) from error
        if isinstance(error, Exception):  # Pillow's decoders raise errors of any kind
            raise UsageError(
                f"image '{self.file}' cannot be decoded ({_reason(error)}); replace it or leave it out."
            ) from error


def _reason(error: BaseException) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "it is not an image of a kind that Pillow knows"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")


def decode(file: Path) -> np.ndarray:
    """Decode an image file.

    Parameters
    ----------
    file : Path
        Any 8-bit kind that Pillow reads; palettes are resolved, transparency is dropped.

    Returns
    -------
    numpy.ndarray
        (H, W, 3) uint8.

    Raises
    ------
    UsageError
        Naming the file, if it is missing, damaged, not an image, too large or deeper than 8 bits.
    """
    with _opened(file) as image:
        return np.asarray(image.convert("RGB"))


def check_depth(image: Image.Image, identifier: str) -> None:
    """Refuse pixels of more than 8 bits, which Pillow would clip, not scale."""
    if image.mode.startswith(("I", "F")):
        raise UsageError(
            f"image '{identifier}' has pixels of type {image.mode}; convert it to 8 bits a channel."
        )


def inside(file: Path, root: Path) -> bool:
    """Say whether `file`, links resolved, lies beneath `root` (which is resolved already)."""
    return file.resolve().is_relative_to(root)


def first(items: Iterable[str], most: int = 5) -> str:
    """List the first few items for a message."""
    items = list(items)
    return ", ".join(f"'{item}'" for item in items[:most]) + (", ..." if len(items) > most else "")
