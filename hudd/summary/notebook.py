"""What a notebook shows of a study."""

from __future__ import annotations

from html import escape

import pandas as pd

from hudd.summary.findings import Findings
from hudd.summary.headline import headline
from hudd.summary.tables import table


def to_html(study: Findings) -> str:
    """Return the figures that matter and the clusters as HTML tables."""
    title = f"<p><b>{escape(study.path.name)}</b>, a study of {escape(study.settings.model)}</p>"
    if not study.has("error"):
        return f"{title}<p>not tested yet</p>"
    figures: str = pd.Series(headline(study)).to_frame().to_html(header=False)
    clusters: str = table(study, "clusters").to_html(index=False) if study.has("clusters") else ""
    return title + figures + clusters
