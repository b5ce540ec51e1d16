"""Before and after retraining: what improved, what got worse, which clusters recovered."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hudd.errors import UsageError


@dataclass(frozen=True)
class Change:
    """A DNN's answers to the same N test images before and after retraining.

    Attributes
    ----------
    accuracy_before, accuracy_after : float
        Share of right answers.
    improved : int
        Images that were wrong and are right now.
    worsened : int
        Images that were right and are wrong now.
    recovery : dict[int, float]
        Cluster to the share of its errors that are now classified correctly; empty where no clusters were given.
    """

    accuracy_before: float
    accuracy_after: float
    improved: int
    worsened: int
    recovery: dict[int, float]

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON-able values, clusters as strings."""
        return {**asdict(self), "recovery": {str(c): share for c, share in self.recovery.items()}}


def compare_answers(before: np.ndarray, after: np.ndarray, clusters: np.ndarray | None = None) -> Change:
    """Count what retraining changed.

    Parameters
    ----------
    before, after : np.ndarray
        (N,) bool, whether the answer is right.
    clusters : np.ndarray, optional
        (N_errors,) int cluster of each image that was wrong before, in row order; labels below 1 are none.

    Returns
    -------
    Change

    Raises
    ------
    UsageError
        If lengths do not fit.
    """
    before, after = np.asarray(before, bool), np.asarray(after, bool)
    if before.shape != after.shape or before.ndim != 1 or not len(before):
        raise UsageError(
            f"answers before {before.shape} and after {after.shape} must be of the same test images."
        )
    recovered, recovery = after[~before], {}
    if clusters is not None:
        clusters = np.asarray(clusters)
        if clusters.shape != recovered.shape:
            raise UsageError(f"{len(recovered)} images were wrong before but {len(clusters)} have a cluster.")
        recovery = {
            int(c): float(recovered[clusters == c].mean()) for c in np.unique(clusters[clusters >= 1])
        }
    return Change(
        accuracy_before=float(before.mean()),
        accuracy_after=float(after.mean()),
        improved=int((~before & after).sum()),
        worsened=int((before & ~after).sum()),
        recovery=recovery,
    )
