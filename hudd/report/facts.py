"""What the report says, in numbers and words, before any of it is drawn."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from hudd.clustering import Stability
from hudd.errors import HuddError
from hudd.evaluation import NATURAL, SIGNIFICANT, most_telling, wilson
from hudd.features import feature_kind
from hudd.language import gettext as _
from hudd.plot.pictures import distances_to_medoids
from hudd.report.trust import Trust, verdict
from hudd.review.view import View, view
from hudd.study.linking import pairs_of
from hudd.study.wording import CAUSE
from hudd.summary.titles import title
from hudd.text import number, printable

if TYPE_CHECKING:
    from hudd.selection import UnsafeSet
    from hudd.study import Study
    from hudd.study.settings import Settings
    from hudd.summary import Split

T = TypeVar("T")
UNKNOWN = "–"


@dataclass(frozen=True)
class Composition:
    """How often a value occurs in a cluster and among all errors."""

    value: str
    count: int
    share: float
    share_of_all: float


@dataclass(frozen=True)
class Parameter:
    """A number known about every image: its spread in a cluster against its spread over all errors.

    Of an angle `low` exceeds `high` where the range runs through the end of the period.
    ``ratio`` is the cluster's variance over that of all errors. Below one half the cluster is said to be
    about this parameter (RQ1 of Fahmy et al. 2021), ``told``, where chance does not do as well.
    """

    name: str
    mean: float
    low: float
    high: float
    ratio: float
    told: bool
    unit: str = ""

    @property
    def title(self) -> str:
        """Its name with the unit, safe to read."""
        return printable(f"{self.name} [{self.unit}]" if self.unit else self.name)

    @property
    def step(self) -> float | None:
        """A difference that is to be seen in it; None where it is a constant."""
        return abs(self.high - self.low) / 10 or None


@dataclass(frozen=True)
class Rule:
    """The condition that best singles a cluster out, see :func:`hudd.evaluation.cluster_rules`."""

    text: str
    precision: float
    recall: float
    p_value: float
    parameters: list[str]
    name: str  # what images that fit are called, and the condition


@dataclass(frozen=True)
class Retrained:
    """What the runs of one retraining mode did to the test set; means over the runs."""

    mode: str
    runs: int
    accuracies: list[float]
    improved: float
    worsened: float
    recovered: np.ndarray  # (N_errors,) share of the runs in which the error is right now
    regressed: np.ndarray  # (N_test,) share of the runs in which a right answer has become wrong

    @property
    def accuracy(self) -> float:
        """Mean test accuracy over the runs."""
        return float(np.mean(self.accuracies))


@dataclass(frozen=True)
class Cluster:
    """One root-cause cluster.

    ``rows`` are its error rows, the medoid first and the others by ``distance`` to it. ``severity`` is the
    mean probability that the DNN gave its wrong answers, ``risk`` the cluster's share of the errors times that.
    """

    label: int
    rank: int
    rows: np.ndarray
    distance: np.ndarray
    share: float
    severity: float
    risk: float
    fixed: list[float]  # share of the errors that are right now, one per retraining mode
    stability: float | None
    origin: str  # what people did to it
    confusions: list[tuple[str, str, int]]
    causes: list[Composition]
    kinds: list[tuple[str, list[Composition]]]  # other parameters that are words
    parameters: list[Parameter]
    p_value: float  # share of random clusters with a parameter that varies as little
    rule: Rule | None  # none where chance finds as good a one
    unsafe: np.ndarray  # positions in the unsafe set
    name: str  # given by a person, like the note
    note: str

    @property
    def size(self) -> int:
        """Number of errors."""
        return len(self.rows)

    @property
    def fixed_interval(self) -> tuple[float, float]:
        """The 95 % interval (Wilson) of the share of its errors that the one run of the first mode has fixed."""
        return wilson(round(self.fixed[0] * self.size), self.size)

    @property
    def by_chance(self) -> bool:
        """Whether random clusters are as narrow in some parameter."""
        return not self.p_value <= SIGNIFICANT

    @property
    def verdict(self) -> str:
        """How well it was found again, in a word; empty where that was not measured."""
        return "" if self.stability is None else verdict(self.stability)

    @property
    def headline(self) -> str:
        """The name that a person gave it; else its known cause, rule in words or confusion, see :func:`title`."""
        known = [
            part.value for part in self.causes if part.share >= 0.5 and part.value not in (NATURAL, UNKNOWN)
        ]
        return title(self.name, known, self.rule.name if self.rule else "", self.confusions)


@dataclass(frozen=True)
class Facts:
    """All that the report says."""

    classes: list[str]
    test: Split
    errors: np.ndarray
    layer: str
    alike: str
    clusters: list[Cluster]
    unsafe: UnsafeSet | None
    strategy: str  # that chose the unsafe set
    retrained: list[Retrained]  # first what was retrained on the unsafe set, where it was
    evaluation: dict[str, Any]
    edits: int
    stale: int

    @property
    def accuracy(self) -> float:
        """Test accuracy of the DNN as it was given."""
        return float(self.test.correct.mean())

    @property
    def by(self) -> str:
        """The strategy of the first retraining; "" where it is the unsafe set's own."""
        mode = self.retrained[0].mode if self.retrained else self.strategy
        return "" if mode == self.strategy else printable(mode)

    def class_name(self, number: int) -> str:
        """Name of a class; of an unknown label, an en dash."""
        if number < 0:
            return "–"
        return printable(self.classes[number]) if number < len(self.classes) else str(number)


