"""From a study to what its dossier says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hudd.dossier.changes import Changes, is_mitigated, number_or_none, rate_of
from hudd.dossier.clauses import STANDARDS
from hudd.dossier.content import (
    FORMAT,
    VERSION,
    Change,
    DataSet,
    Dossier,
    Exposure,
    Picture,
    Rate,
    Seen,
    Status,
    System,
    TriggeringCondition,
)
from hudd.dossier.domain import domain_of
from hudd.dossier.method import method_of
from hudd.errors import HuddError
from hudd.evaluation import Region
from hudd.evaluation.ranges import shortest
from hudd.review.decisions import Decision, check_decisions, saved_decisions
from hudd.review.view import View, view
from hudd.summary import cause_facts
from hudd.summary.acceptance import confirming
from hudd.summary.causes import cause_regions
from hudd.summary.columns import columns_of
from hudd.summary.conditions import cause_identifiers, image_digests
from hudd.text import printable

if TYPE_CHECKING:
    from hudd.study import Results
    from hudd.summary import CauseFacts

USES = {
    "test": "its failures are clustered; causes and conditions are found on it",
    "judge": "chose neither causes nor labels; confirms",
    "train": "the DNN was trained on it",
    "improvement": "field images, from which images to label are selected",
}


def gather(study: Results, statement: str = "", decisions: Mapping[str, Decision] | None = None) -> Dossier:
    """Return the dossier of a study.

    Parameters
    ----------
    study : Results
        With clusters, and evaluated.
    statement : str
        The operational design domain in the user's own words.
    decisions : mapping of str to Decision, optional
        What people decided, by the identifiers of conditions; by default what they decided on the served report.

    Raises
    ------
    UsageError
        If a decision is about a condition that the study does not have.
    HuddError
        If the study has not come far enough.
    """
    results = view(study)
    for group, step in (("clusters", "cluster"), ("evaluation", "evaluate")):
        if not results.has(group):
            raise HuddError(
                f"'{results.path}' has no {group} yet, which a dossier needs; 'hudd {step} {results.path}' makes it."
            )
    with study.file.sound():
        return _Gathering(results, decisions).dossier(statement)


class _Gathering:
    """What several parts of the dossier are made of."""

    def __init__(self, results: View, decisions: Mapping[str, Decision] | None) -> None:
        self.results, self.given = results, decisions
        self.decisions = saved_decisions(results.path) if decisions is None else decisions
        self.provenance = results.provenance
        self.splits = [name for name in USES if results.has(f"splits/{name}")]
        self.facts = cause_facts(results)
        self.columns = {name: columns_of(results, name) for name in self.splits}
        self.rules = _rules(results)
        self.regions = cause_regions(results)
        self.changes = Changes(results, self.regions, self.columns)
        self.digests = image_digests(results, "test")

    def dossier(self, statement: str) -> Dossier:
        results, test = self.results, self.results.split("test")
        known = test.label >= 0
        identifiers = cause_identifiers(results)
        names = [identifiers[fact.number] for fact in self.facts]
        if self.given is not None:  # those saved may be of an earlier DNN or test set
            check_decisions(self.given, names)
        used = {bound.parameter for region in self.regions.values() for bound in region.bounds}
        return Dossier(
            format=FORMAT,
            version=VERSION,
            study=printable(results.path.name),
            finished=max(str(step["finished"]) for step in self.provenance["steps"].values()),
            system=System(
                model=printable(self.provenance.get("model", results.settings.model)),
                weights_sha256=str(self.provenance.get("weights_sha256", "")),
                model_sha256=str(self.provenance.get("model_sha256", "")),
                task=printable(results.task_name),
                classes=[printable(name) for name in results.class_names],
            ),
            data=[self._set(name) for name in self.splits],
            domain=domain_of(results, self.columns, used, statement),
            base=rate_of(int((known & ~test.correct).sum()), int(known.sum())),
            uncovered=self._uncovered(),
            conditions=[self._condition(name, fact) for name, fact in zip(names, self.facts)],
            retraining=self.changes.whole(),
            method=method_of(results, self.provenance),
            standards=STANDARDS,
            images={name: self._pictures(fact) for name, fact in zip(names, self.facts)},
        )

    def _uncovered(self) -> Rate:
        """Return failures in no confirmed condition, among all failures of the set that confirms."""
        name = confirming(self.results)
        split = self.results.split(name)
        failed = (split.label >= 0) & ~split.correct & split.counted
        covered = np.zeros(len(failed), bool)
        for fact in self.facts:
            if fact.number in self.regions and fact.rate and fact.rate.confirmed:
                covered |= self.regions[fact.number].holds(self.columns[name], len(failed))
        return rate_of(int((failed & ~covered).sum()), int(failed.sum()))

    def _set(self, name: str) -> DataSet:
        split = self.results.split(name)
        known = split.label >= 0
        return DataSet(
            name=name,
            use=USES[name],
            source=printable(self.results.study.settings.data(name) or ""),
            images=len(split.path),
            labelled=int(known.sum()),
            failures=int((known & ~split.correct).sum()),
            digest=split.fingerprint,
        )

    def _condition(self, name: str, fact: CauseFacts) -> TriggeringCondition:
        region, rate = self.regions.get(fact.number), fact.rate
        rule = self.rules[fact.number] if fact.rule else {}
        residual = self.changes.inside(fact.number)
        return TriggeringCondition(
            identifier=name,
            cause=fact.number,
            name=printable(fact.name),
            condition=printable(fact.rule),
            region=None if region is None else json.loads(region.to_json()),
            seen=[] if region is None else self._seen(region, fact),
            errors=len(fact.rows),
            share=rate_of(len(fact.rows), len(self.results.errors)),
            purity=float(rule["precision"]) if rule else None,
            recall=float(rule["recall"]) if rule else None,
            p_value=float(rule["p_value"]) if rule else None,
            rate=None if rate is None else rate_of(rate.failures, rate.images),
            lift=None if rate is None else number_or_none(rate.lift),
            share_of_failures=None if rate is None else number_or_none(rate.share),
            rate_p_value=None if rate is None else rate.p_value,
            counted_on="judge" if fact.counted_on == "judge" else "test",
            severity={printable(level): count for level, count in fact.severity.items()},
            exposure=[] if region is None else [self._exposure(one, region) for one in self.splits],
            status=status_of(fact, residual, self.decisions.get(name)),
            residual=residual,
            decision=self.decisions.get(name),
        )

    def _seen(self, region: Region, fact: CauseFacts) -> list[Seen]:
        columns, angles, found = self.columns["test"], self.results.settings.angles, []
        inside = region.holds(columns, len(self.results.split("test").path))
        rows = self.results.errors[fact.rows]
        rows = rows[inside[rows]]
        for name in dict.fromkeys(bound.parameter for bound in region.bounds if bound.value is None):
            if len(rows):
                numbers = np.asarray(columns[name], float)[rows]
                found.append(Seen(name, *shortest(numbers, 0.95, angles.get(name))))
        return found

    def _exposure(self, split: str, region: Region) -> Exposure:
        columns, counted = self.columns[split], self.results.split(split).counted
        count = len(counted)
        known = region.known(columns, count) & counted
        return Exposure(split, int((region.holds(columns, count) & known).sum()), int(known.sum()))

    def _pictures(self, fact: CauseFacts) -> list[Picture]:
        test, names = self.results.split("test"), self.results.class_names

        def called(number: int) -> str:
            return printable(names[number]) if 0 <= number < len(names) else str(number)

        return [
            Picture(
                path=printable(test.path[row]),
                digest=self.digests[row] if self.digests else None,
                label=called(int(test.label[row])),
                prediction=called(int(test.prediction[row])),
            )
            for row in self.results.errors[fact.rows].tolist()
        ]


def _rules(results: View) -> dict[int, dict[str, Any]]:
    """Return the rows of the table of causes' rules, by cause."""
    table = {name: np.asarray(column) for name, column in results.evaluation.get("causes", {}).items()}
    return {
        int(number): {name: column[row] for name, column in table.items()}
        for row, number in enumerate(table.get("cause", ()))
    }


def status_of(fact: CauseFacts, residual: Change | None, decision: Decision | None) -> Status:
    """Return how far a cause has been dealt with."""
    if decision is not None and decision.decision == "accepted":
        return "accepted"
    if fact.rate is None or not fact.rate.confirmed or not fact.rule:
        return "open"
    return "mitigated" if residual is not None and is_mitigated(residual) else "confirmed"
