"""The dossier as one HTML page, and its pictures."""

from __future__ import annotations

import io
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from hudd.dossier.changes import is_reduced
from hudd.dossier.clauses import DISCLAIMER
from hudd.dossier.content import Dossier, TriggeringCondition
from hudd.summary.causes import COUNTED
from hudd.text import clipped, number, percent
from hudd.version import __version__

if TYPE_CHECKING:
    from hudd.study import Study

PICTURES = 8  # of each condition
SHOWN = 8  # conditions that are described before the appendix
_SAMPLE = 8  # images of each condition that the appendix lists
_SIDE = 96  # pixels of a picture's longer side, at most
_ROWS = 25  # conditions in the tables of residual failures and decisions


def pictures_of(study: Study, dossier: Dossier) -> dict[str, list[str]]:
    """Return a few pictures of each condition as data URIs, the most central failure first."""
    test, causes = study.source("test"), study.causes
    found = {}
    for condition in dossier.conditions:
        if condition.condition:
            rows, medoid = causes.members(condition.cause), int(causes.medoid[condition.cause - 1])
            at = np.unique(np.linspace(0, len(rows) - 1, min(PICTURES, len(rows))).astype(int))
            chosen = [medoid, *(row for row in rows[at].tolist() if row != medoid)][:PICTURES]
            found[condition.identifier] = [_uri(test.picture(int(study.errors[row]))) for row in chosen]
    return found


def render(dossier: Dossier, pictures: Mapping[str, Sequence[str]]) -> str:
    """Return the page."""
    environment = Environment(
        loader=PackageLoader("hudd.dossier"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=percent, p=_p, share=_share, lift=_lift, exposure=_exposure, ends=_ends, clip=clipped
    )
    ruled = [one for one in dossier.conditions if one.condition]
    count = Counter(one.status for one in ruled)
    return environment.get_template("dossier.html").render(
        dossier=dossier,
        pictures=pictures,
        hudd=__version__,
        ruled=ruled,
        shown=ruled[:SHOWN],
        rest=ruled[SHOWN:],
        groups=[one for one in dossier.conditions if not one.condition],
        told_status=", ".join(f"{number} {status}" for status, number in sorted(count.items())),
        confirming="judge" if any(one.name == "judge" for one in dossier.data) else "test",
        has_field=any(one.name == "improvement" for one in dossier.data),
        margin=_in_css(f"Safety dossier: {dossier.study}"),
        disclaimer=DISCLAIMER,
        sample=_SAMPLE,
        limit=_ROWS,
        counted_on=COUNTED[ruled[0].counted_on] if ruled else "",
        is_reduced=is_reduced,
    )


def _uri(pixels: np.ndarray) -> str:
    image = Image.fromarray(pixels).convert("RGB")
    image.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return f"data:image/png;base64,{b64encode(buffer.getvalue()).decode('ascii')}"


def _p(p_value: float | None) -> str:
    """Return a p-value with its sign: "= 0.013", "< 0.0001"."""
    if p_value is None:
        return "unknown"
    return "< 0.0001" if p_value < 1e-4 else f"= {p_value:.2g}"


def _share(share: float | None) -> str:
    return "–" if share is None else percent(share)


def _lift(lift: float | None) -> str:
    return "–" if lift is None else f"{lift:.2f}"


def _exposure(condition: TriggeringCondition, name: str) -> str:
    found = [one for one in condition.exposure if one.set == name and one.of]
    return percent(found[0].images / found[0].of) if found else "–"


def _ends(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "–"
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def _in_css(text: str) -> str:
    """Return a text that may stand in a string of a style sheet within a page."""
    return "".join(c if c.isascii() and (c.isalnum() or c in " -_.:") else f"\\{ord(c):x} " for c in text)
