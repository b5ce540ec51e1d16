"""What became of a cause, and of images, from one study to another one of the same test set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hudd.evaluation import SIGNIFICANT, PairedChange, holm, match_groups, wilson
from hudd.evaluation.paired import paired_change
from hudd.evaluation.rates import excess
from hudd.language import marked
from hudd.summary import CauseFacts
from hudd.text import p_value

STATUSES = {
    marked("new"): marked(
        "most of its errors were none before, and the DNN did not fail more often than elsewhere where its rule holds"
    ),
    marked("worse"): marked("the DNN fails more often there than before"),
    marked("gone"): marked(
        "most of its errors are fixed, and the DNN does not fail more often than elsewhere where its rule holds"
    ),
    marked("better"): marked("the DNN fails less often there than before"),
    marked("kept"): marked("no difference beyond chance"),
}
"""What may become of a cause, in the order in which causes are listed."""


@dataclass(frozen=True)
class Outcome:
    """What two DNNs make of the same images.

    Attributes
    ----------
    change : PairedChange
        Images, fixed and regressed ones, and the test of them.
    both : int
        Images that fail both times.
    """

    change: PairedChange
    both: int

    @classmethod
    def of(cls, before: np.ndarray, after: np.ndarray) -> Outcome:
        """Count the failures, (N,) bool each, of N images."""
        return cls(paired_change(~before, ~after), int((before & after).sum()))

    @property
    def before(self) -> int:
        """Failures before."""
        return self.both + self.change.fixed

    @property
    def after(self) -> int:
        """Failures after."""
        return self.both + self.change.regressed

    @property
    def share_before(self) -> float:
        """Share of the images that fail before; NaN without any."""
        return self.before / self.change.images if self.change.images else float("nan")

    @property
    def share_after(self) -> float:
        """Share of the images that fail after; NaN without any."""
        return self.after / self.change.images if self.change.images else float("nan")

    @property
    def interval_before(self) -> tuple[float, float]:
        """The 95 % interval of the failure rate before."""
        return wilson(self.before, self.change.images)

    @property
    def interval_after(self) -> tuple[float, float]:
        """The 95 % interval of the failure rate after."""
        return wilson(self.after, self.change.images)

    def told(self) -> str:
        """Say how many images fail before and after, of how many, in few characters."""
        return f"{self.before}→{self.after}/{self.change.images}"

    def to_dict(self) -> dict[str, Any]:
        """Return all counts and intervals as JSON has them."""
        change = self.change
        return {
            "images": change.images,
            "failures_before": self.before,
            "failures_after": self.after,
            "rate_before": self.share_before if change.images else None,
            "interval_before": list(self.interval_before),
            "rate_after": self.share_after if change.images else None,
            "interval_after": list(self.interval_after),
            "fixed": change.fixed,
            "regressed": change.regressed,
            "wrong_both_times": self.both,
            "difference": change.difference if change.images else None,
            "difference_interval": list(change.interval),
            "p_value": change.p_value,
        }


@dataclass(frozen=True)
class CauseChange:
    """What became of a cause.

    Attributes
    ----------
    status : str
        One of :data:`STATUSES`.
    before, after : CauseFacts or None
        The cause in either study; None where none of its causes has the errors.
    errors_before, errors_after : int
        Its errors among the shared images; in a study that has no such cause, those that are errors there too.
    common : int
        Those that both numbers count.
    lasting : bool
        Of a cause that one study does not have: its DNN gets at least half of the errors wrong, too, or fails more
        often than elsewhere where the rule holds.
    members : numpy.ndarray
        (m,) int64 rows of its errors of either study among the shared images.
    region_before, region_after : Outcome or None
        Failures of both DNNs where the rule of the cause, as either study finds it, holds: each image is counted by a
        rule that was found without it. None without a rule.
    on : str
        What the test counts: "before" or "after", the images in that region; "errors", those of the cause in either
        study; "" where nothing is tested.
    change : PairedChange or None
        What is tested: images, fixed and regressed ones.
    p_value : float
        McNemar's exact test, adjusted over the causes by the method of Holm; NaN where nothing is tested.
    """

    status: str
    before: CauseFacts | None
    after: CauseFacts | None
    errors_before: int
    errors_after: int
    common: int
    lasting: bool
    members: np.ndarray
    region_before: Outcome | None
    region_after: Outcome | None
    on: str
    change: PairedChange | None
    p_value: float

    @property
    def confirmed(self) -> bool:
        """Whether the change is beyond chance; of a cause that is kept, that there is none."""
        return self.status == "kept" or self.p_value <= SIGNIFICANT

    @property
    def told(self) -> str:
        """What became of it, in a word or two; a question mark where chance may have done it."""
        return self.status if self.confirmed else f"{self.status}?"

    @property
    def told_p(self) -> str:
        """The p-value, for a column; "" where nothing is tested."""
        return p_value(self.p_value).replace("= ", "").replace(" ", "") if self.on else ""

    @property
    def name(self) -> str:
        """What it is called: before, or where it is new, after."""
        told = self.before or self.after
        assert told is not None  # it is of one of the studies
        return told.name

    @property
    def counted(self) -> Outcome | None:
        """Failures in the region that is shown: that of the study in which the cause was found first."""
        return self.region_before or self.region_after

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        regions = {"region_before": self.region_before, "region_after": self.region_after}
        return {
            "status": self.status,
            "confirmed": self.confirmed,
            "name": self.name,
            **{
                key: None
                if cause is None
                else {"cause": cause.number, "name": cause.name, "rule": cause.rule}
                for key, cause in (("before", self.before), ("after", self.after))
            },
            "errors_before": self.errors_before,
            "errors_after": self.errors_after,
            "errors_common": self.common,
            **{key: None if region is None else region.to_dict() for key, region in regions.items()},
            "tested_on": self.on or None,
            "p_value": self.p_value if self.on else None,
        }


def told_change(change: PairedChange) -> str:
    """Say by how much the failure rate differs, with the interval and the p-value."""
    if not change.images:
        return "no image"
    low, high = change.interval
    points = f"{100 * change.difference:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})"
    return f"{points}, p {p_value(change.p_value)}"


@dataclass(frozen=True)
class Side:
    """Causes of one study on the n images that two studies share.

    Attributes
    ----------
    causes : mapping of int to CauseFacts
        By number.
    of_image : numpy.ndarray
        (n,) int64 cause of each image, 0 for none.
    regions : mapping of int to numpy.ndarray
        (n,) int8 of the causes that have a rule: where it holds, see :func:`hudd.evaluation.cross_fitted_regions`.
    """

    causes: Mapping[int, CauseFacts]
    of_image: np.ndarray
    regions: Mapping[int, np.ndarray]

    def region(self, number: int | None, failed: tuple[np.ndarray, np.ndarray]) -> Outcome | None:
        """Failures of both DNNs in the region of a cause; None where it has no image."""
        inside = None if number is None else self.regions.get(number)
        if inside is None or not (inside == 1).any():
            return None
        return Outcome.of(*(one[inside == 1] for one in failed))


def cause_changes(before: Side, after: Side, failed: tuple[np.ndarray, np.ndarray]) -> list[CauseChange]:
    """Say what became of the causes of two studies.

    Parameters
    ----------
    before, after : Side
        The causes of either study.
    failed : (numpy.ndarray, numpy.ndarray)
        (n,) bool each, which of the shared images either DNN gets wrong.

    Returns
    -------
    list of CauseChange
        In the order of :data:`STATUSES`, those with more errors first.
    """
    pairs: list[tuple[int | None, int | None]] = [*match_groups(before.of_image, after.of_image)]
    paired = [{pair[side] for pair in pairs} for side in (0, 1)]
    pairs += [(number, None) for number in _present(before) if number not in paired[0]]
    pairs += [(None, number) for number in _present(after) if number not in paired[1]]
    found = [_counted(before, after, pair, failed) for pair in pairs]
    tested = [at for at, one in enumerate(found) if one.on]
    adjusted = dict(zip(tested, holm([found[at].p_value for at in tested])))
    changes = [_judged(one, adjusted.get(at, float("nan"))) for at, one in enumerate(found)]
    order = list(STATUSES)
    return sorted(
        changes,
        key=lambda one: (order.index(one.status), not one.confirmed, -one.errors_before - one.errors_after),
    )


def _counted(
    before: Side, after: Side, pair: tuple[int | None, int | None], failed: tuple[np.ndarray, np.ndarray]
) -> CauseChange:
    """What is counted of a pair of causes, one of which may be missing; not judged yet, its p by itself."""
    one, other = pair
    own, others = (side.of_image == (number or -1) for side, number in zip((before, after), pair))
    common = own & (others if other else failed[1]) if one else others & failed[0]
    regions = before.region(one, failed), after.region(other, failed)
    region, elsewhere = (
        (before.regions.get(one), failed[1]) if one else (after.regions.get(other or 0), failed[0])
    )
    tests = {"before": regions[0], "after": regions[1]}
    if one and other:
        either = own | others
        tests["errors"] = Outcome.of(*(side[either] for side in failed))
    on, tested = next(((name, outcome) for name, outcome in tests.items() if outcome), ("", None))
    return CauseChange(
        status="",
        before=before.causes[one] if one else None,
        after=after.causes[other] if other else None,
        errors_before=int((own if one else common).sum()),
        errors_after=int((others if other else common).sum()),
        common=int(common.sum()),
        lasting=_lasting(common, own | others, region, elsewhere),
        members=np.flatnonzero(own | others),
        region_before=regions[0],
        region_after=regions[1],
        on=on,
        change=tested.change if tested else None,
        p_value=tested.change.p_value if tested else float("nan"),
    )


def _judged(one: CauseChange, p_value: float) -> CauseChange:
    """Say what became of a cause, its p adjusted."""
    clear = p_value <= SIGNIFICANT
    fewer = one.change is not None and one.change.difference < 0
    lost = one.after is None and not one.lasting
    found = one.before is None and not one.lasting
    if clear:
        status = ("gone" if lost else "better") if fewer else ("new" if found else "worse")
    else:
        status = "gone" if lost else "new" if found else "kept"
    return replace(one, status=status, p_value=p_value)


def _lasting(common: np.ndarray, errors: np.ndarray, inside: np.ndarray | None, failed: np.ndarray) -> bool:
    """Whether a DNN, too, fails where the other study found a cause: see :attr:`CauseChange.lasting`."""
    if 2 * common.sum() >= errors.sum():
        return True
    if inside is None or not (inside == 1).any():
        return False
    return excess(inside == 1, inside >= 0, failed) <= SIGNIFICANT


def _present(side: Side) -> list[int]:
    """Causes that have errors among the shared images."""
    return [number for number in side.causes if (side.of_image == number).any()]
