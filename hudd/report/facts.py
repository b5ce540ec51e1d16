"""What the report says, in numbers and words, before any of it is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from hudd.errors import HuddError
from hudd.plot.pictures import distances_to
from hudd.report.review import Notes
from hudd.report.text import number, shown

if TYPE_CHECKING:
    from hudd.selection import UnsafeSet
    from hudd.study import Split, Study

T = TypeVar("T")

CAUSE = "cause"
"""The parameter that says what is wrong with an image, where that is known."""

NO_CAUSE = "none"
"""Its value where nothing was done to the image."""


@dataclass(frozen=True)
class Composition:
    """How often a value occurs in a cluster, beside all errors."""

    value: str
    count: int
    share: float
    share_of_all: float


@dataclass(frozen=True)
class Parameter:
    """A number known about every image: its spread in a cluster against its spread over all errors.

    ``ratio`` is the cluster's variance over that of all errors; below one half the cluster is said to be
    about this parameter (RQ1 of Fahmy et al. 2021).
    """

    name: str
    mean: float
    low: float
    high: float
    mean_of_all: float
    ratio: float


@dataclass(frozen=True)
class Rule:
    """The condition that best singles a cluster out, see :func:`hudd.evaluation.cluster_rules`."""

    text: str
    precision: float
    recall: float
    p_value: float


@dataclass(frozen=True)
class Retrained:
    """What the runs of one retraining mode did to the test set; means over the runs."""

    mode: str
    runs: int
    accuracies: list[float]
    improved: float
    worsened: float
    recovered: np.ndarray  # (N_errors,) share of the runs in which the error is right now

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
    mended: float | None
    confusions: list[tuple[str, str, int]]
    causes: list[Composition]
    parameters: list[Parameter]
    rule: Rule | None
    unsafe: np.ndarray  # positions in the unsafe set
    name: str  # given by a person, like the note
    note: str

    @property
    def size(self) -> int:
        """Number of errors."""
        return len(self.rows)

    @property
    def headline(self) -> str:
        """The name that a person gave it; else its known cause and confusion, those of most members."""
        if self.name:
            return self.name
        known = [part.value for part in self.causes if part.share >= 0.5 and part.value != NO_CAUSE]
        cause = known[:1]
        truth, prediction = (_majority(self.confusions, side) for side in (0, 1))
        if truth or prediction:
            cause.append(f"{truth or 'any'} → {prediction or 'any'}")
        return " · ".join(cause) or "mixed"


def _majority(confusions: list[tuple[str, str, int]], side: int) -> str | None:
    """Return the class on one side of at least 60 % of the confusions."""
    counts = Counter[str]()
    for truth, prediction, count in confusions:
        counts[(truth, prediction)[side]] += count
    name, most = counts.most_common(1)[0]
    return name if most >= 0.6 * counts.total() else None


@dataclass(frozen=True)
class Facts:
    """All that the report says."""

    classes: list[str]
    test: Split
    errors: np.ndarray
    layer: str
    clusters: list[Cluster]
    unsafe: UnsafeSet | None
    retrained: list[Retrained]
    evaluation: dict[str, Any]

    @property
    def accuracy(self) -> float:
        """Test accuracy of the DNN as it was given."""
        return float(self.test.correct.mean())

    def class_name(self, number: int) -> str:
        """Name of a class; of an unknown label, an en dash."""
        if number < 0:
            return "–"
        return shown(self.classes[number]) if number < len(self.classes) else str(number)


def if_there(read: Callable[[], T]) -> T | None:
    """Return what `read` returns, or None where the study has not come so far."""
    try:
        return read()
    except HuddError:
        return None


def gather(study: Study) -> Facts:
    """Read a study that is clustered, and as much more as there is.

    Raises
    ------
    HuddError
        If the study has no clusters yet.
    """
    found, errors, test = study.clusters, study.errors, study.split("test")
    classes = [shown(name) for name in study.class_names]
    distances, count = study.distances_of(found.layer), len(errors)
    unsafe = if_there(lambda: study.selection)
    retrained = _retrained(study.retraining, errors)
    evaluation = if_there(lambda: study.evaluation) or {}
    values = {name: column[errors] for name, column in test.parameters.items()}

    clusters, notes = [], Notes(study)
    for label in np.unique(found.label).tolist():
        members = np.flatnonzero(found.label == label)
        distance = distances_to(distances, count, members, int(found.medoid[label - 1]))
        order = np.argsort(distance, kind="stable")
        rows = members[order]
        share, severity = len(rows) / count, float(test.score[errors[rows]].mean())
        clusters.append(
            Cluster(
                label=label,
                rank=0,
                rows=rows,
                distance=np.maximum(distance[order], 0),
                share=share,
                severity=severity,
                risk=share * severity,
                mended=float(retrained[0].recovered[rows].mean()) if retrained else None,
                confusions=_confusions(test, errors[rows], classes),
                causes=_composition(values.get(CAUSE), rows),
                parameters=_parameters(evaluation, values, rows, label),
                rule=_rule(evaluation, label),
                unsafe=np.flatnonzero(unsafe.cluster == label)
                if unsafe is not None
                else np.empty(0, np.int64),
                name=shown(notes.of(label)["name"].strip()),
                note=notes.of(label)["note"],
            )
        )
    clusters.sort(key=lambda cluster: (-cluster.risk, cluster.label))
    ranked = [Cluster(**{**vars(cluster), "rank": rank}) for rank, cluster in enumerate(clusters, start=1)]
    return Facts(classes, test, errors, found.layer, ranked, unsafe, retrained, evaluation)


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
        Composition(shown(value), count, count / len(rows), everywhere[value] / len(values))
        for value, count in sorted(here.items(), key=lambda item: (-item[1], item[0]))
    ]


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else number(float(value))


def _parameters(
    evaluation: Mapping[str, Any], values: Mapping[str, np.ndarray], rows: np.ndarray, label: int
) -> list[Parameter]:
    """Return the numeric parameters, those first that vary least in the cluster."""
    table = evaluation.get("variance")
    if table is None or label not in table["cluster"]:
        return []
    found = []
    reductions = table["reduction"][np.flatnonzero(table["cluster"] == label)[0]]
    for name, reduction in zip(table["parameter"], reductions):
        everywhere = values[name][np.isfinite(values[name])]
        here = values[name][rows][np.isfinite(values[name][rows])]
        if len(here) and np.isfinite(reduction):
            low, high = np.percentile(here, (5, 95))
            ratio = 1 - float(reduction)
            found.append(
                Parameter(name, float(here.mean()), float(low), float(high), float(everywhere.mean()), ratio)
            )
    return sorted(found, key=lambda parameter: (parameter.ratio, parameter.name))


def _rule(evaluation: Mapping[str, Any], label: int) -> Rule | None:
    table = evaluation.get("rules")
    if table is None or label not in table["cluster"]:
        return None
    at = int(np.flatnonzero(table["cluster"] == label)[0])
    text = shown(table["text"][at])
    numbers = (float(table[name][at]) for name in ("precision", "recall", "p_value"))
    return Rule(text, *numbers) if text else None


def _retrained(modes: Mapping[str, list[dict[str, Any]]], errors: np.ndarray) -> list[Retrained]:
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
                )
            )
    return sorted(result, key=lambda retrained: (retrained.mode != "hudd", retrained.mode))
