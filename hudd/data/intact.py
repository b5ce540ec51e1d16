"""Whether an image file is whole, without decoding it where its format tells."""

from __future__ import annotations

import struct
import zlib

_PNG = b"\x89PNG\r\n\x1a\n"


def is_whole(content: bytes, kind: str) -> bool:
    """Say whether the file ends where its format says; False where that takes decoding to know.

    Parameters
    ----------
    content : bytes
        Of an image file whose header was read.
    kind : str
        Its format, as Pillow calls it.
    """
    test = _TESTS.get(kind)
    if test is None:
        return False
    try:
        return test(content)
    except struct.error:
        return False


def _png(content: bytes) -> bool:
    """Follow the chunks to the last one, with their checksums."""
    at = len(_PNG)
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        end = at + 8 + length
        (checksum,) = struct.unpack_from(">I", content, end)
        if zlib.crc32(memoryview(content)[at + 4 : end]) != checksum:
            return False
        if content[at + 4 : at + 8] == b"IEND":
            return True
        at = end + 4
    return False


def _jpeg(content: bytes) -> bool:
    return content.rstrip(b"\0").endswith(b"\xff\xd9")


def _gif(content: bytes) -> bool:
    return content.rstrip(b"\0").endswith(b"\x3b")


def _webp(content: bytes) -> bool:
    length: int = struct.unpack_from("<I", content, 4)[0]
    return len(content) >= length + 8


_TESTS = {"PNG": _png, "JPEG": _jpeg, "GIF": _gif, "WEBP": _webp}
