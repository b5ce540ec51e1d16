"""What a group of errors is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hudd.language import gettext as _


def title(name: str, known: Sequence[str], rule: str, confusions: Sequence[tuple[str, str, int]]) -> str:
    """Return what a group of errors is called.

    The name that a person gave it; else its known cause, and its rule in words; else its confusions, the commonest one
    where no class is on one side of most of them.

    Parameters
    ----------
    name : str
        Given by a person, or "".
    known : sequence of str
        The known cause of most members first; empty where there is none.
    rule : str
        Its rule in words, or "".
    confusions : sequence of (str, str, int)
        True class, prediction and number of errors, the commonest first.
    """
    if name:
        return name
    told = [*known[:1], *([rule] if rule else [])]
    if not rule:
        truth, prediction = (_majority(confusions, side) for side in (0, 1))
        if not (truth or prediction or known):
            truth, prediction = confusions[0][:2]
        if truth or prediction:
            anything = _("any")
            told.append(f"{truth or anything} → {prediction or anything}")
    return " · ".join(told)


def _majority(confusions: Sequence[tuple[str, str, int]], side: int) -> str | None:
    """Return the class on one side of at least 60 % of the confusions."""
    counts = Counter[str]()
    for confusion in confusions:
        counts[str(confusion[side])] += confusion[2]
    name, most = counts.most_common(1)[0]
    return name if most >= 0.6 * counts.total() else None
