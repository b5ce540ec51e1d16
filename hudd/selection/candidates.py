"""What strategies know of the improvement images, and what they return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from hudd.errors import UsageError
from hudd.selection.closest import ClosestMembers
from hudd.selection.unsafe import UnsafeSet


@dataclass(frozen=True)
class Embedding:
    """What the DNN's last layer takes in and gives out for M images.

    Attributes
    ----------
    features : np.ndarray
        (M, d) float32, what enters the last layer; of more than 512 values a random projection to 512.
    residual : np.ndarray
        (M, K) float32, the probabilities less 1 at the predicted class: the gradient of the cross-entropy with respect
        to the logits, were the prediction right. Projected likewise; (M, 1) zeros where the outputs are no
        probabilities.
    margin : np.ndarray
        (M,) float32, the probability of the predicted class less that of the second; NaN where there are none.
    """

    features: np.ndarray
    residual: np.ndarray
    margin: np.ndarray

    def __post_init__(self) -> None:
        lengths = [len(values) for values in vars(self).values()]
        if len(set(lengths)) > 1 or self.features.ndim != 2 or self.residual.ndim != 2:
            shapes = {name: values.shape for name, values in vars(self).items()}
            raise UsageError(
                f"an embedding needs a row of features, residual and margin an image, not {shapes}."
            )


@dataclass(frozen=True)
class Candidates:
    """What is known of the M improvement images when some are to be selected.

    Attributes
    ----------
    closest : ClosestMembers
        Distances of the images to the root-cause clusters.
    labels : np.ndarray
        (N_errors,) int clusters from 1.
    entropy : np.ndarray
        (M,) entropy of the DNN's output, in nats.
    preset : str
        Name of the preset.
    shares : mapping of int to int, optional
        Images for each cluster, where the budget was given by a factor.
    correct : np.ndarray, optional
        (M,) bool, whether the DNN is right: for comparisons with known labels only.
    estimate : callable, optional
        Returns (M,) estimated probabilities of failure, see :func:`failure_rate`; called when they are needed.
    prediction : np.ndarray, optional
        (M,) int64 predicted classes.
    embed : callable, optional
        Returns the :class:`Embedding` of the images; called when it is needed.
    cause : np.ndarray, optional
        (N_errors,) int root cause of each error from 1, 0 for none; by default each cluster is one.
    common : np.ndarray, optional
        (C,) bool, whether the errors of cause c + 1 have something in common; by default those of every cause have.
    alike : callable, optional
        ``alike(rows)`` returns the groups, (n,) int64, that images of these rows form which look alike; by default none
        do.
    target : int, optional
        The cause that strategy ``cause`` selects for.
    given : np.ndarray, optional
        (S,) int64 rows that were chosen elsewhere, for strategy ``given``.
    """

    closest: ClosestMembers
    labels: np.ndarray
    entropy: np.ndarray
    preset: str = "hudd"
    shares: Mapping[int, int] | None = None
    correct: np.ndarray | None = None
    estimate: Callable[[], np.ndarray] | None = None
    prediction: np.ndarray | None = None
    embed: Callable[[], Embedding] | None = None
    cause: np.ndarray | None = None
    common: np.ndarray | None = None
    alike: Callable[[np.ndarray], np.ndarray] | None = None
    target: int | None = None
    given: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.entropy)

    @cached_property
    def doubt(self) -> np.ndarray:
        """(M,) float64: the entropy, times the estimated probability of failure where there is one."""
        return self.entropy if self.estimate is None else self.estimate() * self.entropy

    @property
    def cause_of_error(self) -> np.ndarray:
        """(N_errors,) int64 root cause of each error, 0 for none."""
        return np.asarray(self.labels if self.cause is None else self.cause, np.int64)

    @property
    def common_cause(self) -> np.ndarray:
        """(N_errors,) int64 root cause of each error, 0 for none and where its errors have nothing in common."""
        cause = self.cause_of_error
        return cause if self.common is None else cause * np.append(False, self.common)[cause]

    @cached_property
    def nearest_cause(self) -> np.ndarray:
        """(M,) int64 :attr:`common_cause` of the closest cluster; 0 beyond the reach of that cluster."""
        closest, rows = self.closest, np.arange(len(self))
        column = closest.distance.argmin(axis=1)
        of_error = self.common_cause
        of_cluster = np.array([of_error[self.labels == cluster][0] for cluster in closest.clusters], np.int64)
        inside = ~(closest.distance[rows, column] > closest.reach[column])
        return np.where(inside, of_cluster[column], 0)

    def unlike(self, rows: np.ndarray) -> np.ndarray:
        """Return the first row of each group of images that look alike, in their order."""
        if self.alike is None or not len(rows):
            return rows
        first: np.ndarray = rows[np.sort(np.unique(self.alike(rows), return_index=True)[1])]
        return first

    @cached_property
    def embedding(self) -> Embedding:
        """What the DNN's last layer takes in and gives out for the images.

        Raises
        ------
        UsageError
            If nothing returns it.
        """
        if self.embed is None:
            raise UsageError(
                "this strategy needs the features of the last layer; give `embed` with the candidates."
            )
        return self.embed()


@dataclass(frozen=True)
class Drawn:
    """Images that are paid for, and those among them that a bag is filled from.

    Attributes
    ----------
    labelled : np.ndarray
        (S,) int64 rows of the improvement set, with repeats where they were drawn with replacement.
    bag : np.ndarray
        (b,) int64 rows that the bag is filled from; without any it stays empty.
    """

    labelled: np.ndarray
    bag: np.ndarray


class SelectionStrategy(Protocol):
    """What selects improvement images to label: a function, or a class whose objects are called like one.

    It returns distinct rows of the improvement set, (S,) int64, at most `budget`, in the order of choice: each is then
    listed with its closest cluster, and in a comparison its bag to retrain on is filled up by bootstrap. Or it returns
    an :class:`UnsafeSet`, which says for which cluster each was chosen; the bag is then balanced over the clusters.
    The same seed must give the same rows.
    """

    def __call__(self, candidates: Candidates, budget: int, *, seed: int) -> np.ndarray | UnsafeSet | Drawn:
        """Return the images to label."""
