"""Factories named on the command line: ``package.module:factory`` and ``path/file.py:factory``."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from hudd.errors import UsageError

_GRAMMAR = "package.module:factory or path/file.py:factory"


def is_factory(spec: str) -> bool:
    """Say whether `spec` has the form of a factory spec (it need not exist)."""
    where, colon, name = spec.rpartition(":")
    return bool(colon and where) and name.isidentifier()


def find_factory(spec: str) -> Callable[..., Any]:
    """Import what a factory spec names.

    Parameters
    ----------
    spec : str
        ``package.module:factory`` (the current folder counts as installed) or ``path/file.py:factory``
        (the file's own folder counts as installed).

    Returns
    -------
    callable

    Raises
    ------
    UsageError
        If the spec is malformed, the module or file is missing or fails on import, or it has no such callable.
    """
    module, found = _found(spec)
    if not callable(found):
        raise _missing(spec, module)
    factory: Callable[..., Any] = found
    return factory


def find_object(spec: str) -> Any:
    """Import what a factory spec names, callable or not; errors as :func:`find_factory`."""
    return _found(spec)[1]


def call_factory(spec: str) -> tuple[Callable[..., Any], Any]:
    """Find a factory and call it without arguments; returns the factory and what it made.

    Raises
    ------
    UsageError
        As :func:`find_factory`, and if the call fails.
    """
    factory = find_factory(spec)
    try:
        with _on_path(_folder(spec)):  # what it imports when it is called, too
            return factory, factory()
    except Exception as error:
        raise UsageError(
            f"'{spec}' failed: {type(error).__name__}: {sentence(error)} A factory is called without arguments."
        ) from error


def _found(spec: str) -> tuple[ModuleType, Any]:
    if not is_factory(spec):
        raise UsageError(f"'{spec}' is no factory; write {_GRAMMAR}.")
    where, _, name = spec.rpartition(":")
    module = _from_file(Path(where), spec) if where.endswith(".py") else _from_package(where, spec)
    if not hasattr(module, name):
        raise _missing(spec, module)
    return module, getattr(module, name)


def _missing(spec: str, module: ModuleType) -> UsageError:
    where, _, name = spec.rpartition(":")
    found = sorted(key for key, value in vars(module).items() if callable(value) and not key.startswith("_"))
    offer = f"it has {', '.join(found[:8])}" if found else "it has no functions"
    return UsageError(f"'{where}' has no function '{name}' ({offer}); correct '{spec}'.")


def _from_package(name: str, spec: str) -> ModuleType:
    with _on_path(_folder(spec)):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and (name == error.name or name.startswith(error.name + ".")):
                raise UsageError(
                    f"there is no module '{error.name}' for '{spec}'; install it, run from the folder that holds it, "
                    f"or write {_GRAMMAR}."
                ) from error
            raise _failed(name, error) from error
        except Exception as error:
            raise _failed(name, error) from error


def _from_file(file: Path, spec: str) -> ModuleType:
    if not file.is_file():
        raise UsageError(f"there is no file '{file}' for '{spec}'; correct the path.")
    name = f"hudd_user_{file.stem}_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]}"
    found = importlib.util.spec_from_file_location(name, file)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # dataclasses and torch.export look their module up there
    with _on_path(_folder(spec)):
        try:
            found.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            raise _failed(str(file), error) from error
    return module


def _folder(spec: str) -> Path:
    """Return the folder that counts as installed."""
    where, _, _ = spec.rpartition(":")
    return Path(where).resolve().parent if where.endswith(".py") else Path.cwd()


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _failed(name: str, error: Exception) -> UsageError:
    return UsageError(
        f"importing '{name}' failed: {type(error).__name__}: {sentence(error)} Fix it and "
        "give the same command again."
    )


def sentence(error: BaseException) -> str:
    """Return the first line of an error's message, as a sentence."""
    return (str(error).strip().splitlines() or ["no message"])[0].rstrip(".") + "."
