"""How well clusters and known causes agree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from hudd.errors import UsageError

NATURAL = "none"
"""The cause of images that none was put into, in the bundled cases."""


@dataclass(frozen=True)
class PurityCoverage:
    """Agreement of clusters with known causes; see :func:`purity_coverage` for the definitions.

    Attributes
    ----------
    clusters, size : np.ndarray
        (k,) int64 cluster labels and members.
    majority : tuple of str
        The majority cause of each cluster.
    purity : np.ndarray
        (k,) share of that cause in its cluster.
    weighted_purity, mean_purity, coverage, strict_coverage : float
        The measures; NaN where there is nothing to measure: no cluster, or no cause to cover.
    causes : tuple of str
        The known causes.
    images : int
        Images that they are known of.
    """

    clusters: np.ndarray
    size: np.ndarray
    majority: tuple[str, ...]
    purity: np.ndarray
    weighted_purity: float
    mean_purity: float
    coverage: float
    strict_coverage: float
    causes: tuple[str, ...]
    images: int

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-able values."""
        rows = zip(self.clusters.tolist(), self.size.tolist(), self.majority, self.purity.tolist())
        return {
            "weighted_purity": self.weighted_purity,
            "mean_purity": self.mean_purity,
            "coverage": self.coverage,
            "strict_coverage": self.strict_coverage,
            "causes": list(self.causes),
            "images": self.images,
            "clusters": [{"cluster": c, "size": n, "majority": m, "purity": p} for c, n, m, p in rows],
        }


def purity_coverage(
    labels: np.ndarray,
    causes: np.ndarray,
    *,
    min_size: int = 2,
    ignore: tuple[str, ...] = (),
    natural: tuple[str, ...] = (NATURAL,),
    strict: float = 0.9,
) -> PurityCoverage:
    """Measure how pure the clusters are and how many causes they find.

    With n_c images in cluster c, m_c of them of its most frequent cause (ties: the first in sorted order),
    and K causes, `natural` ones left out, among all images given:

    * purity of c = m_c / n_c;
    * weighted purity = sum of m_c / sum of n_c, the share of clustered images in the majority of their
      cluster;
    * mean purity = mean of m_c / n_c, every cluster counting the same;
    * coverage = share of the K causes that are the majority of at least one cluster;
    * strict coverage = share of the K causes that are the majority of at least one cluster whose purity is
      at least `strict`.

    Parameters
    ----------
    labels : np.ndarray
        (N,) int clusters from 1; images with a label below 1 are in none, but their causes count among K.
    causes : np.ndarray
        (N,) text or int causes.
    min_size : int
        Smaller clusters are left out, since a cluster of one is pure whatever it is.
    ignore : tuple of str
        Images of these causes are left out before anything is counted.
    natural : tuple of str
        What stands for the want of a cause: a cause as any other for purity, and none for coverage.
    strict : float
        Purity asked for by strict coverage.

    Returns
    -------
    PurityCoverage

    Raises
    ------
    UsageError
        If the lengths differ or no image has a cause.
    """
    labels, causes = np.asarray(labels), np.asarray(causes).astype(str)
    if labels.shape != causes.shape or labels.ndim != 1:
        raise UsageError(
            f"{labels.shape} labels and {causes.shape} causes must be one each for the same images."
        )
    kept = ~np.isin(causes, list(ignore))
    labels, causes = labels[kept], causes[kept]
    names = np.unique(causes)
    if not len(names):
        raise UsageError("no image has a cause that counts; give causes, or ignore fewer.")
    clusters, size = np.unique(labels[labels >= 1], return_counts=True)
    clusters, size = clusters[size >= min_size].astype(np.int64), size[size >= min_size]
    counts = np.array([[np.count_nonzero(causes[labels == c] == name) for name in names] for c in clusters])
    counts = counts.reshape(len(clusters), len(names))
    most, top = counts.argmax(axis=1), counts.max(axis=1)
    purity, covers = top / size, ~np.isin(names, list(natural))
    return PurityCoverage(
        clusters=clusters,
        size=size,
        majority=tuple(str(name) for name in names[most]),
        purity=purity,
        weighted_purity=float(top.sum() / size.sum()) if len(size) else math.nan,
        mean_purity=float(purity.mean()) if len(size) else math.nan,
        coverage=_share(most, covers),
        strict_coverage=_share(most[purity >= strict], covers),
        causes=tuple(str(name) for name in names),
        images=len(causes),
    )


def is_known(causes: np.ndarray) -> np.ndarray:
    """Say which causes are known, (N,) bool: neither empty text nor a number that is none."""
    known: np.ndarray = np.isfinite(causes) if causes.dtype.kind == "f" else causes.astype(str) != ""
    return known


def _share(found: np.ndarray, covers: np.ndarray) -> float:
    """Share of the causes to cover, (K,) bool, that were found."""
    return float(covers[np.unique(found)].sum() / covers.sum()) if covers.any() else math.nan
