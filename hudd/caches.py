"""Where caches go: compiled kernels, fonts, downloaded weights.

Numba, matplotlib, fontconfig and torch each keep a cache in the user's home, or in the installation's own folders.
A container's user or a service account may be able to write to neither. What they look for is then set in the
environment of this process, to a folder of the user's own among the temporary ones; where there is no such folder
either, kernels are compiled without a cache.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from functools import cache, update_wrapper
from importlib.util import find_spec
from pathlib import Path
from threading import RLock
from typing import Any, Protocol, TypeVar

from hudd.errors import HuddError

F = TypeVar("F", bound=Callable[..., Any])

_TAKING = RLock()  # kernels are called from threads
_TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")
_ROOM = bytes(1 << 18)  # what a folder must take: a full disk or a used-up quota lets empty files be made

REMEDY = "set XDG_CACHE_HOME to a folder that you may write to"


@cache
def prepare() -> Path | None:
    """Let every library find a cache folder that can be written; return it, or None where there is none.

    What the user has set in the environment stays where it can be used. The environment of this process is changed
    only where a library would otherwise fail, or write into the working directory.
    """
    folder, given, home = _users_own() or _temporary(), os.environ.get("XDG_CACHE_HOME"), _home()
    if folder is not None and given != str(folder) and (given or home is None or folder != home / ".cache"):
        os.environ["XDG_CACHE_HOME"] = str(folder)  # without a home, libraries take "~" for a folder's name
    if folder is not None and not _matplotlib_works():
        os.environ["MPLCONFIGDIR"] = str(folder / "matplotlib")
    return folder


def require_kernel_cache(package: str, what: str) -> None:
    """Refuse to load a package whose own kernels Numba would not compile, since it finds no place to keep them.

    Parameters
    ----------
    package : str
        A package with kernels that ask for a cache.
    what : str
        What it is loaded for, as the subject of a sentence.

    Raises
    ------
    HuddError
        Saying what to set.
    """
    found = find_spec(package)
    folders = found.submodule_search_locations if found else None
    if folders and kernel_cache(Path(folders[0])) is None:
        raise HuddError(f"{what} needs a folder for compiled code, and none can be written to; {REMEDY}.")


@cache
def kernel_cache(folder: Path) -> Path | None:
    """Return where Numba keeps what it compiles of the sources in `folder`, None where it cannot.

    The order is Numba's: ``NUMBA_CACHE_DIR``, next to the sources, the user's cache folder.
    """
    shared = prepare()
    given = os.environ.get("NUMBA_CACHE_DIR")
    for place in (given and Path(given), folder / "__pycache__", shared and shared / "numba"):
        if place and _writable(place):
            return place
    return None


class Compiler(Protocol):
    """A decorator that compiles a function and leaves its type as it is."""

    def __call__(self, function: F, /) -> F:
        """Return the compiled function."""


def compiled(*, cached: bool = True, **options: Any) -> Compiler:
    """Return Numba's ``njit`` with these options; `cached` functions with a cache where there can be one.

    Numba itself is loaded when one of them is first called: results are read without it.
    """

    def decorate(function: F) -> F:
        kernel: Any = _Kernel(function, cached, options)
        made: F = kernel
        return made

    return decorate


class _Kernel:
    """A function that Numba takes at its first call, with the kernels that it calls itself."""

    def __init__(self, function: Callable[..., Any], cached: bool, options: dict[str, Any]) -> None:
        update_wrapper(self, function)
        self._function, self._cached, self._options = function, cached, options
        self._taken: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        return (self._taken or self._take())(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._take(), name)

    def _take(self) -> Callable[..., Any]:
        from numba import njit

        with _TAKING:
            if self._taken is None:
                code, names = self._function.__code__, self._function.__globals__
                for name in code.co_names:
                    if isinstance(called := names.get(name), _Kernel):
                        names[name] = called._take()  # Numba knows its own functions only
                folder = Path(code.co_filename).parent
                cache = self._cached and kernel_cache(folder) is not None
                self._taken = njit(cache=cache, **self._options)(self._function)
            return self._taken


def _home() -> Path | None:
    try:
        home = Path.home()
    except RuntimeError:  # no HOME, and a user whom the system does not know
        return None
    return home if home.is_absolute() else None


def _users_own() -> Path | None:
    """Return the folder for caches of this user's own home, or the one that the environment names."""
    given, home = Path(os.environ.get("XDG_CACHE_HOME") or "."), _home()
    for folder in (given if given.is_absolute() else None, home and home / ".cache"):
        if folder is not None and _writable(folder):
            return folder
    return None


def _temporary() -> Path | None:
    """Return a folder that nobody else can write to among those for temporary files.

    Caches hold code that is run, so a folder that someone else has made, or could replace, is not used.
    """
    for parent in filter(None, (os.environ.get("TMPDIR"), *_TEMPORARY)):
        folder = Path(parent) / f"hudd-{os.geteuid()}"
        try:
            above = Path(parent).stat()
            folder.mkdir(mode=0o700, exist_ok=True)
            own = folder.lstat()
        except OSError:
            continue
        replaceable = above.st_mode & 0o022 and not above.st_mode & stat.S_ISVTX
        private = stat.S_ISDIR(own.st_mode) and own.st_uid == os.geteuid() and not own.st_mode & 0o022
        if private and not replaceable and above.st_uid in (0, os.geteuid()) and _writable(folder):
            return folder
    return None


def _matplotlib_works() -> bool:
    given = os.environ.get("MPLCONFIGDIR")
    if given:
        return _writable(Path(given))
    settings, home = os.environ.get("XDG_CONFIG_HOME"), _home()
    parent = Path(settings) if settings else home and home / ".config"
    return parent is not None and _writable(parent / "matplotlib")


def _writable(folder: Path) -> bool:
    """Say whether files with something in them can be made in `folder`, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(_ROOM)
            file.flush()
    except OSError:
        return False
    return True
