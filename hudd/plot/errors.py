"""Figures of the errors of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from hudd.errors import UsageError
from hudd.language import gettext as _
from hudd.plot.style import ACCENT, CYCLE, LINE, MUTED, axes, style

_MOST = 40  # parts that are drawn


def part_errors(
    names: Sequence[str], before: np.ndarray, after: Mapping[str, np.ndarray] | None = None, *, unit: str = ""
) -> Figure:
    """Draw the mean error of each output or landmark, and what it is after retraining; of many the largest 40.

    Parameters
    ----------
    names : sequence of str
        Of the P parts.
    before : np.ndarray
        (P,) mean errors.
    after : mapping of str to np.ndarray, optional
        (P,) mean errors after retraining, by the name of the strategy.
    unit : str
        Of the errors.

    Raises
    ------
    UsageError
        If there is nothing to draw.
    """
    before, after = np.asarray(before, np.float64), after or {}
    if not len(before):
        raise UsageError("there are no errors to draw; give those of one part at least.")
    order = np.argsort(-before, kind="stable")[:_MOST]
    rows = np.arange(len(order))
    with style():
        figure, ax = axes(6.4, 0.9 + 0.19 * len(order))
        ax.barh(rows, before[order], height=0.7, color=LINE, label=_("before"))
        for number, (mode, values) in enumerate(after.items()):
            colour = (ACCENT, *CYCLE[1:])[number % len(CYCLE)]
            ax.plot(
                np.asarray(values)[order],
                rows,
                "o",
                color=colour,
                markersize=4,
                label=_("after, {mode}").format(mode=mode),
            )
        ax.set_yticks(rows, [names[at] for at in order], color=MUTED)
        ax.set_ylim(len(order) - 0.4, -0.6)
        ax.set_xlim(left=0)
        ax.set_xlabel(_("mean error") + (f" [{unit}]" if unit else ""))
        ax.grid(axis="x")
        if after:
            ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0, handletextpad=0.4)
    return figure
