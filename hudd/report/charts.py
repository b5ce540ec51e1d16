"""Figures as SVG that belongs to the page: its colours, its fonts, nothing to load.

Matplotlib's SVG was chosen over Plotly: a curve takes 10 to 20 kB in place of 4 MB of script, prints as
sharply as text, needs no JavaScript, and follows the page's light and dark themes through CSS variables.
"""

from __future__ import annotations

import io
import re
import warnings

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from hudd.plot.style import ACCENT, CARD, CYCLE, INK, LINE, MUTED

_THEMED = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    ACCENT: "var(--accent)",
    CYCLE[1]: "var(--warm)",
    CARD: "var(--card)",
}


def themed(colour: str) -> str:
    """Return what the page draws a figure's colour as, light or dark."""
    return _THEMED.get(colour, colour)


def as_svg(figure: Figure, description: str) -> Markup:
    """Return a figure as an ``<svg>`` element in the page's colours.

    Parameters
    ----------
    figure : Figure
        Drawn with :mod:`hudd.plot`.
    description : str
        What a reader who does not see it is told.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": description}), warnings.catch_warnings():
        # The browser's fonts draw the text, whatever glyphs Matplotlib's own lacks.
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(
            buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>|<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'<g id="[a-z0-9]+_\d+">', "<g>", svg)  # the same in every figure of the page
    svg = re.sub(r"font: ([\d. a-z]*px) [^;\"]*", r"font: \1 var(--sans)", svg)
    svg = re.sub("|".join(_THEMED), lambda colour: themed(colour[0]), svg)
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    head = Markup(
        '<svg class="chart" role="img" aria-label="{}" viewBox="0 0 {:g} {:g}" style="--width:{}px"'
    ).format(description, 0.75 * width, 0.75 * height, width)
    return Markup(re.sub(r"<svg\b[^>]*(?=>)", lambda _: str(head), svg, count=1))
