"""What is asked of numbers: which outputs are judged and explained, and from where on an error counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from hudd.errors import UsageError

_SHOWN = 6


@dataclass(frozen=True)
class Explained:
    """Which parts of the output are judged, and what of them is explained.

    Attributes
    ----------
    globs : tuple of str
        Names of outputs or landmarks, globs allowed.
    worst : bool
        The one that is farthest off is explained; else all of them together.
    """

    globs: tuple[str, ...]
    worst: bool

    @classmethod
    def of(cls, text: str) -> Explained:
        """Read "worst", "all", "GLOB,GLOB" or "worst:GLOB,GLOB"."""
        word, colon, globs = text.partition(":")
        if word == "worst":
            return cls(_split(globs) if colon else ("*",), worst=True)
        return cls(("*",) if text == "all" else _split(text), worst=False)

    def rows(self, names: Sequence[str]) -> np.ndarray:
        """Return the numbers of the parts that are meant, ascending.

        Raises
        ------
        UsageError
            If a glob matches none of the names.
        """
        for glob in self.globs:
            if not any(fnmatchcase(name, glob) for name in names):
                raise UsageError(
                    f"explained has '{glob}', which is none of {shown(names)}; give names of these, globs allowed, "
                    "'worst' or 'all'."
                )
        found = [any(fnmatchcase(name, glob) for glob in self.globs) for name in names]
        return np.flatnonzero(found)


def thresholds(
    text: str | None, names: Sequence[str], rows: np.ndarray, errors: np.ndarray | None
) -> np.ndarray:
    """Return from where on each part's error counts.

    Parameters
    ----------
    text : str or None
        "3", in the unit of the targets; "yaw=5,pitch=8"; or "90%", the error that 90 % of the test images are below.
    names : sequence of str
        Of the P parts.
    rows : np.ndarray
        Numbers of those that are judged; the others have an infinite threshold.
    errors : np.ndarray or None
        (N, P) errors of the test set, NaN where they are not known; None to look at the text alone.

    Returns
    -------
    np.ndarray
        (P,) float64.

    Raises
    ------
    UsageError
        If there is no such threshold.
    """
    found = np.full(len(names), np.inf)
    if text is None:
        raise UsageError(
            "numbers have no right and wrong without a threshold; give `threshold`, such as '3' in the unit of the "
            "targets, 'NAME=3,NAME=5' or '90%', the error that 90 % of the test images are below."
        )
    if text.strip().endswith("%"):
        share = _number(text.strip()[:-1])
        if not 0 < share < 100:
            raise UsageError(f"threshold is '{text}'; give a share between 0% and 100%, such as 90%.")
        if errors is not None:
            worst = np.nanmax(errors[:, rows], axis=1, initial=0)
            found[rows] = np.percentile(worst, share)
        return found
    if "=" not in text:
        found[rows] = _positive(text)
        return found
    pairs = dict(pair.split("=", 1) for pair in _split(text) if "=" in pair)
    for name, value in pairs.items():
        if name not in names:
            raise UsageError(f"threshold has '{name}', which is none of {shown(names)}; correct the name.")
        found[list(names).index(name)] = _positive(value)
    missing = [names[row] for row in rows if np.isinf(found[row])]
    if missing:
        raise UsageError(f"threshold gives none for {shown(missing)}; give one of each, or one for all.")
    found[np.setdiff1d(np.arange(len(names)), rows)] = np.inf
    return found


def periods(angles: Mapping[str, float], names: Sequence[str]) -> np.ndarray:
    """Return the period of each target, (T,) float64; infinite of what is no angle."""
    return np.array([float(angles.get(name, np.inf)) for name in names])


def difference(output: np.ndarray, target: np.ndarray, period: np.ndarray) -> np.ndarray:
    """Return output minus target; of angles the shorter way round, within half a period.

    Parameters
    ----------
    output, target : np.ndarray
        (N, T) numbers.
    period : np.ndarray
        (T,) periods, infinite of what is no angle.
    """
    plain: np.ndarray = np.asarray(output, np.float64) - target
    turn = np.where(np.isfinite(period), period, 1.0)
    around = plain - turn * np.round(plain / turn)
    return np.where(np.isfinite(period), around, plain)


def shown(names: Sequence[str]) -> str:
    """Return names in quotes, the first few of them."""
    more = f", ... ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(f"'{name}'" for name in names[:_SHOWN]) + more


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _positive(text: str) -> float:
    number = _number(text)
    if not (np.isfinite(number) and number > 0):
        raise UsageError(
            f"threshold is '{text.strip()}'; give a number above 0 in the unit of the targets, such as 3, or a share "
            "such as 90%."
        )
    return number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan
