"""How often the DNN fails where a rule holds, told by images that did not choose the rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hudd.evaluation.chance import SIGNIFICANT, holm, wilson
from hudd.evaluation.regions import Region

FOLDS = 5
"""Parts that the images are divided into where no others are kept aside."""


@dataclass(frozen=True)
class FailureRate:
    """Failures in the region of a group of errors, counted on images that did not choose the region.

    Attributes
    ----------
    group : int
        Its number.
    images, failures : int
        Images in the region, and those of them that the DNN gets wrong.
    images_outside, failures_outside : int
        The same of all other images.
    p_value : float
        How often chance puts as many failures into the region (Fisher's exact test, one-sided), adjusted over the
        groups by the method of Holm (Scand. J. Statist. 6(2), 1979).
    """

    group: int
    images: int
    failures: int
    images_outside: int
    failures_outside: int
    p_value: float

    @property
    def confirmed(self) -> bool:
        """Whether the DNN fails more often in the region than outside of it, beyond chance."""
        return self.p_value <= SIGNIFICANT

    @property
    def rate(self) -> float:
        """Share of the images in the region that fail; NaN without any."""
        return self.failures / self.images if self.images else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the rate."""
        return wilson(self.failures, self.images)

    @property
    def lift(self) -> float:
        """The rate over that of all images; NaN where nothing is counted or nothing fails."""
        failures, images = self.failures + self.failures_outside, self.images + self.images_outside
        return self.rate / (failures / images) if failures else float("nan")

    @property
    def exposure(self) -> float:
        """Share of the images that lie in the region; NaN without any."""
        images = self.images + self.images_outside
        return self.images / images if images else float("nan")

    @property
    def share(self) -> float:
        """Share of all failures that lie in the region; NaN without any."""
        failures = self.failures + self.failures_outside
        return self.failures / failures if failures else float("nan")


def failure_rates(
    regions: Mapping[int, Region], parameters: Mapping[str, np.ndarray], failed: np.ndarray
) -> list[FailureRate]:
    """Count failures inside and outside of regions, on images that chose none of them.

    Parameters
    ----------
    regions : mapping of int to Region
        The region of each group that has one.
    parameters : mapping of str to np.ndarray
        (N,) columns of the images.
    failed : np.ndarray
        (N,) bool.

    Returns
    -------
    list of FailureRate
        In the order of the regions.
    """
    inside = {group: region.holds(parameters, len(failed)) for group, region in regions.items()}
    everywhere = np.ones(len(failed), bool)
    return _tested({group: [_counts(fits, everywhere, failed)] for group, fits in inside.items()})


def cross_fitted_rates(
    find: Callable[[np.ndarray], Mapping[int, np.ndarray]],
    failed: np.ndarray,
    *,
    counted: np.ndarray | None = None,
    seed: int = 0,
    folds: int = FOLDS,
) -> list[FailureRate]:
    """Count failures inside and outside of regions that are found again without the images that are counted.

    See :func:`cross_fitted_regions`; of parts where a group has no region nothing is counted for it.

    Parameters
    ----------
    find : callable
        Takes the images to look at, (N,) bool, and returns which images, (N,) bool, lie in the region of each group
        that has one among them.
    failed : np.ndarray
        (N,) bool.
    counted : np.ndarray, optional
        (N,) bool, the images to count; by default all.
    seed : int
        Seed of the division.
    folds : int
        Parts.

    Returns
    -------
    list of FailureRate
        Of the groups that have a region in more than half of the parts, ascending by number.
    """
    regions = cross_fitted_regions(find, failed, counted=counted, seed=seed, folds=folds)
    return _tested({group: [_counts(where == 1, where >= 0, failed)] for group, where in regions.items()})


def cross_fitted_regions(
    find: Callable[[np.ndarray], Mapping[int, np.ndarray]],
    failed: np.ndarray,
    *,
    counted: np.ndarray | None = None,
    seed: int = 0,
    folds: int = FOLDS,
) -> dict[int, np.ndarray]:
    """Tell which images lie in regions that are found again without the images that are asked about.

    The images are divided into parts, failures and others alike. For each part the regions are found on the others.
    So each image is told by regions that did not know whether it fails.

    Parameters
    ----------
    find, failed, counted, seed, folds
        As for :func:`cross_fitted_rates`.

    Returns
    -------
    dict of int to np.ndarray
        (N,) int8 of each group that has a region in more than half of the parts, ascending by number: 1 inside, 0
        outside, -1 in a part where the group has no region, and of images that are not counted.
    """
    part = even_parts(failed, folds, np.random.default_rng([seed, folds]))
    inside: dict[int, np.ndarray] = {}
    found: Counter[int] = Counter()
    for one in range(folds):
        aside = part == one
        told = aside if counted is None else aside & counted
        for group, fits in find(~aside).items():
            found[group] += 1
            inside.setdefault(group, np.full(len(failed), -1, np.int8))[told] = fits[told]
    return {group: inside[group] for group in sorted(inside) if 2 * found[group] > folds}


def even_parts(failed: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Return the part, (N,) int64, of each image: failures and others are divided evenly."""
    part = np.empty(len(failed), np.int64)
    for rows in (np.flatnonzero(failed), np.flatnonzero(~failed)):
        part[rng.permutation(rows)] = np.arange(len(rows)) % folds
    return part


def _counts(fits: np.ndarray, counted: np.ndarray, failed: np.ndarray) -> np.ndarray:
    """Failures and others in the region, then outside: (4,) int64."""
    sets = (fits & failed, fits & ~failed, ~fits & failed, ~fits & ~failed)
    return np.array([(one & counted).sum() for one in sets], np.int64)


def excess(fits: np.ndarray, counted: np.ndarray, failed: np.ndarray) -> float:
    """Return how often chance puts as many failures into a region, of the images that are counted, (N,) bool each."""
    return _fisher(_counts(fits, counted, failed))


def _fisher(counts: Sequence[int] | np.ndarray) -> float:
    """P-value of Fisher's exact test, that the region does not fail more often than the rest."""
    from scipy.stats import fisher_exact  # takes longer to import than results take to show

    return float(fisher_exact(np.reshape(counts, (2, 2)), "greater").pvalue)


def _tested(counts: Mapping[int, Sequence[np.ndarray]]) -> list[FailureRate]:
    sums = {group: np.sum(parts, axis=0).tolist() for group, parts in counts.items()}
    p_values = [_fisher(four) for four in sums.values()]
    return [
        FailureRate(group, wrong + right, wrong, wrong_outside + right_outside, wrong_outside, p_value)
        for (group, (wrong, right, wrong_outside, right_outside)), p_value in zip(
            sums.items(), holm(p_values)
        )
    ]
