"""How every figure looks: quiet axes, one accent, text that is never read as mathematics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#1b2430"
MUTED = "#5c6b7a"
LINE = "#d5dce3"
ACCENT = "#0b6e78"
CARD = "#ffffff"
CYCLE = (
    "#0b6e78", "#c8553d", "#5b5ea6", "#d49a1f", "#3f8f4f", "#a0487d", "#4a90c2", "#7a6a53",
    "#71abb1", "#df9c8e", "#a0a2cb", "#e6c47d", "#90be99", "#c895b4", "#96bfdc", "#b2a99b",
    "#07494f", "#843828", "#3c3e6e", "#8c6614", "#2a5e34", "#6a3052", "#315f80", "#514637",
)  # fmt: skip
"""Colours of clusters: eight hues, the same lighter, the same darker."""

_STYLE: dict[Any, Any] = {
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.size": 9,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "text.color": INK,
    # Names of classes, files and layers come from outside: a "$" in them is a dollar sign.
    "text.parse_math": False,
    "xtick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.color": LINE,
    "ytick.labelcolor": MUTED,
}


@contextmanager
def style() -> Iterator[None]:
    """Make the figures drawn inside look like the rest."""
    with mpl.rc_context(_STYLE):
        yield


def new_figure(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> Figure:
    """Return an empty figure of so many inches, outside pyplot's global state."""
    return Figure(figsize=(width, height), layout=layout)


def axes(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a new figure of so many inches and an axes in it."""
    figure = new_figure(width, height)
    return figure, figure.add_subplot()
