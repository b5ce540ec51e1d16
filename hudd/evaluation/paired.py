"""Two DNNs, or one before and after retraining, on the same images: what became right, what became wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hudd.errors import UsageError
from hudd.evaluation.chance import SIGNIFICANT
from hudd.lazy import special

_Z = 1.959963984540054  # of a 95 % interval


@dataclass(frozen=True)
class PairedChange:
    """Failures on the same images before and after; see :func:`mcnemar`.

    Attributes
    ----------
    fixed, regressed : int
        Images that fail before and not after, and the reverse.
    images : int
        All images, those whose outcome did not change among them.
    p_value : float
        McNemar's exact test, two-sided: how often chance divides the changed images as unevenly.
    """

    fixed: int
    regressed: int
    images: int
    p_value: float

    @property
    def difference(self) -> float:
        """The failure rate after less that before: below 0 where more was fixed; NaN without images."""
        return (self.regressed - self.fixed) / self.images if self.images else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the difference (D. G. Bonett, R. M. Price, J. Educ. Behav. Stat. 37(4), 2012)."""
        fixed, regressed = ((count + 1) / (self.images + 2) for count in (self.fixed, self.regressed))
        middle = regressed - fixed
        half = _Z * math.sqrt((fixed + regressed - middle**2) / (self.images + 2))
        return max(-1.0, middle - half), min(1.0, middle + half)

    @property
    def significant(self) -> bool:
        """Whether chance alone rarely changes as many images more in one direction than in the other."""
        return self.p_value <= SIGNIFICANT


def mcnemar(fixed: int, regressed: int, images: int) -> PairedChange:
    """Test whether a DNN fails as often after a change as before, on the same images.

    Images that fail both times, or neither time, say nothing about it; of the others, half would be fixed by chance
    (Q. McNemar, Psychometrika 12(2), 1947; the exact test is the sign test of them).

    Parameters
    ----------
    fixed : int
        Images that fail before and not after.
    regressed : int
        Images that fail after and not before.
    images : int
        All images.

    Returns
    -------
    PairedChange

    Raises
    ------
    UsageError
        If a count is negative, or more images changed than there are.
    """
    if min(fixed, regressed) < 0 or fixed + regressed > images:
        raise UsageError(
            f"{fixed} fixed and {regressed} regressed of {images} images cannot be; give counts of 0 or more that "
            "together are at most the images."
        )
    changed = fixed + regressed
    tail = float(special.bdtr(min(fixed, regressed), changed, 0.5)) if changed else 1.0
    p_value = min(1.0, 2 * tail)
    return PairedChange(fixed, regressed, images, p_value)


def paired_change(before: np.ndarray, after: np.ndarray) -> PairedChange:
    """Test a change of a DNN by which images it classifies correctly before and after, (N,) bool each."""
    before, after = np.asarray(before, bool), np.asarray(after, bool)
    return mcnemar(int((~before & after).sum()), int((before & ~after).sum()), len(before))
