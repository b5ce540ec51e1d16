"""Root causes in words and figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hudd.evaluation import NATURAL, SIGNIFICANT, FailureRate, Region, failure_rates, is_known, wilson
from hudd.language import marked
from hudd.summary.columns import columns_of
from hudd.summary.findings import Findings
from hudd.summary.severity import severity_of_errors, severity_text
from hudd.summary.titles import title

Interval = tuple[float, float]
COUNTED = {
    "judge": marked("judge images, which chose nothing"),
    "test": marked("test images, each counted by a rule that was found without it"),
}
"""What failure rates are counted on, in words."""


@dataclass(frozen=True)
class CauseFacts:
    """What is known of a cause.

    Attributes
    ----------
    number : int
        Its number, see :class:`hudd.summary.Causes`.
    name : str
        What it is called: by people, its known cause, its rule in words or its confusions.
    rows : ndarray
        (n,) int64 error rows.
    clusters : list of int
        Numbers of its clusters, the largest first.
    share : float
        Of all errors.
    interval : (float, float)
        The 95 % interval of the share.
    rule : str
        The condition that sets it apart; "" where chance finds as good a one.
    recall : float
        Share of its errors that fit the rule.
    rate : FailureRate or None
        Failures where the rule holds, of images that did not choose it; None without a rule, and where other images
        lead to no rule.
    counted_on : str
        What these images are: "judge", the judge set; "test", test images that were each counted by a rule that was
        found without them.
    exposure : dict of str to float
        Split, "test" or "improvement", to the share of its images in which the rule holds, of those of which all is
        known that it asks about.
    tested : bool
        Whether failure rates were counted: an older version did not.
    fixed : float or None
        Share of the errors that are right after retraining, mean over its runs.
    severity : dict of str to int
        Severity level to the number of errors of that level, the gravest first, "" for errors of no level; empty where
        the study has no levels.
    common : bool
        Whether the errors have something in common: a rule, or how they deviate, see :class:`hudd.summary.Causes`.
    p_apart : float
        Of the split that sets it apart; NaN where there is none.
    """

    number: int
    name: str
    rows: np.ndarray
    clusters: list[int]
    share: float
    interval: Interval
    rule: str
    recall: float
    rate: FailureRate | None
    counted_on: str
    exposure: dict[str, float]
    tested: bool
    fixed: float | None
    severity: dict[str, int]
    common: bool
    p_apart: float

    @property
    def unconfirmed(self) -> bool:
        """Whether images that did not choose the rule were asked, and do not fail more often where it holds."""
        return bool(self.rule) and self.tested and not (self.rate and self.rate.confirmed)

    @property
    def severity_text(self) -> str:
        """How many errors are of which severity, in words."""
        return severity_text(self.severity)

    @property
    def counted(self) -> str:
        """The images that the failure rate was counted on, in words."""
        return COUNTED[self.counted_on]


def cause_facts(study: Findings, mode: str = "") -> list[CauseFacts]:
    """Return the causes: those with something in common first, larger ones before others.

    Parameters
    ----------
    study : Findings
        A study with clusters.
    mode : str
        Strategy whose retraining is told of; by default the first by name.
    """
    causes, clusters, count = study.causes, study.clusters, len(study.errors)
    sizes = np.bincount(clusters.label, minlength=len(clusters.medoid) + 1)
    evaluation = study.evaluation if study.has("evaluation") else {}
    rules, rates = evaluation.get("causes", {}), _rates(evaluation.get("rates", {}))
    regions = _regions(rules)
    counted_on = "judge" if regions and study.has("splits/judge") else "test"
    if counted_on == "judge":
        rates = _judged_rates(study, regions)
    exposure = _exposures(study, regions)
    runs, severity = study.retraining, severity_of_errors(study)
    told = mode if mode in runs else next(iter(sorted(runs)), "")
    after = [np.asarray(run["after"], bool)[study.errors] for run in runs.get(told, [])]
    found = []
    for number in causes.numbers:
        rows = causes.members(number)
        own = sorted(causes.clusters(number), key=lambda cluster: (-sizes[cluster], cluster))
        at = _row(rules, number)
        found.append(
            CauseFacts(
                number=number,
                name=_name(study, rows, own, "" if at is None else str(rules["name"][at])),
                rows=rows,
                clusters=own,
                share=len(rows) / count,
                interval=wilson(len(rows), count),
                rule="" if at is None else str(rules["text"][at]),
                recall=np.nan if at is None else float(rules["recall"][at]),
                rate=None if at is None else rates.get(number),
                counted_on=counted_on,
                exposure=exposure.get(number, {}),
                tested=counted_on == "judge" or "rates" in evaluation,
                fixed=float(np.mean([one[rows].mean() for one in after])) if after else None,
                severity=severity.counts(rows) if severity else {},
                common=at is not None or bool(causes.common[number - 1]),
                p_apart=float(causes.p_apart[number - 1]),
            )
        )
    return sorted(found, key=lambda cause: (not cause.common, -len(cause.rows), cause.number))


def fits_of_causes(study: Findings) -> dict[int, np.ndarray]:
    """Return in which test images, (N_test,) bool, the rule of each cause holds that has one."""
    columns, count = columns_of(study, "test"), len(study.split("test").path)
    return {number: region.holds(columns, count) for number, region in cause_regions(study).items()}


def cause_regions(study: Findings) -> dict[int, Region]:
    """Return the region of each cause that has a rule, by its number; none of a study of an older version."""
    return _regions(study.evaluation.get("causes", {}) if study.has("evaluation") else {})


def causes_table(study: Findings) -> pd.DataFrame:
    """One row a cause: name, errors, their share with its interval, rule, failure rate where it holds, clusters.

    The failure rate is that of images that did not choose the rule, see :class:`CauseFacts`; without a rule there is
    none.
    """
    rows = []
    for cause in cause_facts(study):
        rate = cause.rate
        rows.append(
            {
                "cause": cause.number,
                "name": cause.name,
                "size": len(cause.rows),
                "share": cause.share,
                "low": cause.interval[0],
                "high": cause.interval[1],
                "rule": cause.rule,
                "fits": rate.images if rate else pd.NA,
                "failures": rate.failures if rate else pd.NA,
                "rate": rate.rate if rate else np.nan,
                "rate_low": rate.interval[0] if rate else np.nan,
                "rate_high": rate.interval[1] if rate else np.nan,
                "confirmed": not cause.unconfirmed if cause.rule and cause.tested else pd.NA,
                "counted_on": cause.counted_on if rate else "",
                "exposure_test": cause.exposure.get("test", np.nan),
                "exposure_improvement": cause.exposure.get("improvement", np.nan),
                "fixed": np.nan if cause.fixed is None else cause.fixed,
                "severity": cause.severity_text,
                "clusters": ", ".join(map(str, cause.clusters)),
                "common": cause.common,
            }
        )
    return pd.DataFrame(rows).astype({"fits": "Int64", "failures": "Int64", "confirmed": "boolean"})


def _row(rules: Mapping[str, Any], number: int) -> int | None:
    """Row of a cause in the table of rules; None where chance finds as good a rule."""
    rows = np.flatnonzero(rules.get("cause", np.empty(0)) == number)
    if not len(rows) or not rules["text"][rows[0]] or rules["p_value"][rows[0]] > SIGNIFICANT:
        return None
    return int(rows[0])


def _rates(table: Mapping[str, Any]) -> dict[int, FailureRate]:
    """The failure rates that were counted on the test set, by cause."""
    names = ("cause", "images", "failures", "images_outside", "failures_outside", "p_value")
    columns = (np.asarray(table.get(name, ())).tolist() for name in names)
    return {number: FailureRate(number, *figures) for number, *figures in zip(*columns)}


def _regions(rules: Mapping[str, Any]) -> dict[int, Region]:
    """The regions of the causes whose rule is told; none where an older version has kept none."""
    if "region" not in rules:
        return {}
    rows = {number: _row(rules, number) for number in np.asarray(rules["cause"]).tolist()}
    return {number: Region.from_json(rules["region"][at]) for number, at in rows.items() if at is not None}


def _judged_rates(study: Findings, regions: Mapping[int, Region]) -> dict[int, FailureRate]:
    """Failures in the regions, counted on the judge set."""
    judge = study.split("judge")
    known = (judge.label >= 0) & judge.counted
    columns = {name: values[known] for name, values in columns_of(study, "judge").items()}
    return {rate.group: rate for rate in failure_rates(regions, columns, ~judge.correct[known])}


def _exposures(study: Findings, regions: Mapping[int, Region]) -> dict[int, dict[str, float]]:
    """Share of the images of the test and the improvement set in each region, by cause and split."""
    found: dict[int, dict[str, float]] = {number: {} for number in regions}
    for split in ("test", "improvement") if regions else ():
        if study.has(f"splits/{split}"):
            columns, count = columns_of(study, split), len(study.split(split).path)
            for number, region in regions.items():
                known = region.known(columns, count) & study.split(split).counted
                if known.any():
                    found[number][split] = float(region.holds(columns, count)[known].mean())
    return found


def _name(study: Findings, rows: np.ndarray, clusters: list[int], rule: str) -> str:
    test, at = study.split("test"), study.errors[rows]
    named = [one for one in clusters if study.clusters.name_of(one)]
    if not np.isin(study.clusters.label[rows], named).mean() >= 0.5:
        named = []  # the names of a few are not that of all
    given = " / ".join(dict.fromkeys(study.clusters.name_of(one) for one in named))
    pairs = Counter(zip(test.label[at].tolist(), test.prediction[at].tolist()))
    classes = study.class_names

    def called(number: int) -> str:
        return classes[number] if 0 <= number < len(classes) else str(number)

    ordered = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))
    confusions = [(called(truth), called(prediction), count) for (truth, prediction), count in ordered]
    return title(given, _known(test.parameters.get("cause"), at), rule, confusions)


def _known(causes: np.ndarray | None, at: np.ndarray) -> list[str]:
    """The known cause of at least half of the errors, if there is one."""
    if causes is None:
        return []
    values = causes[at][is_known(causes[at])].astype(str)
    names, counts = np.unique(values[values != NATURAL], return_counts=True)
    return [str(names[counts.argmax()])] if len(names) and counts.max() >= len(at) / 2 else []