def if_there(read: Callable[[], T]) -> T | None:
    """Return what `read` returns, or None where the study has not come so far."""
    try:
        return read()
    except HuddError:
        return None


def gather(study: Study | View, trust: Trust | None = None) -> Facts:
    """Read a study that is clustered, as people have left it, and as much more as there is.

    Parameters
    ----------
    study : Study or View
        The study.
    trust : Trust, optional
        What was measured of it already.

    Raises
    ------
    HuddError
        If the study has no clusters yet.
    """
    study = view(study)
    trust = trust or Trust(study.study)
    found, errors, test = study.clusters, study.errors, study.split("test")
    classes = [printable(name) for name in study.class_names]
    unsafe = if_there(lambda: study.selection)
    strategy = study.settings.effective_strategy
    retrained = _retrained(study.retraining, errors, strategy)
    evaluation = if_there(lambda: study.evaluation) or {}
    clusters = _clusters(study, classes, trust.stability, unsafe, retrained, evaluation)
    clusters.sort(key=lambda cluster: (-cluster.risk, cluster.label))
    ranked = [replace(cluster, rank=rank) for rank, cluster in enumerate(clusters, start=1)]
    chosen = feature_kind(study.settings.choices.features)
    alike = _(chosen.alike)
    if chosen.layered:
        alike = _("{features} at layer {layer}").format(features=alike, layer=printable(found.layer))
    return Facts(
        classes,
        test,
        errors,
        found.layer,
        alike,
        ranked,
        unsafe,
        strategy,
        retrained,
        evaluation,
        study.edits,
        study.stale,
    )


def _clusters(
    study: View,
    classes: list[str],
    stable: Stability | None,
    unsafe: UnsafeSet | None,
    retrained: list[Retrained],
    evaluation: Mapping[str, Any],
) -> list[Cluster]:
    """The clusters in order of their numbers, not ranked yet."""
    found, errors, test = study.clusters, study.errors, study.split("test")
    to_medoid, count = distances_to_medoids(pairs_of(study, found.layer), found), len(errors)
    to_medoid[found.medoid[found.medoid >= 0]] = -1  # so that they sort first
    values = {name: column[errors] for name, column in test.parameters.items()}
    words = [name for name, column in values.items() if name != CAUSE and column.dtype.kind not in "biuf"]
    clusters = []
    for label in np.unique(found.label).tolist():
        members = np.flatnonzero(found.label == label)
        distance = to_medoid[members]
        order = np.argsort(distance, kind="stable")
        rows = members[order]
        share, severity = len(rows) / count, float(test.score[errors[rows]].mean())
        origin = study.origin(label)
        rule = _rule(evaluation, label)
        parameters, p_value = _parameters(evaluation, values, rows, label, rule, study.settings)
        clusters.append(
            Cluster(
                label=label,
                rank=0,
                rows=rows,
                distance=np.maximum(distance[order], 0),
                share=share,
                severity=severity,
                risk=share * severity,
                fixed=[float(mode.recovered[rows].mean()) for mode in retrained],
                stability=float(stable.clusters[label - 1]) if stable and not origin else None,
                origin=origin,
                confusions=_confusions(test, errors[rows], classes),
                causes=_composition(values.get(CAUSE), rows),
                kinds=[(printable(name), _composition(values[name], rows)) for name in words],
                parameters=parameters,
                p_value=p_value,
                rule=rule,
                unsafe=np.flatnonzero(unsafe.cluster == label)
                if unsafe is not None
                else np.empty(0, np.int64),
                name=found.name_of(label),
                note=study.note(label),
            )
        )
    return clusters


