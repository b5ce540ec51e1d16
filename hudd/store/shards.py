"""Rows of large arrays in many files, each whole, checksummed and good for itself.

A shard is an HDF5 file behind a 512-byte user block. The user block is one line of JSON: format, version, the
fingerprint of what the rows depend on, their range, and the size and SHA-256 of the HDF5 bytes after it. So a
shard can be judged without HDF5, and the shards that are there say by themselves which rows are done.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from hudd.errors import HuddError
from hudd.store.encoding import encode, read
from hudd.store.files import sweep, write_error, write_whole

FORMAT = "hudd-shard"
VERSION = 1
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
    """

    directory: Path
    rows: int
    rows_per_shard: int
    fingerprint: str
    compression: str = "none"

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
        missing = []
        for start, stop in self.ranges():
            fault = self._fault(start, stop, checksums)
            if fault:
                self.path(start).unlink(missing_ok=True)
                missing.append((start, stop))
        return missing

    def verify(self) -> None:
        """Read every file and compare its checksum.

        Raises
        ------
        HuddError
            Naming the first shard that is absent, torn or changed.
        """
        for start, stop in self.ranges():
            fault = self._fault(start, stop, True)
            if fault:
                raise HuddError(
                    f"shard '{self.path(start)}' {fault}; run the step that writes it again, "
                    "it recomputes this shard alone."
                )

    def write(self, start: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the shard whose first row is `start`.

        Parameters
        ----------
        start : int
            First row; a multiple of `rows_per_shard`.
        arrays : mapping of str to ndarray
            Arrays by dataset name, all with the shard's number of rows.
        """
        stop = min(start + self.rows_per_shard, self.rows)
        for name, array in arrays.items():
            if len(array) != stop - start:
                raise ValueError(
                    f"'{name}' has {len(array)} rows, the shard {start}:{stop} has {stop - start}"
                )
        pieces, sha, size = encode(arrays, self.compression), hashlib.sha256(), 0
        for piece in pieces:
            sha.update(piece)
            size += len(piece)
        header = {
            "format": FORMAT,
            "version": VERSION,
            "fingerprint": self.fingerprint,
            "start": start,
            "stop": stop,
            "bytes": size,
            "sha256": sha.hexdigest(),
        }
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(self.directory, error) from error
        write_whole(self.path(start), json.dumps(header).encode().ljust(_USER_BLOCK - 1) + b"\n", *pieces)

    @contextmanager
    def written_behind(self, waiting: int = 1) -> Iterator[Callable[[int, Mapping[str, np.ndarray]], None]]:
        """Give a function like :meth:`write` that returns at once: a thread of its own writes.

        Parameters
        ----------
        waiting : int
            Shards that may wait while one is written; one more and the caller waits.

        Raises
        ------
        HuddError
            When the body ends or writes again, if a shard could not be written.
        """
        pending: deque[Future[None]] = deque()
        with ThreadPoolExecutor(1, thread_name_prefix="hudd-write") as pool:

            def put(start: int, arrays: Mapping[str, np.ndarray]) -> None:
                while len(pending) > waiting:
                    pending.popleft().result()
                pending.append(pool.submit(self.write, start, arrays))

            yield put
            for written in pending:
                written.result()

    def read(self, name: str) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (first row, rows) of dataset `name`, shard by shard."""
        for start, _ in self.ranges():
            with h5py.File(self.path(start)) as file:
                yield start, read(file[name])

    def columns(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Return whole datasets by name, small ones; each file is opened once."""
        parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
        for start, _ in self.ranges() if names else ():
            with h5py.File(self.path(start)) as file:
                for name in names:
                    parts[name].append(read(file[name]))
        return {name: np.concatenate(blocks) for name, blocks in parts.items()}

    def write_view(self, path: Path) -> None:
        """Write an HDF5 file, in a directory of the shards' path, that shows them as whole datasets."""
        with h5py.File("view", "w", driver="core", backing_store=False, libver="v110") as file:
            with h5py.File(self.path(0)) as first:
                names = list(first)
            for name in names:
                file.create_virtual_dataset(name, self.virtual_layout(name, path.parent))
            file.flush()
            write_whole(path, file.id.get_file_image())

    def virtual_layout(self, name: str, study: Path) -> h5py.VirtualLayout:
        """Return the layout of dataset `name` over all files; paths are relative to the directory `study`."""
        with h5py.File(self.path(0)) as file:
            tail, dtype = file[name].shape[1:], file[name].dtype
        layout = h5py.VirtualLayout((self.rows, *tail), dtype)
        for start, stop in self.ranges():
            relative = self.path(start).relative_to(study).as_posix()
            layout[start:stop] = h5py.VirtualSource(
                relative, _escaped(name), shape=(stop - start, *tail), dtype=dtype
            )
        return layout

    def _fault(self, start: int, stop: int, checksum: bool) -> str:
        """Return what is wrong with a shard, or an empty string."""
        try:
            with self.path(start).open("rb") as file:
                header = json.loads(file.read(_USER_BLOCK))
                size = self.path(start).stat().st_size - _USER_BLOCK
                sha256 = hashlib.file_digest(file, "sha256").hexdigest() if checksum else ""
        except FileNotFoundError:
            return "is missing"
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        except ValueError:
            return "is damaged (unreadable header)"
        if not isinstance(header, dict) or (header.get("format"), header.get("version")) != (FORMAT, VERSION):
            return f"is not a {FORMAT} of version {VERSION}"
        if tuple(map(header.get, ("fingerprint", "start", "stop"))) != (self.fingerprint, start, stop):
            return "belongs to other settings"
        if header.get("bytes") != size:
            return f"is torn ({size} of {header.get('bytes')} bytes)"
        if checksum and header.get("sha256") != sha256:
            return "is damaged (wrong checksum)"
        return ""


def _escaped(name: str) -> str:
    """Escape `name` for the naming patterns of virtual datasets."""
    return name.replace("%", "%%")
