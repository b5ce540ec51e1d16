"""How far a study's clusters and heatmaps can be trusted, and where its errors lie: what takes a while."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hudd.clustering import Stability, stability
from hudd.clustering.pairs import Pairs
from hudd.features import feature_kind
from hudd.language import gettext as _
from hudd.language import marked
from hudd.plot import embed
from hudd.plot.places import sample
from hudd.study.linking import pairs_of
from hudd.text import printable

if TYPE_CHECKING:
    from hudd.study import Results

RESAMPLES = 20
_A_CLUSTER = 5  # errors of a sample that make comparing worth it

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
    def sample(self) -> np.ndarray:
        """(m,) error rows that map and stability are made of."""
        medoids = np.asarray(self._study.clusters.medoid)
        return sample(len(self._labels), medoids, self._study.settings.seed)

    @property
    def sampled(self) -> bool:
        """Whether these are not all errors."""
        return len(self.sample) < len(self._labels)

    @cached_property
    def _pairs(self) -> Pairs:
        return pairs_of(self._study, self._study.chosen_layer)

    @cached_property
    def points(self) -> np.ndarray | None:
        """(m, 2) places of the errors on the map, those of the sample."""
        return embed(self._pairs.among(self.sample)) if len(self._labels) > 3 else None

    @cached_property
    def stability(self) -> Stability | None:
        """Agreement with clusterings of bootstrap samples; None where there is nothing to compare.

        Of the sample's errors where it has not all; clusters that it has none of count as never drawn.
        """
        choices, k = self._study.settings.choices, self._labels.max()
        enough = len(self._labels) > 3 and k > 1 and (not self.sampled or len(self.sample) > _A_CLUSTER * k)
        if not enough or choices.linkage_on != "distances":
            return None
        labels, distances = self._labels[self.sample], self._pairs.among(self.sample)
        return stability(distances, labels, seed=self._study.settings.seed, resamples=RESAMPLES)

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
