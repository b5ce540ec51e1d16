"""How well clusters agree with known causes; docs/root-cause-quality.md has the definitions in words."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from cases import NATURAL
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

SMALLEST = 3  # members of a cluster that counts: one or two images name no cause


@dataclass(frozen=True)
class Quality:
    """Agreement of one clustering with the causes.

    Attributes
    ----------
    purity : float
        Mean over the clusters of the share of their most frequent cause. An image of two causes has both;
        "natural" is one cause more.
    weighted_purity : float
        The same, clusters weighted by size.
    coverage : float
        Share of the injected causes that are the most frequent one of some cluster.
    strict_coverage : float
        The same for clusters of purity at least 0.9.
    rare_coverage : float
        Coverage of the causes of 2 to 5 % of the failures.
    redundancy : float
        Clusters per cause that is the most frequent one of some cluster, "natural" left out.
    clusters : int
        Clusters of at least three members.
    clustered : float
        Share of the failures that lie in one of them.
    rand, information : float
        Adjusted Rand index and adjusted mutual information of all failures; combinations of causes are causes
        of their own, failures that are in no cluster each a cluster of their own.
    """

    purity: float
    weighted_purity: float
    coverage: float
    strict_coverage: float
    rare_coverage: float
    redundancy: float
    clusters: int
    clustered: float
    rand: float
    information: float

    def to_dict(self) -> dict[str, float]:
        """Return the measures, rounded for print."""
        return {name: round(float(value), 4) for name, value in asdict(self).items()}


def quality(labels: np.ndarray, causes: np.ndarray, rare: tuple[str, ...]) -> Quality:
    """Compare clusters with causes.

    Parameters
    ----------
    labels : ndarray, (N,) int
        Clusters from 1; smaller numbers for failures in none.
    causes : ndarray, (N,) text
        Causes, ``a+b`` for two.
    rare : tuple of str
        Those that count for `rare_coverage`.
    """
    names = sorted({name for both in causes for name in both.split("+")})
    has = np.array([[name in both.split("+") for name in names] for both in causes])
    numbers, sizes = np.unique(labels[labels >= 1], return_counts=True)
    kept = numbers[sizes >= SMALLEST]
    counts = np.array([has[labels == number].sum(axis=0) for number in kept]).reshape(len(kept), len(names))
    sizes = sizes[sizes >= SMALLEST]
    most = [names[at] for at in counts.argmax(axis=1)] if len(kept) else []
    purity = counts.max(axis=1, initial=0) / sizes
    injected = [name for name in names if name != NATURAL]
    found = {name for name in most if name != NATURAL}
    named = [name for name in most if name != NATURAL]
    alone = np.where(np.isin(labels, kept), labels, -1 - np.arange(len(labels)))
    return Quality(
        purity=purity.mean() if len(kept) else 0.0,
        weighted_purity=(purity * sizes).sum() / sizes.sum() if len(kept) else 0.0,
        coverage=len(found) / len(injected),
        strict_coverage=len({n for n, p in zip(most, purity) if p >= 0.9 and n != NATURAL}) / len(injected),
        rare_coverage=sum(name in found for name in rare) / len(rare),
        redundancy=len(named) / max(1, len(found)),
        clusters=len(kept),
        clustered=sizes.sum() / len(labels),
        rand=adjusted_rand_score(causes, alone),
        information=adjusted_mutual_info_score(causes, alone),
    )
