"""Rows of large arrays in many files, each whole, checksummed and good for itself.

A shard is an HDF5 file behind a 512-byte user block. The user block is one line of JSON: format, version, the
fingerprint of what the rows depend on, the version of the algorithm that made them, their range, and the size and XXH3
hash of the HDF5 bytes after it. So a shard can be judged without HDF5, and the shards that are there say by themselves
which rows are done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xxhash

from hudd.store.behind import WriteBehind
from hudd.store.encoding import FileImage, Shapes, read
from hudd.store.files import sweep, write_error, write_whole

FORMAT = "hudd-shard"
VERSION = 2
# By version of the format: the field and its hash; XXH3 takes a twentieth of the time.
_CHECKSUMS: dict[int, tuple[str, Any]] = {1: ("sha256", hashlib.sha256), 2: ("xxh3_128", xxhash.xxh3_128)}
SHARD_BYTES = 32 << 20
_USER_BLOCK = 512


@dataclass(frozen=True)
class ShardSet:
    """Consecutive row ranges of one or more arrays, one file a range.

    Attributes
    ----------
    directory : Path
        Where the files stand; made when the first is written.
    rows : int
        Number of rows in all.
    rows_per_shard : int
        Rows of every file but the last. Depends on the arrays alone, never on how fast they are computed.
    fingerprint : str
        Of everything that the rows depend on. Files with another one count as absent.
    compression : str
        How the files are compressed, see :data:`hudd.store.encoding.COMPRESSIONS`; the values stay the same.
    algorithm : int
        Version of the algorithm that makes the rows. Files of another one count as absent.
    """

    directory: Path
    rows: int
    rows_per_shard: int
    fingerprint: str
    compression: str = "none"
    algorithm: int = 1

    @staticmethod
    def rows_for(row_bytes: int) -> int:
        """Return how many rows of `row_bytes` bytes make a shard of about 32 MiB, at most 256."""
        return int(np.clip(SHARD_BYTES // max(row_bytes, 1), 1, 256))

    def ranges(self) -> list[tuple[int, int]]:
        """Return the (start, stop) rows of every shard, in order."""
        return [
            (start, min(start + self.rows_per_shard, self.rows))
            for start in range(0, self.rows, self.rows_per_shard)
        ]

    def path(self, start: int) -> Path:
        """Return the file whose first row is `start`."""
        return self.directory / f"{start // self.rows_per_shard:06d}.h5"

    def missing(self, *, checksums: bool = True) -> list[tuple[int, int]]:
        """Return the ranges that have yet to be written; what is damaged is removed and counts as missing.

        Parameters
        ----------
        checksums : bool
            Read every byte; otherwise headers and sizes alone.
        """
        sweep(self.directory)
        faults = self.faults(checksums=checksums)
        for start, _ in faults:
            self.path(start).unlink(missing_ok=True)
        return list(faults)

    def faults(self, *, checksums: bool = True) -> dict[tuple[int, int], str]:
        """Return what is wrong with each shard that is absent, torn or changed, by its range; see :meth:`missing`."""
        found = {(start, stop): self._fault(start, stop, checksums) for start, stop in self.ranges()}
        return {rows: fault for rows, fault in found.items() if fault}

    def write(self, start: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the shard whose first row is `start`.

        Parameters
        ----------
        start : int
            First row; a multiple of `rows_per_shard`.
        arrays : mapping of str to ndarray
            Arrays by dataset name, all with the shard's number of rows.
        """
        image = self.image(self.shapes(start, arrays))
        for name, array in arrays.items():
            if len(array) != len(image.arrays[name]):
                raise ValueError(
                    f"'{name}' has {len(array)} rows, the shard from {start} has {len(image.arrays[name])}"
                )
            image.arrays[name][...] = array
        self.save(start, image)

    def shapes(self, start: int, like: Mapping[str, np.ndarray]) -> Shapes:
        """Return what the shard whose first row is `start` holds, its rows being like those of some arrays."""
        rows = min(self.rows_per_shard, self.rows - start)
        return tuple((name, array.dtype.str, (rows, *array.shape[1:])) for name, array in like.items())

    def image(self, shapes: Shapes) -> FileImage:
        """Return a shard in memory, to be filled and saved."""
        return FileImage(shapes, _USER_BLOCK, self.compression)

    def save(self, start: int, image: FileImage) -> None:
        """Write a filled shard whose first row is `start`."""
        content, size = image.encoded()
        header = {
            "format": FORMAT,
            "version": VERSION,
            "fingerprint": self.fingerprint,
            "start": start,
            "stop": min(start + self.rows_per_shard, self.rows),
            "bytes": size - _USER_BLOCK,
            "xxh3_128": xxhash.xxh3_128_hexdigest(content[_USER_BLOCK:size]),
            "algorithm": self.algorithm,
        }
        content[:_USER_BLOCK] = json.dumps(header).encode().ljust(_USER_BLOCK - 1) + b"\n"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(self.directory, error) from error
        write_whole(self.path(start), content, size)

    def written_behind(self) -> AbstractContextManager[WriteBehind]:
        """Write shards in a thread of its own while the body runs, see :class:`WriteBehind`."""
        return WriteBehind.of(self)

    def read(self, name: str) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (first row, rows) of dataset `name`, shard by shard."""
        for start, _ in self.ranges():
            with h5py.File(self.path(start), locking=False) as file:
                yield start, read(file[name])

    def columns(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Return whole datasets by name, small ones; each file is opened once."""
        found: dict[str, np.ndarray] = {}
        for start, stop in self.ranges() if names else ():
            with h5py.File(self.path(start), locking=False) as file:
                for name in names:
                    rows = read(file[name])
                    whole = found.setdefault(name, np.empty((self.rows, *rows.shape[1:]), rows.dtype))
                    whole[start:stop] = rows
        return found

    def write_view(self, path: Path) -> None:
        """Write an HDF5 file, in a directory of the shards' path, that shows them as whole datasets."""
        with h5py.File("view", "w", driver="core", backing_store=False, libver="v110") as file:
            with h5py.File(self.path(0), locking=False) as first:
                names = list(first)
            for name in names:
                file.create_virtual_dataset(name, self.virtual_layout(name, path.parent))
            file.flush()
            write_whole(path, file.id.get_file_image())

    def virtual_layout(self, name: str, study: Path, column: int | None = None) -> h5py.VirtualLayout:
        """Return the layout of dataset `name`, or of one of its columns, over all files.

        Paths are relative to the directory `study`.
        """
        with h5py.File(self.path(0), locking=False) as file:
            tail, dtype = file[name].shape[1:], file[name].dtype
        layout = h5py.VirtualLayout((self.rows, *(tail if column is None else ())), dtype)
        for start, stop in self.ranges():
            relative = self.path(start).relative_to(study).as_posix()
            source = h5py.VirtualSource(relative, _escaped(name), shape=(stop - start, *tail), dtype=dtype)
            layout[start:stop] = source if column is None else source[:, column]
        return layout

    def _fault(self, start: int, stop: int, checksum: bool) -> str:
        """Return what is wrong with a shard, or an empty string."""
        try:
            with self.path(start).open("rb") as file:
                header = json.loads(file.read(_USER_BLOCK))
                size = self.path(start).stat().st_size - _USER_BLOCK
                if not isinstance(header, dict) or header.get("format") != FORMAT:
                    return f"is not a {FORMAT}"
                if header.get("version") not in _CHECKSUMS:
                    return f"is a {FORMAT} of version {header.get('version')}, not {VERSION}"
                if tuple(map(header.get, ("fingerprint", "start", "stop"))) != (
                    self.fingerprint,
                    start,
                    stop,
                ):
                    return "belongs to other settings"
                if header.get("algorithm", 1) != self.algorithm:
                    return "was made by another version of the algorithm"
                if header.get("bytes") != size:
                    return f"is torn ({size} of {header.get('bytes')} bytes)"
                name, algorithm = _CHECKSUMS[header["version"]]
                if checksum and header.get(name) != hashlib.file_digest(file, algorithm).hexdigest():
                    return "is damaged (wrong checksum)"
                return ""
        except FileNotFoundError:
            return "is missing"
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        except ValueError:
            return "is damaged (unreadable header)"


def _escaped(name: str) -> str:
    """Escape `name` for the naming patterns of virtual datasets."""
    return name.replace("%", "%%")
