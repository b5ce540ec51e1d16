"""A readable rule for each cluster, told apart from what its classes and chance explain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hudd.errors import UsageError
from hudd.evaluation.chance import as_good
from hudd.evaluation.conditions import Condition, Conditions

_BOUND = 0.03  # informedness that each further bound must add


@dataclass(frozen=True)
class Rule:
    """What sets a cluster's images apart from the others.

    Attributes
    ----------
    cluster : int
        Its label.
    text : str
        E.g. ``width < 33 px and head_yaw outside -5.7..13``; empty where nothing helps.
    parameters : tuple of str
        The parameters in it.
    precision, recall, f1 : float
        Share of the images that fit the rule and are members; share of members that fit; harmonic mean.
    informedness : float
        Share of members that fit less share of others of the same classes that fit: 0 for a coin, 1 for a
        perfect rule.
    p_value : float
        Share of random clusters of the same size and classes for which the best rule is as good.
    """

    cluster: int
    text: str
    parameters: tuple[str, ...]
    precision: float
    recall: float
    f1: float
    informedness: float
    p_value: float

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON-able values."""
        return {**asdict(self), "parameters": list(self.parameters)}


def cluster_rules(
    parameters: Mapping[str, np.ndarray],
    labels: np.ndarray,
    *,
    classes: np.ndarray | None = None,
    units: Mapping[str, str] | None = None,
    max_conditions: int = 2,
    permutations: int = 99,
    seed: int = 0,
) -> list[Rule]:
    """Find the conjunction of at most `max_conditions` conditions that best singles out each cluster.

    A condition says that a parameter lies inside or outside a range, or has or has not a value. The best
    single range is found exactly, as a maximal partial sum over the sorted rows; conjunctions are grown from
    the best conditions (subgroup discovery by beam search, Atzmueller, WIREs Data Mining 5(1), 2015). Judged
    is informedness (Youden, Cancer 3(1), 1950), which does not depend on how rare the members are, less 0.03
    for each bound, so that of like rules the simpler is taken. The same is done for random sets of as many
    rows, which gives the p-value.

    Parameters
    ----------
    parameters : mapping of str to np.ndarray
        (N,) numeric or text columns. Rows whose number is NaN fit no condition on it. Of a text column the 50
        most frequent values that several rows have are looked at: a file's name or a serial number is no cause.
    labels : np.ndarray
        (N,) int clusters from 1. Rows with a label below 1 are background: pass the correctly classified
        images with label 0 to learn what sets a cluster apart from them too.
    classes : np.ndarray, optional
        (N,) class of each row. A cluster is then compared with others of its own classes, in its own shares,
        so that a parameter that only tells the classes apart is not taken for a cause.
    units : mapping of str to str, optional
        Units to print behind the numbers.
    max_conditions : int
        Conditions in a rule at most.
    permutations : int
        Random sets for the p-value, whose smallest value is 1 / (permutations + 1).
    seed : int
        Seed of the random sets.

    Returns
    -------
    list of Rule
        One for each cluster of at least two members that is not everything, largest cluster first.

    Raises
    ------
    UsageError
        If there are no parameters or lengths differ.
    """
    labels = np.asarray(labels)
    strata = np.zeros(len(labels), np.int64) if classes is None else np.asarray(classes)
    if strata.shape != labels.shape:
        raise UsageError(f"there are {len(labels)} labels but {len(strata)} classes; give one each.")
    conditions = Conditions(parameters, len(labels), units or {}, cost=_BOUND)
    clusters, size = np.unique(labels[labels >= 1], return_counts=True)
    rules = []
    for cluster in clusters[np.argsort(-size, kind="stable")].tolist():
        member = labels == cluster
        if not 1 < member.sum() < len(labels):
            continue
        best = _best_rule(conditions, _gain(member, strata), max_conditions)
        rng = np.random.default_rng([seed, cluster])
        chance = [
            _worth(_best_rule(conditions, _gain(_shuffled(member, strata, rng), strata), max_conditions))
            for _ in range(permutations)
        ]
        p_value = (1 + int(as_good(np.array(chance), _worth(best)).sum())) / (1 + permutations)
        rules.append(_rule(cluster, member, strata, best, p_value))
    return rules


def _gain(member: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """(N,) what each row adds to a rule's informedness: members share 1, others of their classes share -1."""
    values, place = np.unique(strata, return_inverse=True)
    members, others = (np.bincount(place, rows, len(values)) for rows in (member, ~member))
    weight = np.divide(members, others, out=np.zeros(len(values)), where=others > 0)
    weight /= max((weight * others).sum(), 1)
    return np.where(member, 1 / member.sum(), -weight[place])


def _shuffled(member: np.ndarray, strata: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As many members in each class, drawn at random."""
    order = np.lexsort((rng.random(len(member)), strata))
    shuffled = np.empty(len(member), bool)
    shuffled[order] = member[np.argsort(strata, kind="stable")]
    return shuffled


def _best_rule(conditions: Conditions, gain: np.ndarray, most: int, beam: int = 4) -> tuple[Condition, ...]:
    """Conjunction of the highest worth, grown from the `beam` best of one condition less."""
    grown: list[tuple[Condition, ...]] = [()]
    best: tuple[Condition, ...] = ()
    for _ in range(most):
        longer = []
        for rule in grown:
            inside = rule[-1].fits if rule else np.ones(len(gain), bool)
            used = {condition.parameter for condition in rule}
            found = conditions.best(np.where(inside, gain, 0), excluded=used)
            longer += [(*rule, condition.within(inside, rule)) for condition in found[:beam]]
        grown = sorted(longer, key=_worth, reverse=True)[:beam]
        if grown and _worth(grown[0]) > _worth(best):
            best = grown[0]
    return best


def _worth(rule: tuple[Condition, ...]) -> float:
    """Informedness less the cost of the bounds."""
    return rule[-1].worth if rule else 0.0


def _rule(
    cluster: int, member: np.ndarray, strata: np.ndarray, found: tuple[Condition, ...], p_value: float
) -> Rule:
    fits = found[-1].fits if found else np.ones(len(member), bool)
    precision, recall = float(fits[member].sum() / fits.sum()), float(fits[member].mean())
    f1 = 2 * precision * recall / (precision + recall)
    informedness = float(_gain(member, strata)[fits].sum()) if found else 0.0
    text = " and ".join(condition.text for condition in found)
    used = tuple(dict.fromkeys(condition.parameter for condition in found))
    return Rule(cluster, text, used, precision, recall, f1, informedness, p_value)
