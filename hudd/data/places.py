"""Files that hold many images, on this machine or behind a URL: one reader for both."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, cast

from hudd.errors import HuddError, UsageError

_BLOCK = 8 << 20  # bytes that a sequential pass reads at once
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MOST = 100_000  # files
_STAMPS = ("ETag", "etag", "mtime", "LastModified", "updated", "created", "Content-MD5")
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "http": "http", "https": "http"}


def is_url(spec: str) -> bool:
    """Say whether a spec is a URL of a file system that fsspec knows by its protocol."""
    return re.match(r"[a-z][a-z0-9+.-]*://", spec) is not None


@dataclass(frozen=True)
class Place:
    """A file.

    Attributes
    ----------
    name : str
        Its path, or its URL.
    """

    name: str

    def status(self) -> tuple[int, str]:
        """Return its size in bytes, and what else tells that it was changed.

        Raises
        ------
        UsageError
            If there is no such file, or nothing is installed that reads such URLs.
        HuddError
            If it cannot be looked at.
        """
        with self._explained():
            if not is_url(self.name):
                found = os.stat(self.name)  # noqa: PTH116 - Path would make an object of every name
                return found.st_size, str(found.st_mtime_ns)
            system, path = _system(self.name)
            info = system.info(path)
            if info.get("size") is None:
                raise UsageError(
                    f"the server does not tell the size of '{self.name}'; copy the file to this machine."
                )
            return int(info["size"]), " ".join(str(info[key]) for key in _STAMPS if info.get(key))

    @contextmanager
    def stream(self) -> Iterator[BinaryIO]:
        """Open it for a pass from beginning to end; errors as for :meth:`status`."""
        with self._explained():
            if is_url(self.name):
                system, path = _system(self.name)
                opened = system.open(path, "rb", block_size=_BLOCK, cache_type="readahead")
            else:
                opened = open(self.name, "rb", buffering=_BLOCK)  # noqa: PTH123, SIM115 - closed below
            with opened as stream:
                yield cast(BinaryIO, stream)

    def read(self, start: int, length: int) -> bytes:
        """Return bytes from the middle of it, fewer where it ends; may be called from several threads."""
        with self._explained():
            if is_url(self.name):
                system, path = _system(self.name)
                content: bytes = system.cat_file(path, start=start, end=start + length)
                return content
            handle = os.open(self.name, os.O_RDONLY)
            try:
                return os.pread(handle, length, start)
            finally:
                os.close(handle)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except HuddError:
            raise
        except FileNotFoundError as error:
            also = ", or its server cannot be reached" if is_url(self.name) else ""
            raise UsageError(f"there is no file '{self.name}'{also}; correct the name.") from error
        except OSError as error:
            why = error.strerror or str(error).partition("\n")[0] or type(error).__name__
            raise HuddError(
                f"'{self.name}' cannot be read ({why.rstrip('.')}); see to it and run the same command again; finished "
                "work is kept."
            ) from error
        except Exception as error:
            if not is_url(self.name):
                raise
            why = str(error).partition("\n")[0] or type(error).__name__  # each protocol has errors of its own
            raise HuddError(
                f"'{self.name}' cannot be read ({why.rstrip('.')}); see to it and run the same command again; finished "
                "work is kept."
            ) from error


def expand(spec: str) -> list[str]:
    """Return the files that a pattern names, sorted within each alternative: ``a-{000..099}.tar``, ``{a,b}-*.tar``.

    Raises
    ------
    UsageError
        If a pattern names no file, or far too many.
    """
    if not is_url(spec) and Path(spec).exists():
        return [spec]
    found = []
    for name in _alternatives(spec):
        if not any(sign in name for sign in "*?["):
            found.append(name)
            continue
        matched = sorted(_remote_glob(name) if is_url(name) else glob.glob(name))  # noqa: PTH207 - keeps the spelling
        if not matched:
            raise UsageError(f"there is no file like '{name}'; correct the pattern.")
        found += matched
    return found


def _alternatives(spec: str) -> list[str]:
    names = [spec]
    while any(_BRACES.search(name) for name in names):
        grown = []
        for name in names:
            braces = _BRACES.search(name)
            if braces is None:
                grown.append(name)
                continue
            options = _options(braces[1], spec)
            grown += [name[: braces.start()] + option + name[braces.end() :] for option in options]
            if len(grown) > _MOST:
                raise UsageError(f"'{spec}' names more than {_MOST:,} files; name fewer.")
        names = grown
    return names


def _options(inside: str, spec: str) -> list[str]:
    bounds = _RANGE.fullmatch(inside)
    if bounds is None:
        return inside.split(",")
    first, last = int(bounds[1]), int(bounds[2])
    if not first <= last < first + _MOST:
        raise UsageError(
            f"'{{{inside}}}' in '{spec}' counts from {first} to {last}; count upwards, over at most {_MOST:,} files."
        )
    return [str(number).zfill(len(bounds[1])) for number in range(first, last + 1)]


def _remote_glob(name: str) -> list[str]:
    try:
        system, path = _system(name)
        return [str(system.unstrip_protocol(found)) for found in system.glob(path)]
    except HuddError:
        raise
    except Exception as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        raise HuddError(
            f"'{name}' cannot be listed ({why.rstrip('.')}); name the files with braces."
        ) from error


@lru_cache(maxsize=64)
def _of_protocol(protocol: str, host: str) -> Any:
    import fsspec

    return fsspec.core.url_to_fs(f"{protocol}://{host}")[0]


def _system(url: str) -> tuple[Any, str]:
    """Return the file system of a URL and the path in it."""
    protocol, _, rest = url.partition("://")
    extra = _EXTRAS.get(protocol, "http")
    try:
        system = _of_protocol(protocol, rest.partition("/")[0])
    except ImportError as error:
        raise UsageError(
            f"reading '{url}' needs more than is installed ({str(error).rstrip('.')}); run pip install '.[{extra}]' in "
            "hudd's source tree."
        ) from error
    except ValueError as error:
        raise UsageError(
            f"'{url}' cannot be read ({str(error).rstrip('.')}); give s3://, gs://, http:// or https://, or a file."
        ) from error
    return system, str(system._strip_protocol(url))