def _confusions(test: Split, rows: np.ndarray, classes: list[str]) -> list[tuple[str, str, int]]:
    pairs = Counter(zip(test.label[rows].tolist(), test.prediction[rows].tolist()))

    def name(c: int) -> str:
        return classes[c] if 0 <= c < len(classes) else str(c)

    ordered = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))
    return [(name(truth), name(prediction), count) for (truth, prediction), count in ordered]


def _composition(values: np.ndarray | None, rows: np.ndarray) -> list[Composition]:
    if values is None:
        return []
    everywhere, here = Counter(map(_as_text, values)), Counter(map(_as_text, values[rows]))
    return [
        Composition(printable(value), count, count / len(rows), everywhere[value] / len(values))
        for value, count in sorted(here.items(), key=lambda item: (-item[1], item[0]))
    ]


def _as_text(value: Any) -> str:
    return (value if isinstance(value, str) else number(float(value))) or UNKNOWN


def _row(table: Mapping[str, Any], label: int) -> int | None:
    """Return the row of a cluster in a table of the evaluation; None where it has none, like a single error."""
    rows = np.flatnonzero(table.get("cluster", np.empty(0)) == label)
    return int(rows[0]) if len(rows) else None


def _parameters(
    evaluation: Mapping[str, Any],
    values: Mapping[str, np.ndarray],
    rows: np.ndarray,
    label: int,
    rule: Rule | None,
    settings: Settings,
) -> tuple[list[Parameter], float]:
    """Return the numeric parameters, the most telling first, and the p-value of the cluster's variances."""
    table = evaluation.get("variance", {})
    at = _row(table, label)
    if at is None:
        return [], np.nan
    reduction, shift = (table[name][[at]] for name in ("reduction", "shift"))
    ruled = np.isin(table["parameter"], rule.parameters if rule else [])
    order, p_value = most_telling(reduction, shift, ruled)[0], float(table["p_value"][at])
    names = table["parameter"][order]
    told = rule.parameters if rule else names[:1] if p_value <= SIGNIFICANT else []
    found = []
    for name, reduced in zip(names, reduction[0, order]):
        here, ratio = values[name][rows][np.isfinite(values[name][rows])], 1 - float(reduced)
        if len(here) and np.isfinite(ratio):
            spread, unit = _spread(here, settings.angles.get(name)), settings.units.get(name, "")
            found.append(Parameter(name, *spread, ratio, told=ratio < 0.5 and name in told, unit=unit))
    return found, p_value


def _spread(values: np.ndarray, period: float | None) -> tuple[float, float, float]:
    """Mean, 5th and 95th percentile; of angles the circular mean, and percentiles of what lies around it."""
    if period is None:
        low, high = np.percentile(values, (5, 95))
        return float(values.mean()), float(low), float(high)
    turn = period / (2 * np.pi)
    mean = np.angle(np.exp(1j * values / turn).mean()) * turn
    low, high = mean + np.percentile((values - mean + period / 2) % period - period / 2, (5, 95))
    return float(mean % period), float(low % period), float(high % period)


def _rule(evaluation: Mapping[str, Any], label: int) -> Rule | None:
    """Return the cluster's rule, if it has one that chance does not find as well."""
    table = evaluation.get("rules", {})
    at = _row(table, label)
    if at is None or not table["text"][at] or table["p_value"][at] > SIGNIFICANT:
        return None
    precision, recall, p_value = (float(table[name][at]) for name in ("precision", "recall", "p_value"))
    text, words = printable(table["text"][at]), printable(table.get("name", table["text"])[at])
    return Rule(text, precision, recall, p_value, json.loads(table["parameters"][at]), words)


def _retrained(
    modes: Mapping[str, list[dict[str, Any]]], errors: np.ndarray, strategy: str
) -> list[Retrained]:
    result = []
    for mode, runs in modes.items():
        answers = [(np.asarray(run["before"], bool), np.asarray(run["after"], bool)) for run in runs]
        if answers:
            result.append(
                Retrained(
                    mode=mode,
                    runs=len(answers),
                    accuracies=[float(after.mean()) for _, after in answers],
                    improved=float(np.mean([(~before & after).sum() for before, after in answers])),
                    worsened=float(np.mean([(before & ~after).sum() for before, after in answers])),
                    recovered=np.mean([after[errors] for _, after in answers], axis=0),
                    regressed=np.mean([before & ~after for before, after in answers], axis=0),
                )
            )
    return sorted(result, key=lambda retrained: (retrained.mode != strategy, retrained.mode))
