"""A study in figures, as experiment trackers keep them: numbers by name and step, settings, and a section of text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hudd.errors import HuddError
from hudd.summary import cause_facts, records, table
from hudd.text import printable, to_json

if TYPE_CHECKING:
    from hudd.review.view import View

_LONGEST = 500  # characters of a setting's value; what older trackers take


@dataclass(frozen=True)
class Figure:
    """A number with its name.

    Attributes
    ----------
    name : str
        Parts divided by ``/``; letters and digits of ASCII, ``_``, ``.`` and ``-`` alone.
    value : float
        The number, finite.
    step : int
        Epoch of a retraining from 1, number of a run from 0; 0 of what has no step.
    """

    name: str
    value: float
    step: int = 0


def figures(results: View) -> list[Figure]:
    """Return the figures of a clustered study.

    ``SET/errors`` and ``SET/accuracy`` of the sets that were tested; ``cause_1/errors``, its ``share`` of all errors
    and the ``failure_rate`` where its rule holds; ``retraining/STRATEGY/accuracy_after`` and others, a step a run;
    ``retraining/STRATEGY/run_0/loss`` and others, a step an epoch.

    Raises
    ------
    HuddError
        If the study has no clusters yet.
    """
    if not results.has("clusters"):
        raise HuddError(f"'{results.path}' has no clusters yet; 'hudd cluster {results.path}' makes them.")
    return [
        figure
        for figure in (*_sets(results), *_causes(results), *_retrainings(results), *_epochs(results))
        if np.isfinite(figure.value)
    ]


def settings(results: View) -> dict[str, str]:
    """Return the settings that were given, as text of at most 500 characters."""
    given = results.provenance["settings"]
    texts = {
        _name(key): value if isinstance(value, str) else to_json(value).decode()
        for key, value in given.items()
        if value not in (None, "", {}, [])
    }
    return {key: printable(text)[:_LONGEST] for key, text in texts.items()}


def _sets(results: View) -> list[Figure]:
    found = []
    for name in ("test", "judge", "train", "improvement"):
        if not results.has(f"splits/{name}"):
            continue
        split = results.split(name)
        if (known := split.label >= 0).any():
            correct = split.correct[known]
            found += [
                Figure(f"{name}/errors", int((~correct).sum())),
                Figure(f"{name}/accuracy", float(correct.mean())),
            ]
    return found


def _causes(results: View) -> list[Figure]:
    found = []
    for cause in cause_facts(results):
        name = f"cause_{cause.number}"
        found += [Figure(f"{name}/errors", len(cause.rows)), Figure(f"{name}/share", cause.share)]
        if cause.rate:
            found.append(Figure(f"{name}/failure_rate", cause.rate.rate))
    return found


def _retrainings(results: View) -> list[Figure]:
    if not results.has("retraining"):
        return []
    return [
        Figure(f"retraining/{_name(row['mode'])}/{key}", float(value), int(row["run"]))
        for row in records(table(results, "retraining"))
        for key, value in row.items()
        if key not in ("mode", "run") and value is not None
    ]


def _epochs(results: View) -> list[Figure]:
    found = []
    for mode, runs in results.retraining.items():
        for number, run in enumerate(runs):
            history = run.get("history", {})
            for key, values in history.items():
                name = f"retraining/{_name(mode)}/run_{number}/{key}"
                found += [
                    Figure(name, float(value), int(epoch))
                    for epoch, value in zip(history["epoch"], values)
                    if key != "epoch"
                ]
    return found


def _name(text: str) -> str:
    """Return a name in the characters that trackers take, as part of a longer one."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text)
