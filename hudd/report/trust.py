"""How far a study's clusters and heatmaps can be trusted, and where its errors lie: what takes a while."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hudd.clustering import Stability, stability
from hudd.features import feature_kind
from hudd.plot.places import MOST_ERRORS, places
from hudd.text import printable

if TYPE_CHECKING:
    from hudd.study import Study

RESAMPLES = 20

STABLE, DOUBTFUL = 0.75, 0.5
"""Agreement from which a cluster is called stable, and below which it is said to dissolve (after C. Hennig,
Comput. Stat. Data Anal. 52, 2007, who gives these bounds for the Jaccard coefficient)."""


@dataclass(frozen=True)
class Conservation:
    """How much relevance a layer lost, as a share of the explained output, over the errors."""

    layer: str
    median: float
    high: float
    most: float


class Trust:
    """Measures of the study's own clusters; nothing in them changes when clusters are merged or split."""

    def __init__(self, study: Study) -> None:
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
            lost = np.abs(self._study.conservation_of(layer))
            median, high, most = np.percentile(lost, (50, 95, 100)).tolist()
            name = (
                printable(layer)
                if feature_kind(self._study.settings.choices.features).layered
                else "the worst of all"
            )
            found.append(Conservation(name, median, high, most))
        return found


def verdict(agreement: float) -> str:
    """Say in a word whether a cluster was found again."""
    if not np.isfinite(agreement):
        return "never drawn"
    return "stable" if agreement >= STABLE else "doubtful" if agreement >= DOUBTFUL else "dissolves"
