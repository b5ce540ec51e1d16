"""Which explanation is better: one half of the images chooses, the other confirms, by paired tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from hudd.evaluation import holm


def halves(count: int) -> dict[str, slice]:
    """The images by which an explanation is chosen, and those by which the choice is confirmed."""
    return {"choosing": slice(0, count, 2), "confirming": slice(1, count, 2)}


def first(gains: Mapping[str, np.ndarray]) -> str:
    """The explanation with the greatest mean gain on the choosing half; gains are (N,) each."""
    return max(gains, key=lambda name: gains[name][halves(len(gains[name]))["choosing"]].mean())


def behind(gains: Mapping[str, np.ndarray], best: str) -> dict[str, float]:
    """p-values that `best` and each other explanation differ on the confirming half, corrected for their number."""
    half = halves(len(gains[best]))["confirming"]
    return against({name: gain[half] for name, gain in gains.items()}, best)


def against(figures: Mapping[str, np.ndarray], one: str) -> dict[str, float]:
    """p-values that `one` and each other explanation differ, corrected for their number; figures are (N,) each."""
    return corrected({name: paired(figures[one], figures[name]) for name in figures if name != one})


def judged(
    gains: Mapping[str, np.ndarray], chosen: str, ours: list[str], unranked: Sequence[str] = ()
) -> dict[str, Any]:
    """The first on the choosing half against all others, and hudd's first against the recommended composite.

    Parameters
    ----------
    gains : mapping of str to (N,) ndarray
        By explanation; more is better.
    chosen : str
        The recommended composite.
    ours : list of str
        The explanations that are hudd's.
    unranked : sequence of str
        What cannot be the first, but is compared with it.
    """
    best = first({name: gain for name, gain in gains.items() if name not in unranked})
    challenger = first({name: gains[name] for name in ours})
    half = halves(len(gains[best]))["confirming"]
    return {
        "first": best,
        "p": behind(gains, best),
        "challenger": challenger,
        "ahead": float((gains[challenger] - gains[chosen])[half].mean()),
        "challenger_p": paired(gains[challenger][half], gains[chosen][half]),
    }


def paired(ours: np.ndarray, theirs: np.ndarray) -> float:
    """p-value of Wilcoxon's signed-rank test, two-sided."""
    return 1.0 if np.array_equal(ours, theirs) else float(stats.wilcoxon(ours, theirs).pvalue)


def corrected(found: Mapping[str, float]) -> dict[str, float]:
    """p-values corrected for their number by Holm's method."""
    return dict(zip(found, holm(list(found.values()))))
