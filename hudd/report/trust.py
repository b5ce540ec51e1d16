"""How far a study's clusters and heatmaps can be trusted, and where its errors lie: what takes a while."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hudd.clustering import Stability, stability
from hudd.features import feature_kind
from hudd.language import gettext as _
from hudd.language import marked
from hudd.plot.places import MOST_ERRORS, places
from hudd.text import printable

if TYPE_CHECKING:
    from hudd.study import Results

RESAMPLES = 20

STABLE, DOUBTFUL = 0.75, 0.5
"""Agreement from which a cluster is called stable, and below which it is said to dissolve (after C. Hennig,
Comput. Stat. Data Anal. 52, 2007, who gives these bounds for the Jaccard coefficient)."""


@dataclass(frozen=True)
class Conservation:
    """How much relevance a layer lost (below zero) or added, as a share of the explained output, over the errors.

    And what share of the output is `left` when relevance leaves the layer, the median; NaN where it is not known.
    """

    layer: str
    median: float
    high: float
    most: float
    left: float


class Trust:
    """Measures of the study's own clusters; nothing in them changes when clusters are merged or split."""

    def __init__(self, study: Results) -> None:
        self._study = study
        self._labels = np.asarray(study.clusters.label)

    @cached_property
    def points(self) -> np.ndarray | None:
        """(N, 2) places of the errors on the map."""
        return places(self._study, self._study.chosen_layer) if len(self._labels) > 3 else None

    @cached_property
    def stability(self) -> Stability | None:
        """Agreement with clusterings of bootstrap samples; None where there is nothing to compare."""
        linkage_on = self._study.settings.choices.linkage_on
        enough = 3 < len(self._labels) <= MOST_ERRORS and self._labels.max() > 1
        if not enough or linkage_on != "distances":
            return None
        distances = self._study.distances_of(self._study.chosen_layer)
        return stability(distances, self._labels, seed=self._study.settings.seed, resamples=RESAMPLES)

    @cached_property
    def conservation(self) -> list[Conservation]:
        """One entry a layer, in the order of the DNN."""
        found = []
        for layer in self._study.layers:
            if not self._study.has(f"layers/{layer}/conservation"):
                continue  # features that are no relevance
            lost = self._study.conservation_of(layer)
            high, most = np.percentile(np.abs(lost), (95, 100)).tolist()
            left = np.nan
            if self._study.has(f"layers/{layer}/cumulative"):  # not in studies of earlier versions
                left = 1 + float(np.median(self._study.cumulative_of(layer)))
            name = (
                printable(layer)
                if feature_kind(self._study.settings.choices.features).layered
                else _("the worst of all")
            )
            found.append(Conservation(name, float(np.median(lost)), high, most, left))
        return found

    @property
    def absorbing(self) -> list[str]:
        """The layers that lose most, at most three, where by some layer less than half of the output is left."""
        rows = self.conservation
        if not any(row.left < 0.5 for row in rows):
            return []
        losing = sorted((row for row in rows if row.median < 0), key=lambda row: row.median)
        return [row.layer for row in losing[:3]]


def verdict(agreement: float) -> str:
    """Say in a word whether a cluster was found again; the word is looked up where it is shown."""
    if not np.isfinite(agreement):
        return marked("never drawn")
    if agreement >= STABLE:
        return marked("stable")
    return marked("doubtful") if agreement >= DOUBTFUL else marked("dissolves")
