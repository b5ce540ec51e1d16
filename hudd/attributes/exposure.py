"""What the camera wrote into a file about its exposure."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.ExifTags import IFD, Base

from hudd.attributes.base import Attribute, Pictures

_TAGS = {"exposure_time": Base.ExposureTime, "f_number": Base.FNumber, "iso": Base.ISOSpeedRatings}

_EXIF = (b"Exif", b"eXIf", b"EXIF")  # as JPEG and AVIF, PNG and WEBP call it


class Exposure:
    """EXIF data of files that have them."""

    attributes = (
        Attribute(
            "exposure_time", "exposure time by the EXIF data", "s", low="short exposure", high="long exposure"
        ),
        Attribute(
            "f_number",
            "aperture by the EXIF data, as the f-number",
            low="open aperture",
            high="small aperture",
        ),
        Attribute("iso", "sensitivity by the EXIF data", low="low sensitivity", high="high sensitivity"),
    )

    def __call__(self, pictures: Pictures) -> Mapping[str, np.ndarray]:
        """Read the headers of the files."""
        nothing = [None] * len(pictures)
        rows = [
            _exposure(file if content is None else _with_tags(content))
            for file, content in zip(pictures.files or nothing, pictures.encoded or nothing)
        ]
        return {name: np.array([row[name] for row in rows]) for name in _TAGS}


def _with_tags(content: bytes) -> io.BytesIO | None:
    return io.BytesIO(content) if any(tag in content for tag in _EXIF) else None


def _exposure(file: Path | io.BytesIO | None) -> dict[str, float]:
    if file is None:
        return dict.fromkeys(_TAGS, np.nan)
    try:
        with Image.open(file) as image:
            tags = image.getexif().get_ifd(IFD.Exif) if "exif" in image.info else {}
    except (OSError, ValueError, SyntaxError):
        tags = {}
    return {name: _number(tags.get(tag)) for name, tag in _TAGS.items()}


def _number(value: object) -> float:
    """Return a tag's number; files have several, fractions by nothing, and texts in place of numbers."""
    value = value[0] if isinstance(value, tuple) and value else value
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return np.nan
    return number if np.isfinite(number) and number > 0 else np.nan
