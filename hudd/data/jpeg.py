"""What a JPEG file says of itself, read without a decoder."""

from __future__ import annotations

from typing import NamedTuple

from hudd import _core


class Frame(NamedTuple):
    """The frame header and what stands before it.

    Attributes
    ----------
    width, height : int
    exact : bool
        Whether every decoder that is built on libjpeg-turbo makes the same pixels of it: 8 bits, grey or YCbCr, of
        Huffman codes.
    exif : bool
        Whether there are EXIF data.
    """

    width: int
    height: int
    exact: bool
    exif: bool

    @property
    def plain(self) -> bool:
        """Whether nothing is left to ask another reader for."""
        return self.exact and not self.exif


def read_frame(content: bytes) -> Frame | None:
    """Read the frame header of a JPEG file; None where it is none, or is damaged before its frame header."""
    found = _core.jpeg_frame(content)
    return None if found is None else Frame(*found)
