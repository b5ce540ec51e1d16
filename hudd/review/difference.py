"""Two studies of one test set, such as before and after retraining: what the other DNN fixed, and which causes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hudd.data.pairing import Pairing
from hudd.language import gettext as _
from hudd.review.cause_changes import CauseChange, Outcome, Side, cause_changes, told_change
from hudd.review.comparable import check_comparable, shared_images
from hudd.review.view import View, view
from hudd.study.results import Results
from hudd.study.wording import regions_of
from hudd.summary import cause_facts
from hudd.text import percent


@dataclass(frozen=True)
class Difference:
    """What differs between two studies; see :func:`compare_studies`.

    Attributes
    ----------
    before, after : View
        The studies.
    pairing : Pairing
        The test images that they share and that have the same labels.
    relabelled : int
        Shared images that are left out, as their labels differ.
    failed : (numpy.ndarray, numpy.ndarray)
        (n,) bool each, which of these images either DNN gets wrong.
    test, judge : Outcome
        Failures on these images; and on the judge images that both share, or None.
    causes : list of CauseChange
        In the order of :data:`STATUSES`, those with more errors first.
    """

    before: View
    after: View
    pairing: Pairing
    relabelled: int
    failed: tuple[np.ndarray, np.ndarray]
    test: Outcome
    judge: Outcome | None
    causes: list[CauseChange]

    @property
    def fixed(self) -> np.ndarray:
        """(n,) bool, which of the shared images the DNN got wrong before and not after."""
        fixed: np.ndarray = self.failed[0] & ~self.failed[1]
        return fixed

    @property
    def regressed(self) -> np.ndarray:
        """(n,) bool, which of the shared images the DNN gets wrong after and did not before."""
        regressed: np.ndarray = self.failed[1] & ~self.failed[0]
        return regressed

    def paths(self, which: np.ndarray) -> list[str]:
        """Return the identifiers of some of the shared images, (n,) bool."""
        paths = self.before.split("test").path
        return [paths[row] for row in self.pairing.rows[which].tolist()]

    def notes(self) -> list[str]:
        """Say what limits the comparison, a sentence each."""
        sizes = [len(study.split("test").path) for study in (self.before, self.after)]
        shared = len(self.pairing.rows) + self.relabelled
        found = []
        if sizes != [shared, shared]:
            text = _(
                "the test sets differ ({before} and {after} images); all that is told is of the {shared} images that "
                "they share."
            )
            found.append(text.format(before=f"{sizes[0]:,}", after=f"{sizes[1]:,}", shared=f"{shared:,}"))
        if self.relabelled:
            text = _("{images} shared images have other labels now and are left out.")
            found.append(text.format(images=f"{self.relabelled:,}"))
        if not self.pairing.checked:
            found.append(
                _(
                    "images were paired by name alone, since an earlier version of hudd kept no hashes of them; "
                    "'hudd run STUDY --force test' makes them."
                )
            )
        without = [study.path for study in (self.before, self.after) if not study.has("clusters")]
        text = _("'{study}' has no causes yet; 'hudd run {study}' finds them.")
        return found + [text.format(study=path) for path in without]

    def figures(self) -> dict[str, str]:
        """Return what the comparison comes to, a line each."""
        change = self.test.change
        found = {
            "before": f"{self.test.before:,} errors of {change.images:,} images ({percent(self.test.share_before)})",
            "after": f"{self.test.after:,} errors ({percent(self.test.share_after)})",
            "fixed": f"{change.fixed:,}",
            "regressed": f"{change.regressed:,}",
            "wrong both times": f"{self.test.both:,}",
            "difference": told_change(change),
        }
        if self.judge is not None:
            change = self.judge.change
            found["judge set"] = (
                f"{self.judge.before:,} errors, then {self.judge.after:,}, of {change.images:,} images: "
                f"{change.fixed:,} fixed, {change.regressed:,} regressed; {told_change(change)}"
            )
        if self.causes:
            counts = Counter(cause.told for cause in self.causes)
            found["causes"] = ", ".join(f"{count} {status}" for status, count in counts.items())
        return found

    def table(self) -> pd.DataFrame:
        """One row a cause: what became of it, its errors, failures where its rule holds, the p-value."""
        rows = [
            {
                "status": cause.told,
                "cause": cause.name,
                "errors": f"{cause.errors_before}→{cause.errors_after}",
                "by rule": "" if cause.counted is None else cause.counted.told(),
                "p": cause.told_p,
            }
            for cause in self.causes
        ]
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        return {
            "before": _about(self.before),
            "after": _about(self.after),
            "shared_images": len(self.pairing.rows),
            "of_the_same_name": self.pairing.by_name,
            "pixels_compared": self.pairing.checked,
            "relabelled": self.relabelled,
            "notes": self.notes(),
            "test": self.test.to_dict(),
            "judge": None if self.judge is None else self.judge.to_dict(),
            "correction": "Holm, over the causes",
            "causes": [cause.to_dict() for cause in self.causes],
            "fixed": self.paths(self.fixed),
            "regressed": self.paths(self.regressed),
        }


def compare_studies(before: Results, after: Results) -> Difference:
    """Hold two studies of one test set against each other.

    An image fails or not, whatever the task; so outcomes are compared image by image. Causes are paired by the errors
    that they have in common (:func:`hudd.evaluation.match_groups`). How often either DNN fails where the rule of a
    cause holds is counted on the same images, each by a rule that was found without it, so that neither study has an
    advantage from having chosen the rule.

    Parameters
    ----------
    before, after : Results
        Two studies whose DNNs were tested on the same images, in whole or in part.

    Returns
    -------
    Difference

    Raises
    ------
    UsageError
        If they are one study, or of other tasks, classes, thresholds or images.
    HuddError
        If one has not been tested yet.
    """
    one, other = view(before), view(after)
    check_comparable(one, other)
    pairing, relabelled = shared_images(one, other, "test")
    failed = (_failed(one)[pairing.rows], _failed(other)[pairing.other_rows])
    judge = None
    if one.has("splits/judge") and other.has("splits/judge"):
        judged = shared_images(one, other, "judge")[0]
        if len(judged.rows):
            right = one.split("judge").correct[judged.rows], other.split("judge").correct[judged.other_rows]
            judge = Outcome.of(~right[0], ~right[1])
    causes = _side(one, pairing.rows), _side(other, pairing.other_rows)
    return Difference(
        one, other, pairing, relabelled, failed, Outcome.of(*failed), judge, cause_changes(*causes, failed)
    )


def _side(study: View, rows: np.ndarray) -> Side:
    """Causes of a study on some of its test images."""
    if not study.has("clusters"):
        return Side({}, np.zeros(len(rows), np.int64), {})
    causes = {cause.number: cause for cause in cause_facts(study) if cause.common}
    of_image = np.zeros(len(study.split("test").path), np.int64)
    of_image[study.errors] = np.where(np.isin(study.causes.of_error, list(causes)), study.causes.of_error, 0)
    regions = regions_of(study.study, study.causes.of_error)  # as the rates of the report are counted
    return Side(causes, of_image[rows], {n: inside[rows] for n, inside in regions.items() if n in causes})


def _failed(study: View) -> np.ndarray:
    """Which test images the DNN gets wrong, (N,) bool."""
    failed = np.zeros(len(study.split("test").path), bool)
    failed[study.errors] = True
    return failed


def _about(study: View) -> dict[str, Any]:
    with study.file.reading() as h5:
        digests = {name: str(h5.attrs.get(name, "")) for name in ("weights_sha256", "model_sha256")}
    split = study.split("test")
    return {
        "study": str(study.path),
        "model": study.settings.model,
        **digests,
        "test_images": len(split.path),
        "errors": len(study.errors),
    }
