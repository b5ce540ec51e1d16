"""Image files on disk: decoding with errors that name the file."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from hudd.data.base import RESIZE, ImageSource
from hudd.data.intact import is_whole
from hudd.data.transforms import Transform
from hudd.errors import UsageError
from hudd.lazy import torch

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
        One per row; the other parameters are those of :class:`ImageSource`.

    Attributes
    ----------
    exif_orient : bool
        Turn and mirror the images as their EXIF data say; cameras write the pixels as the sensor lay.
    """

    exif_orient = False

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
        return decode(self.files[index], exif_orient=self.exif_orient)

    def file(self, index: int) -> Path:
        """Return the file of one image."""
        return self.files[index]

    def faults(self) -> list[tuple[int, str]]:
        """Look at every file, and decode those that may be cut off; see :meth:`ImageSource.faults`."""
        return [(row, found) for row, found in enumerate(self._scanned()) if isinstance(found, str)]

    def check(self) -> None:
        """Look at every file; see :meth:`ImageSource.check`. All that cannot be used are named."""
        super().check()
        found = self._scanned()
        refused = [(file, sentence) for file, sentence in zip(self.files, found) if isinstance(sentence, str)]
        if refused:
            more = ""
            if len(refused) > 1:
                others = first((str(file) for file, _ in refused[1:]), most=9)
                more = f" So it is with {len(refused) - 1:,} more of {len(self.files):,}: {others}."
            raise UsageError(f"{refused[0][1]}{more} `skip_bad` leaves such images out.")
        sizes: dict[tuple[int, int], Path] = {}
        turned = 0
        for file, header in zip(self.files, found):
            assert isinstance(header, _Header)
            sizes.setdefault(header.shown if self.exif_orient else header.size, file)
            turned += header.turned
        if turned and not self.exif_orient:
            self.remarks = [
                *self.remarks,
                f"{turned:,} images say by EXIF that they are to be turned; this is not done without exif_orient.",
            ]
        if len(sizes) > 1 and isinstance(self.transform, Transform) and self.transform.resize is None:
            one, other = (
                f"'{file}' is {height}x{width}" for (width, height), file in list(sizes.items())[:2]
            )
            raise UsageError(f"image {one} and {other}; a batch needs one size: {RESIZE}.")

    def _scanned(self) -> list[_Header | str]:
        """Return of every file its header, or the sentence that says why it cannot be used."""
        with ThreadPoolExecutor(min(_SCANNERS, os.cpu_count() or 1)) as pool:
            return list(pool.map(_scan, self.files))

    def _keep(self, rows: np.ndarray) -> None:
        self.files = [self.files[row] for row in rows]

    def contents(self) -> Iterator[bytes]:
        """Yield size and time of last change of every file."""
        if self.exif_orient:
            yield b"turned by EXIF\n"
        for file in self.files:
            try:
                status = file.stat()
            except (OSError, ValueError) as error:  # a ValueError where the name cannot be one of a file
                raise UsageError(
                    f"image '{file}' cannot be read ({_reason(error)}){_slashes(file)}; correct the path or "
                    "leave it out."
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
                f"image '{self.file}' does not exist{_slashes(self.file)}; correct the path or leave it out."
            ) from error
        if isinstance(error, Exception):  # Pillow's decoders raise errors of any kind
            raise UsageError(
                f"image '{self.file}' cannot be decoded ({_reason(error)}); replace it or leave it out."
            ) from error


def _slashes(file: Path) -> str:
    return " (it is written with backslashes; here folders are separated by '/')" if "\\" in str(file) else ""


def _reason(error: BaseException) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is not an image of a kind that Pillow knows"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")


def decode(file: Path, *, exif_orient: bool = False) -> np.ndarray:
    """Decode an image file.

    Parameters
    ----------
    file : Path
        Any 8-bit kind that Pillow reads; palettes are resolved, transparency is dropped.
    exif_orient : bool
        Turn and mirror the image as its EXIF data say.

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
        shown = ImageOps.exif_transpose(image) if exif_orient else image
        return np.asarray(shown.convert("RGB"))


@dataclass(frozen=True)
class _Header:
    """What a file says before it is decoded: width and height, as stored and as EXIF has it shown."""

    size: tuple[int, int]
    turned: bool
    shown: tuple[int, int]


def _scan(file: Path) -> _Header | str:
    """Return the header of a file that can be decoded; else the sentence that says why it cannot."""
    try:
        with _opened(file) as image:
            kind, size = image.format or "", image.size
            orientation = image.getexif().get(_ORIENTATION, 1) if "exif" in image.info else 1
        if not is_whole(file, kind):
            decode(file)
    except UsageError as error:
        return str(error)
    return _Header(size, orientation not in (0, 1), size[::-1] if orientation in (5, 6, 7, 8) else size)


_ORIENTATION = 0x0112
_SCANNERS = 8  # threads


def check_depth(image: Image.Image, identifier: str) -> None:
    """Refuse pixels of more than 8 bits, which Pillow would clip, not scale."""
    if image.mode.startswith(("I", "F")):
        raise UsageError(
            f"image '{identifier}' has pixels of type {image.mode}; convert it to 8 bits a channel."
        )


def is_inside(file: Path, root: Path) -> bool:
    """Say whether `file`, links resolved, lies beneath `root` (which is resolved already)."""
    return file.resolve().is_relative_to(root)


def first(items: Iterable[str], most: int = 5) -> str:
    """List the first few items for a message."""
    items = list(items)
    return ", ".join(f"'{item}'" for item in items[:most]) + (", ..." if len(items) > most else "")
