"""The mark that HDF5 leaves in a file's superblock while a writer has it open, and how it is taken off."""

from __future__ import annotations

import struct

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FLAGS, _CHECKED, _SIZE = 11, 44, 48  # of superblock version 3: flags, bytes that its checksum covers, all
_MASK = 0xFFFFFFFF


def released(content: bytes) -> bytes:
    """Return the bytes of an HDF5 file without the mark of a writer that never closed it.

    HDF5 itself opens such a file no more. What ``h5clear --status`` does; everything else stays as it is, and a
    superblock whose own checksum is wrong is left alone.
    """
    at = _place(content)
    block = content[at : at + _SIZE]
    marked = len(block) == _SIZE and block[8] == 3 and block[9:11] == b"\x08\x08" and block[_FLAGS]
    if not marked or _checksum(block[:_CHECKED]) != block[_CHECKED:]:
        return content
    cleared = block[:_FLAGS] + b"\0" + block[_FLAGS + 1 : _CHECKED]
    return content[:at] + cleared + _checksum(cleared) + content[at + _SIZE :]


def _place(content: bytes) -> int:
    """Where the superblock begins: at 0, or behind a user block of 512, 1024, 2048, ... bytes."""
    at = 0
    while at < len(content):
        if content.startswith(SIGNATURE, at):
            return at
        at = max(512, 2 * at)
    return 0


def _checksum(data: bytes) -> bytes:
    """Bob Jenkins's lookup3 (``hashlittle``) of a multiple of four bytes, as HDF5 has it."""
    words = list(struct.unpack(f"<{len(data) // 4}I", data))
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    while len(words) > 3:
        a, b, c = (a + words[0]) & _MASK, (b + words[1]) & _MASK, (c + words[2]) & _MASK
        for turn in (4, 6, 8, 16, 19, 4):
            a = ((a - c) ^ _rotated(c, turn)) & _MASK
            c = (c + b) & _MASK
            a, b, c = b, c, a
        del words[:3]
    a, b, c = ((x + y) & _MASK for x, y in zip((a, b, c), [*words, 0, 0, 0]))
    for turn in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _rotated(b, turn)) & _MASK
        a, b, c = b, c, a
    return struct.pack("<I", b)


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & _MASK
