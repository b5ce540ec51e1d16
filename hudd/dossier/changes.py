"""What retraining did to the failures, as a whole and under each triggering condition."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hudd.dossier.content import Change, Rate
from hudd.evaluation import SIGNIFICANT, Region, holm, wilson
from hudd.evaluation.paired import paired_change
from hudd.evaluation.rates import excess

if TYPE_CHECKING:
    from hudd.review.view import View


def rate_of(failures: int, images: int) -> Rate:
    """Return a rate with its interval."""
    low, high = wilson(failures, images)
    return Rate(images, failures, failures / images if images else None, low, high)


def number_or_none(number: float) -> float | None:
    """Return a number, or None in place of one that is not finite, which JSON cannot hold."""
    return float(number) if math.isfinite(number) else None


def is_reduced(change: Change) -> bool:
    """Say whether a retraining fixed more than it broke, beyond chance."""
    return change.fixed > change.regressed and change.p_value <= SIGNIFICANT


def is_mitigated(change: Change) -> bool:
    """Say whether it did, and the DNN no longer fails more often in the region than outside, beyond chance."""
    return is_reduced(change) and change.excess_p_value is not None and change.excess_p_value > SIGNIFICANT


class Changes:
    """The retraining runs of the strategy that was selected by, on the judge set or else on the test set.

    Parameters
    ----------
    results : View
        The study.
    regions : mapping of int to Region
        The region of each cause that has one.
    columns : mapping of str to dict
        What rules ask about, by split.
    """

    def __init__(
        self,
        results: View,
        regions: Mapping[int, Region],
        columns: Mapping[str, Mapping[str, np.ndarray]],
    ) -> None:
        modes = results.retraining if results.has("retraining") else {}
        strategy = str(results.study.settings.effective_strategy)
        self.strategy = strategy if strategy in modes else next(iter(sorted(modes)), "")
        self._folder = results.path / "models"
        runs = modes.get(self.strategy, [])
        judged = bool(runs) and all("judge" in run for run in runs)
        self.set = "judge" if judged else "test"
        self._runs = [(number, run, run["judge"] if judged else run) for number, run in enumerate(runs)]
        split = results.split(self.set)
        self._known, self._counted = split.label >= 0, split.counted
        inside = {
            number: region.holds(columns[self.set], len(self._known)) for number, region in regions.items()
        }
        self._inside = [self._adjusted(run, inside) for run in self._runs]

    def whole(self) -> list[Change]:
        """Return what each run did to all images."""
        return [self._change(run, np.ones(len(self._known), bool)) for run in self._runs]

    def inside(self, cause: int) -> Change | None:
        """Return what the run that did least did where the condition of a cause holds; None without a region or run."""
        found = [changes[cause] for changes in self._inside if cause in changes]
        return max(
            found,
            key=lambda one: (not is_mitigated(one), not is_reduced(one), one.after.failures, -one.run),
            default=None,
        )

    def _adjusted(self, run: tuple[int, Any, Any], inside: Mapping[int, np.ndarray]) -> dict[int, Change]:
        changes = {number: self._change(run, fits) for number, fits in inside.items()}
        adjusted = holm([change.p_value for change in changes.values()])
        return {
            number: replace(change, p_value=p_value)
            for (number, change), p_value in zip(changes.items(), adjusted)
        }

    def _change(self, run: tuple[int, Any, Any], fits: np.ndarray) -> Change:
        number, made, told = run
        known = self._known if fits.all() else self._known & self._counted
        rows = fits & known
        before, after = (np.asarray(told[when], bool)[rows] for when in ("before", "after"))
        paired = paired_change(before, after)
        weights = str(made.get("weights", ""))
        return Change(
            strategy=self.strategy,
            run=number,
            weights=weights,
            weights_sha256=self._digest(weights),
            set=self.set,
            before=rate_of(int((~before).sum()), len(before)),
            after=rate_of(int((~after).sum()), len(after)),
            fixed=paired.fixed,
            regressed=paired.regressed,
            p_value=paired.p_value,
            excess_p_value=None if fits.all() else excess(fits, known, ~np.asarray(told["after"], bool)),
        )

    def _digest(self, weights: str) -> str | None:
        """Return the SHA-256 of retrained weights; None where they were not kept."""
        file = self._folder / weights
        if not weights or file.parent != self._folder or file.is_symlink() or not file.is_file():
            return None
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
