"""Parts by name: hudd's own, those that installed packages register, and those that a spec points to.

A package adds a part by an entry point, ``name = "package.module:object"``, in one of hudd's groups. Nothing is
imported before it is asked for by name.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points, packages_distributions, version
from pathlib import Path
from types import ModuleType
from typing import Any

from hudd.errors import HuddError, UsageError
from hudd.specs import find_object, is_factory, sentence


@dataclass(frozen=True, eq=False)
class Registry(Mapping[str, Any]):
    """The parts of one kind, imported when they are looked up.

    Parameters
    ----------
    group : str
        Group of entry points, such as ``hudd.clusterers``.
    what : str
        How messages call such a part: "clusterer".
    own : mapping of str to str
        hudd's own parts, by name, as ``package.module:object``, in the order in which they are listed.
    """

    group: str
    what: str
    own: Mapping[str, str]

    def names(self) -> tuple[str, ...]:
        """Return every registered name, hudd's own first; nothing is imported."""
        others = {entry.name for entry in _installed(self.group)} - set(self.own)
        return (*self.own, *sorted(others))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise KeyError(name)
        return self.find(name)

    def check(self, name: str, setting: str = "") -> None:
        """Refuse a name, perhaps of a setting, that is neither registered nor a spec, without importing anything.

        Raises
        ------
        UsageError
            If it is neither, or if two packages register it.
        """
        if self._entry(name) is None and not is_factory(name):
            raise UsageError(
                f"{setting or self.what} is '{name}'; choose one of: {', '.join(self.names())}; or give "
                "package.module:factory."
            )

    def find(self, name: str) -> Any:
        """Import what is called `name`, or what the spec ``package.module:factory`` points to.

        Raises
        ------
        UsageError
            If there is no such part, two packages register it, or its package cannot be imported.
        """
        self.check(name)
        entry = self._entry(name)
        if entry is None:
            file = Path(name.rpartition(":")[0])
            return _pointed_to(name, file.stat().st_mtime_ns if file.is_file() else 0)
        if name in self.own:
            return entry.load()
        try:
            return entry.load()
        except (Exception, SystemExit) as error:
            raise UsageError(
                f"{self.what} '{name}' of the package {_titled(entry)} cannot be imported: "
                f"{type(error).__name__}: {sentence(error)} Fix or uninstall that package, or choose another "
                f"{self.what}."
            ) from error

    def make(self, name: str, *positional: Any, **offered: Any) -> Any:
        """Call what is called `name` with those of the offered arguments that it takes by name.

        Raises
        ------
        UsageError
            As :meth:`find`, and if the call of another package's part fails.
        """
        factory = self.find(name)
        given = {key: value for key, value in offered.items() if takes(factory, key)}
        try:
            return factory(*positional, **given)
        except HuddError:
            raise
        except Exception as error:
            if name in self.own:
                raise
            raise UsageError(
                f"{self.what} '{name}'{self._of(name)} cannot be made: {type(error).__name__}: {sentence(error)} "
                "See its documentation."
            ) from error

    @contextmanager
    def attributing_errors(self, name: str) -> Iterator[None]:
        """Name the part, and the package that it is of, where its own code fails.

        Raises
        ------
        HuddError
            In place of any error that is not hudd's, unless the part is hudd's own.
        """
        try:
            yield
        except HuddError:
            raise
        except Exception as error:
            if name in self.own:
                raise
            raise HuddError(
                f"{self.what} '{name}'{self._of(name)} failed: {type(error).__name__}: {sentence(error)} Report "
                "it to whoever wrote it, with its traceback."
            ) from error

    def mark(self, name: str) -> str | None:
        """Return what tells one version of a part from another: its package's version and a digest of its source.

        None for hudd's own.

        Raises
        ------
        UsageError
            As :meth:`find`.
        """
        if name in self.own:
            return None
        found, entry = self.find(name), self._entry(name)
        where = entry.module if entry is not None else getattr(found, "__module__", type(found).__module__)
        module = sys.modules[where]
        if entry is not None:
            released = _titled(entry)
        else:
            owners = _owners(where.partition(".")[0])
            released = ", ".join(f"{owner} {version(owner)}" for owner in owners)
        return f"{released} {_digest(module)}"

    def label(self, name: str) -> str:
        """Return the name of a part as file names and groups of HDF5 can hold it: a spec's path without slashes."""
        return name.replace("/", ".").lstrip(".")

    def _entry(self, name: str) -> EntryPoint | None:
        found = [entry for entry in _installed(self.group) if entry.name == name]
        if len(found) + (name in self.own) > 1:
            owners = [*(["hudd"] if name in self.own else []), *sorted(map(_titled, found))]
            raise UsageError(
                f"{self.what} '{name}' is registered by {' and '.join(owners)}; uninstall one of the packages, or "
                "give package.module:factory."
            )
        if name in self.own:
            return EntryPoint(name, self.own[name], self.group)
        return found[0] if found else None

    def _of(self, name: str) -> str:
        entry = self._entry(name)
        return "" if entry is None else f" of the package {_titled(entry)}"


def takes(factory: Callable[..., Any], name: str) -> bool:
    """Say whether a callable has a parameter called `name`."""
    try:
        return name in inspect.signature(factory).parameters
    except (TypeError, ValueError):  # built in C, without a signature
        return False


@lru_cache(maxsize=64)
def _pointed_to(spec: str, changed: int) -> Any:
    """Import what a spec points to, a file's once as long as it has not changed: one spec, one class."""
    return find_object(spec)


@lru_cache(maxsize=64)
def _owners(package: str) -> tuple[str, ...]:
    """The distributions that an imported package is of; finding them reads the list of files of every one."""
    return tuple(sorted(set(packages_distributions().get(package, []))))


def _installed(group: str) -> tuple[EntryPoint, ...]:
    return _scan(group, tuple(sys.path))


@lru_cache(maxsize=32)
def _scan(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Return a group's entry points. `path` is the cache's key alone: what is installed depends on it."""
    return tuple(entry_points(group=group))


def _titled(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "of unknown name"


def _digest(module: ModuleType) -> str:
    """SHA-256, hexadecimal, of the sources of a module, and of those next to it where it is part of a package."""
    sha, file = hashlib.sha256(), Path(module.__file__ or "")
    together = sorted(file.parent.rglob("*.py")) if module.__package__ else [file]
    for source in together:
        if source.is_file():
            sha.update(str(source.relative_to(file.parent)).encode() + b"\0")
            sha.update(source.read_bytes())
    return sha.hexdigest()
