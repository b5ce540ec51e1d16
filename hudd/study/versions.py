"""A study that another version of hudd has made: what is told of it, and what is computed again when asked for."""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from hudd.errors import HuddWarning
from hudd.store import MINOR, VERSION, minor_version
from hudd.study.graph import Graph
from hudd.version import __version__


@dataclass(frozen=True)
class Outdated:
    """A step whose results were made by an older version of its algorithm.

    Attributes
    ----------
    step : str
        Its name.
    made_by, now : int
        Versions of the algorithm: of the results, and of this hudd.
    hudd_version : str
        The hudd that made the results.
    """

    step: str
    made_by: int
    now: int
    hudd_version: str

    def __str__(self) -> str:
        return f"{self.step} (algorithm {self.made_by} of hudd {self.hudd_version}, now {self.now})"


def outdated(h5: h5py.File, graph: Graph[Any]) -> list[Outdated]:
    """Return the steps whose results an older version of their algorithm has made, in the order of the steps.

    Parameters
    ----------
    h5 : h5py.File
        A study's file, open.
    graph : Graph
        The steps of this hudd, each with the version of its algorithm.
    """
    found: dict[str, Outdated] = {}
    for key, note in _notes(h5):
        if not graph.makes(key):
            continue
        step, made_by = graph.maker(key), int(note.attrs.get("algorithm_version", 1))
        if made_by < step.version and (step.name not in found or made_by < found[step.name].made_by):
            found[step.name] = Outdated(step.name, made_by, step.version, _maker(note))
    return [found[name] for name in graph.names if name in found]


def is_foreign(h5: h5py.File) -> bool:
    """Say whether another hudd has made some of a study's results."""
    return bool(_others(h5))


def tell_version(h5: h5py.File, path: Path, graph: Graph[Any]) -> None:
    """Warn where another hudd has made results of a study, with the steps that would come out otherwise now."""
    others = _others(h5)
    if not others:
        return
    steps = outdated(h5, graph)
    changed = (
        f"these would come out otherwise now and are kept as they are: {', '.join(map(str, steps))}; 'hudd run {path} "
        "--upgrade' computes them again"
        if steps
        else "none of them would come out otherwise now"
    )
    made = f"hudd {' and '.join(others)}"
    warnings.warn(
        f"results in '{path}' were made by {made}, and this is hudd {__version__}: {changed}.",
        HuddWarning,
        stacklevel=2,
    )


def known_settings(h5: h5py.File, path: Path, known: Collection[str]) -> str:
    """Return a study's settings as JSON, without those that a later minor version of the format has added.

    What is left out is told in a :class:`HuddWarning`. Of a file of this version or an older one nothing is left out.
    """
    text: str = h5.attrs["settings"]
    if minor_version(h5) <= MINOR:
        return text
    try:
        settings = json.loads(text)
        added = sorted(set(settings) - set(known))
        kept = json.dumps({name: settings[name] for name in settings if name in known})
    except (ValueError, TypeError, RecursionError):
        return text  # told where settings are read
    named = f"unknown here are {', '.join(added)}" if added else "are all known"
    warnings.warn(
        f"'{path}' is of version {VERSION}.{minor_version(h5)} of the format, and this hudd knows {VERSION}.{MINOR}: "
        f"it can be read, but not changed; settings {named}.",
        HuddWarning,
        stacklevel=2,
    )
    return kept


def _notes(h5: h5py.File) -> Iterator[tuple[str, h5py.Group]]:
    """Return every note of how a result was made, with the result's key."""
    found: list[tuple[str, h5py.Group]] = []
    if "steps" in h5:
        h5["steps"].visititems(lambda key, note: found.append((key, note)))
    return iter([(key, note) for key, note in found if "fingerprint" in note.attrs])


def _others(h5: h5py.File) -> list[str]:
    """Versions of hudd, besides this one, that have made results."""
    return sorted({_maker(note) for _, note in _notes(h5)} - {__version__})


def _maker(note: h5py.Group) -> str:
    return str(note.attrs.get("hudd_version", "unknown"))
