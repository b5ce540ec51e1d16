"""Acceptance criteria: how often a DNN may fail under a condition, and how surely that is to be shown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hudd.evaluation.regions import Region

BOUND = "one-sided Clopper-Pearson"
"""The bound that a criterion is held against (C. J. Clopper, E. S. Pearson, Biometrika 26(4), 1934): exact, so that a
DNN that fails more often than is allowed passes with a probability of at most 1 - confidence."""


def upper_bound(failures: int, images: int, confidence: float) -> float:
    """Return the one-sided upper bound of a failure rate; 1 where every image fails, or there is none."""
    if failures >= images:
        return 1.0
    from scipy.stats import beta  # takes longer to import than results take to show

    return float(beta.ppf(confidence, failures + 1, images - failures))


def images_needed(at_most: float, confidence: float, failures: int = 0) -> int:
    """Return the fewest images of which so many failures show that the failure rate is at most `at_most`."""
    low, high = failures, failures + 1
    while upper_bound(failures, high, confidence) > at_most:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if upper_bound(failures, middle, confidence) > at_most:
            low = middle
        else:
            high = middle
    return high


@dataclass(frozen=True)
class Severity:
    """What a failure under a condition amounts to.

    Attributes
    ----------
    level : str
        What people call it: "catastrophic", "S3".
    region : Region
        The failures that are of this severity, by the class, the prediction or whatever is known of the image.
    """

    level: str
    region: Region


def severities(
    levels: Sequence[Severity], columns: Mapping[str, np.ndarray], failed: np.ndarray
) -> np.ndarray:
    """Return the severity of each failure: the gravest of those whose condition holds.

    Parameters
    ----------
    levels : sequence of Severity
        Levels that come first are graver.
    columns : mapping of str to np.ndarray
        (N,) columns of the images, "class" and "prediction" among them.
    failed : np.ndarray
        (N,) bool.

    Returns
    -------
    np.ndarray
        (N,) object: the level's name; "" of images that do not fail, and of failures that no entry is about.
    """
    found = np.full(len(failed), "", object)
    order = level_names(levels)
    for one in sorted(levels, key=lambda one: -order.index(one.level)):
        found[failed & one.region.holds(columns, len(failed))] = one.level
    return found


def level_names(levels: Sequence[Severity]) -> list[str]:
    """Return the names of the levels, the gravest first."""
    return list(dict.fromkeys(one.level for one in levels))


@dataclass(frozen=True)
class Criterion:
    """P(failure | condition) <= at_most, to be shown at a confidence.

    Attributes
    ----------
    name : str
        What people call it.
    region : Region
        The condition; of all images where it has no bounds.
    at_most : float
        The failure rate that is allowed.
    confidence : float
        Of the one-sided bound.
    severity : str or None
        Count failures of this level and of graver ones alone; by default all failures.
    """

    name: str
    region: Region
    at_most: float
    confidence: float = 0.95
    severity: str | None = None

    @property
    def text(self) -> str:
        """The criterion as people write it: "P(fail | luminance < 0.2) <= 0.02 at 95 %"."""
        what = "fail" if self.severity is None else f"{self.severity} failure"
        given = f" | {self.region.words()}" if self.region.bounds else ""
        return f"P({what}{given}) <= {self.at_most:g} at {100 * self.confidence:g} %"


@dataclass(frozen=True)
class Verdict:
    """What images say of a criterion.

    Attributes
    ----------
    criterion : Criterion
        What was asked.
    images, failures : int
        Images under its condition, and those of them that fail.
    """

    criterion: Criterion
    images: int
    failures: int

    @property
    def rate(self) -> float:
        """Share of the images that fail; NaN without any."""
        return self.failures / self.images if self.images else float("nan")

    @property
    def bound(self) -> float:
        """The upper bound of the failure rate at the criterion's confidence, see :data:`BOUND`."""
        return upper_bound(self.failures, self.images, self.criterion.confidence)

    @property
    def passed(self) -> bool:
        """Whether the bound is at most what is allowed."""
        return self.bound <= self.criterion.at_most

    @property
    def needed(self) -> int:
        """The fewest images that can show it: with no failure, and where the rate itself is allowed, with these."""
        limit, confidence = self.criterion.at_most, self.criterion.confidence
        least = images_needed(limit, confidence)
        return (
            images_needed(limit, confidence, self.failures)
            if least <= self.images and self.rate <= limit
            else least
        )

    @property
    def reason(self) -> str:
        """Why it is not passed, in words; "" where it is."""
        if self.passed:
            return ""
        if self.images < self.needed:
            return f"not shown: {self.images:,} images, needs at least {self.needed:,}"
        return f"fails on {self.rate:.3g} of the images, allowed are {self.criterion.at_most:g}"

    def to_dict(self) -> dict[str, Any]:
        """Return what was asked and what was found as JSON-able values."""
        wanted = self.criterion
        return {
            "name": wanted.name,
            "text": wanted.text,
            "condition": json.loads(wanted.region.to_json()),
            "severity": wanted.severity,
            "at_most": wanted.at_most,
            "confidence": wanted.confidence,
            "images": self.images,
            "failures": self.failures,
            "rate": self.rate if self.images else None,
            "bound": self.bound,
            "needed": self.needed,
            "passed": self.passed,
            "reason": self.reason,
        }


def verdict(
    criterion: Criterion,
    columns: Mapping[str, np.ndarray],
    failed: np.ndarray,
    levels: Sequence[Severity] = (),
) -> Verdict:
    """Count the failures under a criterion's condition.

    Parameters
    ----------
    criterion : Criterion
        What is asked.
    columns : mapping of str to np.ndarray
        (N,) columns of the images.
    failed : np.ndarray
        (N,) bool.
    levels : sequence of Severity
        See :func:`severities`; those that a criterion names.
    """
    if criterion.severity is not None:
        order = level_names(levels)
        graver = order[: order.index(criterion.severity) + 1]
        failed = np.isin(severities(levels, columns, failed).astype(str), graver)
    under = criterion.region.holds(columns, len(failed))
    return Verdict(criterion, int(under.sum()), int((under & failed).sum()))
