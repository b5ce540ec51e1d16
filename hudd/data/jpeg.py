"""What a JPEG file says of itself, read without a decoder."""

from __future__ import annotations

from dataclasses import dataclass

_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a segment
_FRAMES = frozenset((0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF))
_HUFFMAN = frozenset((0xC0, 0xC1, 0xC2))  # baseline, extended and progressive


@dataclass(frozen=True)
class Frame:
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
    if content[:3] != b"\xff\xd8\xff":
        return None
    at, exif, transform = 2, False, 1
    while at + 4 <= len(content):
        if content[at] != 0xFF:
            return None
        marker = content[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker in _ALONE:
            at += 2
            continue
        length = content[at + 2] << 8 | content[at + 3]
        if marker in _FRAMES:
            if length < 8 or at + 10 > len(content):
                return None
            height, width = (content[at + k] << 8 | content[at + k + 1] for k in (5, 7))
            exact = (
                marker in _HUFFMAN and content[at + 4] == 8 and content[at + 9] in (1, 3) and transform == 1
            )
            return Frame(width, height, exact and width > 0 and height > 0, exif)
        if marker == 0xE1 and content[at + 4 : at + 8] == b"Exif":
            exif = True
        elif marker == 0xEE and content[at + 4 : at + 9] == b"Adobe":
            transform = content[at + 15] if length >= 14 and at + 15 < len(content) else 0
        elif marker in (0xD9, 0xDA):  # image data, or the end, before a frame
            return None
        at += 2 + length
    return None
