"""What a measure of images is: which attributes it gives, and what it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from hudd.attributes import statistics

COARSE = 128  # pixels of the longer side, at most, that light and colour are measured on
FINE = 192  # pixels of a side, at most, of the middle of an image that its detail is measured on


@dataclass(frozen=True)
class Attribute:
    """A number about an image.

    Attributes
    ----------
    name : str
        What it is called in rules, in lower case with underscores.
    description : str
        What the number is.
    unit : str
        Its unit; "" for pure numbers.
    low, high, away : str
        What images are called whose value is low, high, or far from usual on either side, such as "dark images"; ""
        where there is no such word. A rule asks for nothing else of the attribute; without any word, for anything.
    general : bool
        Whether faults of many kinds change it: a rule asks for it where no other attribute does as well.
    """

    name: str
    description: str
    unit: str = ""
    low: str = ""
    high: str = ""
    away: str = ""
    general: bool = False

    @property
    def forms(self) -> frozenset[str]:
        """What a rule may ask of it: "below", "above", "inside" or "outside" of bounds."""
        if self.away or not (self.low or self.high):
            return frozenset({"below", "above", "outside"} | ({"inside"} if not self.away else set()))
        return frozenset(form for form, word in (("below", self.low), ("above", self.high)) if word)


@dataclass(frozen=True)
class Pictures:
    """Some images as they were decoded, before any transform.

    Attributes
    ----------
    images : sequence of np.ndarray
        Each (H, W) or (H, W, 3) uint8, all of the same shape.
    files : sequence of Path or None
        The file that each is from; None where it is from none of its own.
    encoded : sequence of bytes or None
        The bytes of each that lies encoded in a larger file, such as a tar archive; None of the others.
    """

    images: Sequence[np.ndarray]
    files: Sequence[Path | None] = ()
    encoded: Sequence[bytes | None] = ()

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def coarse(self) -> np.ndarray:
        """(n, h, w, 3) float32 in [0, 1], the longer side at most 128 pixels: means over fields of equal size.

        Of large images only every n-th row and column is read, so that a field is at most four pixels wide.
        """
        sampled = max(1, max(self.images[0].shape[:2]) // (2 * COARSE))
        pixels = np.stack([image[::sampled, ::sampled] for image in self.images])
        pixels = pixels if pixels.ndim == 4 else np.repeat(pixels[..., None], 3, axis=3)
        height, width = pixels.shape[1:3]
        step = -(-max(height, width) // COARSE)
        if step == 1:
            return pixels.astype(np.float32) / 255
        rows, columns = max(1, height // step), max(1, width // step)
        tall, wide = min(step, height), min(step, width)
        kept = pixels[:, : rows * tall, : columns * wide]
        fields = kept.reshape(len(pixels), rows, tall, columns, wide, 3)
        sums = sum(fields[:, :, i, :, j].astype(np.uint32) for i in range(tall) for j in range(wide))
        means: np.ndarray = np.asarray(sums / np.float32(255 * tall * wide), np.float32)
        return means

    @cached_property
    def coarse_grey(self) -> np.ndarray:
        """(n, h, w) float32 luma of :attr:`coarse`."""
        return statistics.luma(self.coarse)

    @cached_property
    def fine_grey(self) -> np.ndarray:
        """(n, h, w) float32 luma in [0, 1] of the middle, at most 192 x 192 pixels as they are.

        It starts at multiples of 8 pixels, as the blocks of JPEG do.
        """
        if self.images[0].ndim == 3 and max(self.images[0].shape[:2]) <= COARSE:
            return self.coarse_grey
        cut = []
        for image in self.images:
            top, left = (max(0, (side - FINE) // 2) // 8 * 8 for side in image.shape[:2])
            cut.append(image[top : top + FINE, left : left + FINE])
        pixels = np.stack(cut).astype(np.float32) / 255
        return pixels if pixels.ndim == 3 else statistics.luma(pixels)


class Measure(Protocol):
    """Measures attributes of images, batch by batch."""

    @property
    def attributes(self) -> Sequence[Attribute]:
        """What it measures."""
        ...

    def __call__(self, pictures: Pictures, /) -> Mapping[str, np.ndarray]:
        """Return of each attribute, by name, (n,) numbers, NaN where it has none of an image.

        Every image's must depend on that image alone. It is called from several threads.
        """
        ...
