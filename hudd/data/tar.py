"""The members of a tar archive, read in one pass: names and places, without unpacking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from hudd.errors import UsageError

BLOCK = 512
_END = bytes(BLOCK)
_FILES = (b"0", b"\0", b"7")
_ABOUT = (b"L", b"K", b"x", b"g")  # what follows is about the next member
_PART, _LARGEST = 16 << 20, 1 << 30  # bytes that are read at once, and kept of a member
_DIGITS = 20  # of a number of bytes
_LARGEST_NAME = 1 << 20
_AGAIN = "write the archive again"


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes
    ----------
    name : str
        As it was written, without a leading "./".
    place : int
        Where its bytes begin.
    content : bytes
        Its bytes, those that are there; of more than a gigabyte only the first.
    is_whole : bool
        Whether all of its bytes are in the archive.
    """

    name: str
    place: int
    content: bytes
    is_whole: bool


class Members:
    """The files of an archive, in their order; links and folders are passed over.

    Parameters
    ----------
    stream : file object
        At the beginning of the archive: ustar, GNU's or pax format, not compressed.
    archive : str
        Its name, for errors.

    Attributes
    ----------
    ended : bool
        Whether the mark of the archive's end was found: it may be cut off where there is none.
    """

    def __init__(self, stream: BinaryIO, archive: str) -> None:
        self._stream, self._archive, self.ended = stream, archive, False

    def __iter__(self) -> Iterator[Member]:
        """Yield them.

        Raises
        ------
        UsageError
            If it is no tar archive, is compressed, or is damaged between its members.
        """
        at, last, long_name, pax = 0, "", "", dict[str, str]()
        while header := self._stream.read(BLOCK):
            if header == _END:
                self.ended = True
                return
            size = _number(header[124:136]) if len(header) == BLOCK else None
            if size is None or size < 0 or not _sound(header):
                if not at:
                    break
                raise UsageError(
                    f"'{self._archive}' is damaged after '{last}': what follows is no member of it; {_AGAIN}."
                )
            kind, size = header[156:157], int(pax.get("size", size))
            start = at + BLOCK
            at = start + -(-size // BLOCK) * BLOCK
            content, whole = self._content(kind, size, last)
            if kind == b"L":
                long_name = _text(content)
            elif kind == b"x":
                pax = _records(content)
            elif kind not in _ABOUT:
                last = pax.get("path") or long_name or _name(header)
                long_name, pax = "", {}
                if kind in _FILES and not last.endswith("/"):
                    yield Member(last.removeprefix("./"), start, content, whole)
                if not whole:
                    self.ended = True  # and told by the member
                    return
        if not at:
            raise UsageError(_foreign(header, self._archive))

    def _content(self, kind: bytes, size: int, last: str) -> tuple[bytes, bool]:
        if kind == b"S":
            raise UsageError(
                f"'{self._archive}' holds sparse files after '{last}', which are not read; {_AGAIN}."
            )
        if kind in _ABOUT and size > _LARGEST_NAME:
            raise UsageError(f"'{self._archive}' has a name of {size:,} bytes after '{last}'; {_AGAIN}.")
        kept, left = [], size
        while left > 0 and (part := self._stream.read(min(left, _PART))):
            left -= len(part)
            if (
                size <= _LARGEST or left + len(part) == size
            ):  # of what is no image's size the beginning is enough
                kept.append(part)
        self._stream.read(-size % BLOCK)
        return b"".join(kept), left == 0


def _sound(header: bytes) -> bool:
    told = _number(header[148:156])
    return told == sum(header) - sum(header[148:156]) + 8 * ord(" ")


def _number(digits: bytes) -> int | None:
    if digits[0] & 0x80:  # GNU's way with large numbers
        return int.from_bytes(digits[1:], "big")
    try:
        return int(digits.rstrip(b"\0 ") or b"0", 8)
    except ValueError:
        return None


def _name(header: bytes) -> str:
    name, prefix = _text(header[:100]), _text(header[345:500])
    return f"{prefix}/{name}" if prefix and header[257:263] == b"ustar\0" else name


def _text(content: bytes) -> str:
    return content.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _records(content: bytes) -> dict[str, str]:
    """Read the records of a pax header: "28 path=some/name" and a line break each."""
    found = {}
    while content:
        length, _, _ = content.partition(b" ")
        if not length.isdigit() or len(length) > _DIGITS or not 0 < int(length) <= len(content):
            break
        key, _, value = content[len(length) + 1 : int(length) - 1].partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        content = content[int(length) :]
    size = found.get("size", "0")
    if not (size.isascii() and size.isdecimal() and len(size) <= _DIGITS):
        del found["size"]
    return found


def _foreign(header: bytes, archive: str) -> str:
    if header[:2] == b"\x1f\x8b" or header[:4] == b"\x28\xb5\x2f\xfd" or header[:3] == b"BZh":
        return f"'{archive}' is compressed, so its images cannot be read by their places; unpack it to a plain .tar."
    return f"'{archive}' is no tar archive; write one with 'tar -cf', or the TarWriter of webdataset."
