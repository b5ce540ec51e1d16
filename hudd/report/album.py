"""The report's pictures: small files, in the page or in a folder beside it."""

from __future__ import annotations

import io
import shutil
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from PIL import Image

from hudd.plot.colours import relevance_indices, relevance_palette


@dataclass
class Shot:
    """One picture of the album; ``src`` is where the page finds it, once the album is closed."""

    data: bytes
    kind: str
    width: int
    height: int
    lead: bool
    src: str = ""


class Album:
    """Collects pictures and, when closed, gives each its address.

    Parameters
    ----------
    side : int
        Longer side of a picture at most, in pixels; smaller ones are left as they are.
    inline : int
        Bytes of pictures that the page itself may hold. If there are more, all but the
        leading ones (medoids) go into a folder beside it; the browser loads them when they come into view.
    """

    def __init__(self, side: int, inline: int) -> None:
        self.side, self.inline, self.shots = side, inline, list[Shot]()

    def picture(self, pixels: np.ndarray, *, lead: bool = False) -> Shot:
        """Add a picture, (H, W, 3) uint8. Photographs are lossy WebP, tiny ones lossless."""
        image = Image.fromarray(pixels)
        image.thumbnail((self.side, self.side), Image.Resampling.LANCZOS)
        return self._add(image, "webp", lead, lossless=max(image.size) <= 64, quality=82, method=4)

    def overlay(self, relevance: np.ndarray, *, lead: bool = False) -> Shot:
        """Add a heatmap, (h, w) relevance, as a transparent PNG of one byte a pixel."""
        colours = relevance_palette()
        image = Image.fromarray(relevance_indices(relevance))
        if max(image.size) > self.side:
            scale = self.side / max(image.size)
            image = image.resize([max(1, round(scale * side)) for side in image.size], Image.Resampling.BOX)
        image.putpalette(colours[:, :3].tobytes())
        return self._add(image, "png", lead, transparency=colours[:, 3].tobytes(), optimize=True)

    def close(self, page: Path) -> int:
        """Give every picture its address in the file `page`; return the bytes written beside it."""
        folder = page.with_name(f"{page.stem}-hudd-images")
        shutil.rmtree(folder, ignore_errors=True)  # an older report's
        beside = sum(len(shot.data) for shot in self.shots) > self.inline
        written = 0
        for at, shot in enumerate(self.shots):
            if beside and not shot.lead:
                folder.mkdir(exist_ok=True)
                name = f"{at:06d}.{shot.kind}"
                (folder / name).write_bytes(shot.data)
                shot.src = f"{quote(folder.name)}/{name}"
                written += len(shot.data)
            else:
                shot.src = f"data:image/{shot.kind};base64,{b64encode(shot.data).decode('ascii')}"
        return written

    def _add(self, image: Image.Image, kind: str, lead: bool, **options: object) -> Shot:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        shot = Shot(buffer.getvalue(), kind, *image.size, lead)
        self.shots.append(shot)
        return shot
