"""Image files on disk: decoding with errors that name the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from hudd.data.base import RESIZE, ImageSource
from hudd.data.decoding import Header, decode, reason_of, scan, slashes
from hudd.data.transforms import Transform
from hudd.errors import UsageError
from hudd.lazy import torch

_COMMON = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif")
_RARE = (".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".tga")
IMAGE_SUFFIXES = frozenset((*_COMMON, *_RARE))
_SCANNERS = 8  # threads


class FileSource(ImageSource):
    """Images in files of their own, decoded as 8-bit RGB.

    Parameters
    ----------
    files : sequence of Path
        One per row; the other parameters are those of :class:`ImageSource`.

    Attributes
    ----------
    exif_orient : bool
        Turn and mirror the images as their EXIF data say; cameras write the pixels as the sensor lay.
    """

    exif_orient = False

    def __init__(
        self,
        files: Sequence[Path],
        paths: Sequence[str],
        labels: Any,
        class_names: Sequence[str],
        parameters: Mapping[str, Any] | None = None,
        transform: Callable[..., torch.Tensor] | None = None,
    ) -> None:
        super().__init__(paths, labels, class_names, parameters, transform)
        self.files = list(files)

    def pixels(self, index: int) -> np.ndarray:
        """Decode one file: (H, W, 3) uint8."""
        file = self.files[index]
        return decode(file, f"'{file}'", exif_orient=self.exif_orient, decoder=self.decoder)

    def decode_bytes(
        self,
        indices: Sequence[int] | np.ndarray,
        encoded: Sequence[bytes | None],
        into: Iterable[np.ndarray | None] = repeat(None),
    ) -> list[np.ndarray]:
        """Decode files; see :meth:`ImageSource.decode_bytes`."""
        orient, decoder = self.exif_orient, self.decoder
        return [
            decode(file, f"'{file}'", exif_orient=orient, decoder=decoder, into=place)
            for file, place in zip((self.files[int(row)] for row in indices), into)
        ]

    def file(self, index: int) -> Path:
        """Return the file of one image."""
        return self.files[index]

    def faults(self) -> list[tuple[int, str]]:
        """Look at every file, and decode those that may be cut off; see :meth:`ImageSource.faults`."""
        return [(row, found) for row, found in enumerate(self._scanned()) if isinstance(found, str)]

    def check(self) -> None:
        """Look at every file; see :meth:`ImageSource.check`. All that cannot be used are named."""
        super().check()
        found = self._scanned()
        refused = [(file, sentence) for file, sentence in zip(self.files, found) if isinstance(sentence, str)]
        if refused:
            more = ""
            if len(refused) > 1:
                others = first((str(file) for file, _ in refused[1:]), most=9)
                more = f" So it is with {len(refused) - 1:,} more of {len(self.files):,}: {others}."
            raise UsageError(f"{refused[0][1]}{more} `skip_bad` leaves such images out.")
        sizes: dict[tuple[int, int], Path] = {}
        turned = 0
        for file, header in zip(self.files, found):
            assert isinstance(header, Header)
            sizes.setdefault(header.shown if self.exif_orient else header.size, file)
            turned += header.turned
        if turned and not self.exif_orient:
            self.remarks = [
                *self.remarks,
                f"{turned:,} images say by EXIF that they are to be turned; this is not done without exif_orient.",
            ]
        if len(sizes) > 1 and isinstance(self.transform, Transform) and self.transform.resize is None:
            one, other = (
                f"'{file}' is {height}x{width}" for (width, height), file in list(sizes.items())[:2]
            )
            raise UsageError(f"image {one} and {other}; a batch needs one size: {RESIZE}.")

    def _scanned(self) -> list[Header | str]:
        """Return of every file its header, or the sentence that says why it cannot be used."""
        with ThreadPoolExecutor(min(_SCANNERS, os.cpu_count() or 1)) as pool:
            return list(pool.map(lambda file: scan(file, f"'{file}'"), self.files))

    def _keep(self, rows: np.ndarray) -> None:
        self.files = [self.files[row] for row in rows]

    def contents(self) -> Iterator[bytes]:
        """Yield size and time of last change of every file."""
        if self.exif_orient:
            yield b"turned by EXIF\n"
        for file in self.files:
            try:
                status = file.stat()
            except (OSError, ValueError) as error:  # a ValueError where the name cannot be one of a file
                raise UsageError(
                    f"image '{file}' cannot be read ({reason_of(error)}){slashes(str(file))}; correct the path or "
                    "leave it out."
                ) from error
            yield f"{status.st_size} {status.st_mtime_ns}\n".encode()


def is_inside(file: Path, root: Path) -> bool:
    """Say whether `file`, links resolved, lies beneath `root` (which is resolved already)."""
    return file.resolve().is_relative_to(root)


def first(items: Iterable[str], most: int = 5) -> str:
    """List the first few items for a message."""
    items = list(items)
    return ", ".join(f"'{item}'" for item in items[:most]) + (", ..." if len(items) > most else "")
