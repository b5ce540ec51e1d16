"""The report's pictures: small files in the page or in a folder next to it, or made when a served page asks."""

from __future__ import annotations

import io
import shutil
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from PIL import Image

from hudd.colours import relevance_indices, relevance_palette
from hudd.store.aside import whole_folder

Maker = Callable[[], np.ndarray]
"""Returns the pixels of a picture, (H, W, 3) uint8, or of a heatmap, (h, w) relevance."""


@dataclass
class Shot:
    """One picture of the album; ``src`` is where the page finds it, once the album is closed."""

    name: str
    width: int
    height: int
    lead: bool = False
    data: bytes = b""
    src: str = ""


class Album:
    """Collects pictures and, when closed, gives each its address.

    Parameters
    ----------
    side : int
        Longer side of a picture at most, in pixels; smaller ones are left as they are.
    inline : int
        Bytes of pictures that the page itself may hold. If there are more, all but the
        leading ones (medoids) go into a folder next to it; the browser loads them when they come into view.
    """

    eager = True
    """Whether a picture is made when it is added, rather than when it is seen."""

    def __init__(self, side: int, inline: int) -> None:
        self.side, self.inline, self.shots = side, inline, list[Shot]()

    def picture(self, name: str, make: Maker, *, lead: bool = False) -> Shot:
        """Add a photograph under a name of its own."""
        return self._add(f"{name}.webp", encode_picture(make(), self.side), lead)

    def overlay(self, name: str, make: Maker, *, lead: bool = False) -> Shot:
        """Add a heatmap under a name of its own."""
        return self._add(f"{name}.png", encode_overlay(make(), self.side), lead)

    def close(self, page: Path) -> int:
        """Give every picture its address in the file `page`; return the bytes written next to it."""
        folder = page.with_name(f"{page.stem}-hudd-images")
        too_large = sum(len(shot.data) for shot in self.shots) > self.inline
        outside = [shot for shot in self.shots if too_large and not shot.lead]
        if outside:
            with whole_folder(folder) as aside:  # in place of an older report's
                for shot in outside:
                    (aside / shot.name).write_bytes(shot.data)
                    shot.src = f"{quote(folder.name)}/{shot.name}"
        else:
            shutil.rmtree(folder, ignore_errors=True)
        for shot in self.shots:
            if not shot.src:
                kind = shot.name.rsplit(".", 1)[1]
                shot.src = f"data:image/{kind};base64,{b64encode(shot.data).decode('ascii')}"
        return sum(len(shot.data) for shot in outside)

    def _add(self, name: str, encoded: tuple[bytes, int, int], lead: bool) -> Shot:
        data, width, height = encoded
        shot = Shot(name, width, height, lead, data)
        self.shots.append(shot)
        return shot


class LiveAlbum(Album):
    """Makes each picture when it is asked for, see :meth:`read`.

    Parameters
    ----------
    side : int
        As for :class:`Album`.
    address : callable
        A picture's name to the address under which the page asks for it.
    """

    eager = False

    def __init__(self, side: int, address: Callable[[str], str]) -> None:
        super().__init__(side, 0)
        self.address, self._makers = address, dict[str, Maker]()
        self._size: tuple[int, int] | None = None

    def picture(self, name: str, make: Maker, *, lead: bool = False) -> Shot:
        """Promise a photograph; the first one's size stands for all."""
        if self._size is None:
            _, *size = encode_picture(make(), self.side)
            self._size = (size[0], size[1])
        return self._promise(f"{name}.webp", make)

    def overlay(self, name: str, make: Maker, *, lead: bool = False) -> Shot:
        """Promise a heatmap."""
        return self._promise(f"{name}.png", make)

    def read(self, name: str) -> tuple[bytes, str] | None:
        """Return a picture's file and media type; None where none of that name was promised."""
        if name not in self._makers:
            return None
        kind = name.rsplit(".", 1)[1]
        encode = encode_picture if kind == "webp" else encode_overlay
        return encode(self._makers[name](), self.side)[0], f"image/{kind}"

    def _promise(self, name: str, make: Maker) -> Shot:
        self._makers[name] = make
        return Shot(name, *(self._size or (self.side, self.side)), src=self.address(name))


def encode_picture(pixels: np.ndarray, side: int) -> tuple[bytes, int, int]:
    """Return (H, W, 3) uint8 as WebP, lossless where tiny, and its width and height."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _encode(image, "webp", lossless=max(image.size) <= 64, quality=82, method=4)


def encode_overlay(relevance: np.ndarray, side: int) -> tuple[bytes, int, int]:
    """Return (h, w) relevance as a transparent PNG of one byte a pixel, and its width and height."""
    colours = relevance_palette()
    image = Image.fromarray(relevance_indices(relevance))
    if max(image.size) > side:
        scale = side / max(image.size)
        image = image.resize([max(1, round(scale * length)) for length in image.size], Image.Resampling.BOX)
    image.putpalette(colours[:, :3].tobytes())
    return _encode(image, "png", transparency=colours[:, 3].tobytes(), optimize=True)


def _encode(image: Image.Image, kind: str, **options: object) -> tuple[bytes, int, int]:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue(), *image.size
