"""``study.h5``: read where it stands, changed only as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from hudd.errors import HuddError, UsageError
from hudd.store.checksums import NAME as CHECKSUMS
from hudd.store.checksums import write_checksums
from hudd.store.contents import first_mismatch
from hudd.store.files import missing_resource, read_error, write_whole
from hudd.store.guard import check_contents
from hudd.store.repair import recover
from hudd.store.schema import FORMAT, MINOR, VERSION, check_format
from hudd.store.seal import broken, seal


class StudyFile:
    """The file that holds a study's results.

    Large arrays lie in shards next to it and are seen through virtual datasets, so the file itself stays
    small: every change is made on a copy in memory, written aside, flushed and renamed. A kill at any moment
    leaves the old file or the new one.

    Parameters
    ----------
    path : Path
        Where the file stands or shall stand.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._looked_at: tuple[int, int, int] | None = None
        self._unsettled = False

    def check_absent(self) -> None:
        """Refuse to make a study where there is one.

        Raises
        ------
        UsageError
            If there is.
        """
        if self.path.exists():
            raise UsageError(
                f"'{self.path.parent}' holds a study already; open it, or name another directory."
            )

    def create(self, attributes: dict[str, Any]) -> None:
        """Write a file that holds nothing but its root attributes. Call it as the only writer.

        Parameters
        ----------
        attributes : dict
            In addition to `format` and `version`, which are set here.

        Raises
        ------
        UsageError
            If another process has made one meanwhile.
        """
        self.check_absent()
        with h5py.File("study", "w", libver="v110", fs_strategy="fsm", fs_persist=True, **_MEMORY) as file:
            file.attrs.update({"format": FORMAT, "version": VERSION, "minor": MINOR, **attributes})
            self._save(file)

    @contextmanager
    def reading(self) -> Iterator[h5py.File]:
        """Open the file to read.

        Raises
        ------
        UsageError
            If it is absent, foreign or of another version.
        HuddError
            If it leads out of the study, or what the body reads is damaged or missing.
        """
        with self._open() as file, self.sound():
            yield file

    @contextmanager
    def writing(self) -> Iterator[h5py.File]:
        """Open the file to change it; the change is on disk, whole, when the body ends, or not at all."""
        with self._open(mode="r+", **_MEMORY) as file:
            check_format(file, self.path, writing=True)
            yield file
            file.attrs["minor"] = MINOR
            self._save(file)

    def settle(self) -> None:
        """Put the checksums of all values into the file, once many changes are done. Call it as the only writer."""
        if self._unsettled:
            with self._open(mode="r+", **_MEMORY) as file:
                write_checksums(file)
                self._save(file, settled=True)

    def _open(self, **options: Any) -> h5py.File:
        if not self.path.is_file():
            raise UsageError(
                f"'{self.path}' does not exist; make a study with 'hudd run STUDY --model ... --test ...'."
            )
        status = self.path.stat()
        now = (status.st_ino, status.st_mtime_ns, status.st_size)
        known = now == self._looked_at  # it is looked at once as long as it stays the same
        try:
            if not known and broken(content := self.path.read_bytes()):
                recover(self.path, content)
                status = self.path.stat()
                now = (status.st_ino, status.st_mtime_ns, status.st_size)
            file = h5py.File(self.path, locking=False, **options)  # a file is replaced, never changed
        except PermissionError:
            raise UsageError(f"'{self.path}' cannot be read; ask for the permission to.") from None
        except OSError as error:
            if lack := missing_resource(error):
                raise read_error(self.path, lack) from error
            raise HuddError(
                f"'{self.path}' is not an HDF5 file, or is damaged ({_first_line(error)}); restore it from a copy, or "
                "run the study again in another directory."
            ) from None
        try:
            with self.sound():
                check_format(file, self.path)
                if not known:
                    check_contents(file, self.path)
        except BaseException:
            file.close()
            raise
        self._looked_at = now
        return file

    @contextmanager
    def sound(self) -> Iterator[None]:
        """Tell in a sentence what goes wrong in the body because the file is damaged, or another program's.

        h5py and NumPy have a dozen kinds of errors for that between them. What is not the file's fault is told as
        what it is: a sound study is not to be thrown away because memory or files were short, or hudd is wrong.

        Raises
        ------
        HuddError
            In place of any of them, and where the system does not let the file be read.
        """
        try:
            yield
        except HuddError:
            raise
        except _DAMAGE as error:
            if lack := missing_resource(error):
                raise read_error(self.path, lack) from error
            if isinstance(error, _MISTAKES) and not self._has_mismatch():
                raise
            reason = f"{type(error).__name__}: {_first_line(error)}"
            raise HuddError(
                f"'{self.path}' is damaged ({reason}); restore it from a copy, or run the study again in another "
                "directory."
            ) from error

    def _has_mismatch(self) -> bool:
        """Whether anything in the file is not of the kind that the format says."""
        try:
            with h5py.File(self.path, locking=False) as file:
                return first_mismatch(file) is not None
        except _DAMAGE:
            return True

    def _save(self, file: h5py.File, *, settled: bool = False) -> None:
        if not settled:
            file.attrs.pop(CHECKSUMS, None)  # of values that may have changed
        file.flush()
        content = file.id.get_file_image()
        write_whole(self.path, content, behind=seal(content))
        self._unsettled = not settled


_MISTAKES = (TypeError, AttributeError)  # a file can cause them only by something of the wrong kind
# SystemError: h5py, where the library fails in the middle of a walk.
_DAMAGE = (LookupError, OSError, RuntimeError, ValueError, SystemError, *_MISTAKES)
_MEMORY: dict[str, Any] = {"driver": "core", "backing_store": False, "block_size": 1 << 20}


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip("'\"").splitlines()), type(error).__name__)
