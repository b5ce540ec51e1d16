"""From the bytes of an image file to pixels: the one function behind all sources.

Pillow reads every kind. Where simplejpeg is installed, which calls libjpeg-turbo without the way through Pillow's own
image, it reads the JPEG files that it decodes to the same pixels, and Pillow the others.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL
from PIL import Image, ImageOps, UnidentifiedImageError, features

from hudd.data.intact import is_whole
from hudd.data.jpeg import read_frame
from hudd.errors import UsageError

Decoder = Literal["pillow", "simplejpeg"]

# What a file may be, whatever it is called: of Pillow's other kinds some start programs (EPS) or were never hardened.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "AVIF", "PPM", "JPEG2000", "TGA")
_ORIENTATION = 0x0112


def preferred_decoder() -> Decoder:
    """Return the fastest decoder of JPEG files that is installed."""
    return "simplejpeg" if find_spec("simplejpeg") else "pillow"


def check_decoder(decoder: str) -> None:
    """Refuse a decoder that is not installed.

    Raises
    ------
    UsageError
        Saying what to install, or which other one to name.
    """
    if decoder == "simplejpeg" and not find_spec("simplejpeg"):
        raise UsageError(
            "the JPEG decoder is 'simplejpeg', which is not installed; run pip install '.[jpeg]' in hudd's source "
            "tree, or give `decoder='pillow'`, by which all images are tested again."
        )


def decoder_version(decoder: str) -> str:
    """Return a decoder with its version, and that of libjpeg-turbo where it tells."""
    turbo = features.version_feature("libjpeg_turbo")
    pillow = f"Pillow {PIL.__version__}" + (f" (libjpeg-turbo {turbo})" if turbo else "")
    if decoder != "simplejpeg":
        return pillow
    import simplejpeg

    return f"simplejpeg {simplejpeg.__version__}; {pillow}"


@cache
def _formats() -> tuple[str, ...]:
    """Those of the kinds that this Pillow was built with."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@dataclass(frozen=True)
class Header:
    """What a file says before it is decoded: width and height, as stored and as EXIF has it shown."""

    size: tuple[int, int]
    turned: bool
    shown: tuple[int, int]


def decode(
    content: bytes | Path,
    told: str,
    *,
    exif_orient: bool = False,
    decoder: Decoder = "pillow",
    into: np.ndarray | None = None,
) -> np.ndarray:
    """Decode an image file.

    Parameters
    ----------
    content : bytes or Path
        Any 8-bit kind that Pillow reads, in memory or on disk; palettes are resolved, transparency is dropped.
    told : str
        What the image is called in errors, in quotes.
    exif_orient : bool
        Turn and mirror the image as its EXIF data say.
    decoder : {"pillow", "simplejpeg"}
        What decodes JPEG files; what simplejpeg would decode to other pixels, or not at all, Pillow does.
    into : numpy.ndarray, optional
        (H, W, 3) uint8. Pixels of that size may be decoded there, which is returned then.

    Returns
    -------
    numpy.ndarray
        (H, W, 3) uint8.

    Raises
    ------
    UsageError
        Naming the image, if it is missing, damaged, not an image, too large or deeper than 8 bits.
    """
    if decoder == "simplejpeg":
        pixels = decode_jpeg(content, exif_orient, into)
        if pixels is not None:
            return pixels
    with _opened(content, told) as image:
        shown = ImageOps.exif_transpose(image) if exif_orient else image
        return np.asarray(shown.convert("RGB"))


def scan(content: bytes | Path, told: str) -> Header | str:
    """Return the header of an image that can be decoded; else the sentence that says why it cannot."""
    try:
        if isinstance(content, bytes):
            frame = read_frame(content)
            if frame is not None and frame.plain and is_whole(content, "JPEG"):
                size = (frame.width, frame.height)
                if size[0] * size[1] <= (Image.MAX_IMAGE_PIXELS or math.inf):
                    return Header(size, False, size)
        with _opened(content, told) as image:
            kind, size = image.format or "", image.size
            orientation = image.getexif().get(_ORIENTATION, 1) if "exif" in image.info else 1
        if not is_whole(content if isinstance(content, bytes) else content.read_bytes(), kind):
            decode(content, told)
    except UsageError as error:
        return str(error)
    return Header(size, orientation not in (0, 1), size[::-1] if orientation in (5, 6, 7, 8) else size)


def reason_of(error: BaseException) -> str:
    """Say in brief what Pillow or the system says."""
    if isinstance(error, UnidentifiedImageError):
        return "it is not an image of a kind that Pillow knows"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")


def slashes(path: str) -> str:
    """Say what is odd about a path with backslashes."""
    return " (it is written with backslashes; here folders are separated by '/')" if "\\" in path else ""


def check_depth(image: Image.Image, told: str) -> None:
    """Refuse pixels of more than 8 bits, which Pillow would clip, not scale."""
    if image.mode.startswith(("I", "F")):
        raise UsageError(f"image {told} has pixels of type {image.mode}; convert it to 8 bits a channel.")


@cache
def _simplejpeg() -> Any:
    import simplejpeg

    return simplejpeg.decode_jpeg


def decode_jpeg(content: bytes | Path, exif_orient: bool, into: np.ndarray | None) -> np.ndarray | None:
    """Decode by simplejpeg what it decodes to the same pixels as Pillow, see :func:`decode`; None of all else."""
    if isinstance(content, Path):
        if content.suffix.lower() not in _JPEG_SUFFIXES:
            return None
        try:
            content = content.read_bytes()
        except OSError:  # Pillow says what is wrong
            return None
    frame = read_frame(content)
    if frame is None or not frame.exact or (exif_orient and frame.exif):
        return None
    if frame.width * frame.height > (Image.MAX_IMAGE_PIXELS or math.inf):
        return None
    if into is not None and (into.shape != (frame.height, frame.width, 3) or into.dtype != np.uint8):
        into = None
    try:
        pixels: np.ndarray = _simplejpeg()(content, "RGB", buffer=into, strict=True)
    except ValueError:  # cut off or damaged
        return None
    return pixels if into is None else into


_JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")


class _opened:
    """Open an image file with Pillow; whatever goes wrong inside names the image."""

    def __init__(self, content: bytes | Path, told: str) -> None:
        self.content, self.told = content, told

    def __enter__(self) -> Image.Image:
        try:
            stream = io.BytesIO(self.content) if isinstance(self.content, bytes) else self.content
            self.image = Image.open(stream, formats=_formats())
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
        check_depth(self.image, self.told)

    def _too_large(self) -> str:
        return (
            f"image {self.told} has more pixels than Pillow's guard against decompression bombs allows "
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
                f"image {self.told} does not exist{slashes(self.told)}; correct the path or leave it out."
            ) from error
        if isinstance(error, Exception):  # Pillow's decoders raise errors of any kind
            raise UsageError(
                f"image {self.told} cannot be decoded ({reason_of(error)}); replace it or leave it out."
            ) from error
