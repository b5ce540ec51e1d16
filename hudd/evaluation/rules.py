"""A readable rule for each cluster, told apart from what its classes and chance explain."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from hudd.errors import UsageError
from hudd.evaluation.chance import SIGNIFICANT, as_good
from hudd.evaluation.conditions import Condition, Conditions
from hudd.evaluation.draws import random_sets
from hudd.evaluation.regions import Region

_BOUND = 0.03  # informedness that each further bound must add
_SLACK = 0.005  # that a bound may lose to be written with fewer digits
_ALIKE = 0.01  # by which conditions on two parameters count as equally good
_MEASURED_ALIKE = (
    0.02  # the same of parameters that were measured; docs/root-cause-quality.md says how it was chosen
)
_EVEN = 0.01  # standard deviation of a worth, below which columns are compared as if they had it
_DRAWN = 1000  # rows of a random set at most


@dataclass(frozen=True)
class Rule:
    """What sets a cluster's images apart from the others.

    Attributes
    ----------
    cluster : int
        Its label.
    form : str
        What the first condition asks: to be "below", "above", "inside" or "outside" of bounds; "is" or "is not" of a
        text; empty where nothing helps.
    text : str
        E.g. ``width < 33 px and head_yaw outside -5.7..13``; empty where nothing helps.
    parameters : tuple of str
        The parameters in it.
    precision, recall, f1 : float
        Share of the images that fit the rule and are members; share of members that fit; harmonic mean.
    informedness : float
        Share of members that fit less share of those that they are compared with, of the same classes: 0 for a coin, 1
        for a perfect rule.
    p_value : float
        Share of random clusters of the same size and classes for which the best condition is as good, adjusted over the
        clusters.
    images, failures : int
        Rows that fit, and those of them that failed (that are members, where it is not given what failed).
    region : Region
        The rule as data.
    """

    cluster: int
    form: str
    text: str
    parameters: tuple[str, ...]
    precision: float
    recall: float
    f1: float
    informedness: float
    p_value: float
    images: int
    failures: int
    region: Region

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON-able values."""
        region = json.loads(self.region.to_json())
        return {**asdict(self), "parameters": list(self.parameters), "region": region}


def cluster_rules(
    parameters: Mapping[str, np.ndarray],
    labels: np.ndarray,
    *,
    failed: np.ndarray | None = None,
    classes: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    units: Mapping[str, str] | None = None,
    forms: Mapping[str, Set[str]] | None = None,
    measured: Mapping[str, bool] | None = None,
    max_conditions: int = 2,
    permutations: int = 999,
    seed: int = 0,
) -> list[Rule]:
    """Find the conjunction of at most `max_conditions` conditions that best singles out each cluster.

    A condition says that a parameter lies inside or outside a range, or has or has not a value. The best range is found
    exactly, as a maximal partial sum over the sorted rows. Judged is informedness (Youden, Cancer 3(1), 1950), which
    does not depend on how rare the members are, less 0.03 for each bound, so that of like rules the simpler is taken;
    a bound may lose 0.005 to be written with fewer digits, and what is written is what is measured.
    Of conditions on several parameters that are as good within 0.01, that on the first parameter is taken; where all of
    these were measured, of those as good within 0.02 that on the one in which the medians of members and others lie
    farthest apart, as a share of its range, and on a general one only where there is no other.
    A further condition is added where it is worth its bounds, and
    better than chance among the rows that fit those before it.

    The p-value compares the first condition with the best of all parameters on random sets of as many rows, so that
    many parameters do not make for small p-values; of clusters of more than 1,000 on sets of about 1,000, on which
    chance does better, so that their p-values are too large if anything. Two statistics are compared: the worth itself,
    and by how many standard deviations it exceeds that of random sets on the same parameter (P. Westfall, S. Young,
    "Resampling-based multiple testing", 1993), so that a parameter in which all failures differ from correctly
    classified images does not mask the others. The statistic that fewer sets reach is taken, for the random sets too.
    Conditions with p up to 0.05 take precedence; rows that fail no more often than all do make no condition. The
    p-value is adjusted over the clusters by the method of Benjamini and Hochberg (J. R. Stat. Soc. B 57(1), 1995): of
    rules with p up to 0.05, at most one in twenty is expected to be a rule by chance.

    Parameters
    ----------
    parameters : mapping of str to np.ndarray
        (N,) numeric or text columns. Rows whose number is NaN fit no condition on it. Of a text column the 50
        most frequent values that several rows have are looked at: a file's name or a serial number is no cause.
    labels : np.ndarray
        (N,) int clusters from 1. Rows with a label below 1 are in none.
    failed : np.ndarray, optional
        (N,) bool, the images that the DNN gets wrong, every member among them. A rule then sets members apart from
        the correctly classified images, and chance draws among those that failed: what all failures have in common is
        no cluster's rule. By default members are set apart from all other rows, and chance draws among all rows.
    classes : np.ndarray, optional
        (N,) class of each row. A cluster is then compared with others of its own classes, in its own shares,
        so that a parameter that only tells the classes apart is not taken for a cause.
    weights : np.ndarray, optional
        (N,) float, how many images each row stands for in precision and in counts; by default one.
    units : mapping of str to str, optional
        Units to print behind the numbers.
    forms : mapping of str to set of str
        What a rule may ask of some parameters: to be "below", "above", "inside" or "outside" of bounds; of others
        anything.
    measured : mapping of str to bool, optional
        Parameters that were measured of the images, and whether each is a general one, which faults of many kinds
        change. Others, which say how an image came about, are preferred.
    max_conditions : int
        Conditions in a rule at most.
    permutations : int
        Random sets for each p-value, whose smallest value is 1 / (permutations + 1).
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
    from scipy.stats import false_discovery_control  # takes longer to import than results take to show

    labels = np.asarray(labels)
    count = len(labels)
    strata = np.zeros(count, np.int64) if classes is None else np.asarray(classes)
    if strata.shape != labels.shape:
        raise UsageError(f"there are {count} labels but {len(strata)} classes; give one each.")
    pool = np.ones(count, bool) if failed is None else np.asarray(failed, bool)
    if pool.shape != labels.shape or (labels[~pool] >= 1).any():
        raise UsageError(
            f"failed must be one for each of {count} labels, and true wherever a label is above 0."
        )
    compared = np.ones(count, bool) if failed is None or pool.all() else ~pool
    conditions = Conditions(parameters, count, units or {}, cost=_BOUND, slack=_SLACK, forms=forms)
    clusters, size = np.unique(labels[labels >= 1], return_counts=True)
    rules, stands_for = [], np.ones(count) if weights is None else weights
    for cluster in clusters[np.argsort(-size, kind="stable")].tolist():
        member = labels == cluster
        if not 1 < member.sum() < count:
            continue
        rng = np.random.default_rng([seed, cluster])
        search = _Search(
            conditions, measured or {}, member, pool, compared, strata, stands_for, permutations, rng
        )
        rules.append(search.rule(cluster, max_conditions))
    adjusted = false_discovery_control([rule.p_value for rule in rules])
    return [replace(rule, p_value=float(p_value)) for rule, p_value in zip(rules, adjusted)]


@dataclass(frozen=True)
class _Search:
    """The search for one cluster's rule."""

    conditions: Conditions
    measured: Mapping[str, bool]
    member: np.ndarray
    pool: np.ndarray
    compared: np.ndarray
    strata: np.ndarray
    weights: np.ndarray
    permutations: int
    rng: np.random.Generator

    def rule(self, cluster: int, most: int) -> Rule:
        """Add conditions as long as the best one is worth its bounds, and chance does not find as good a one."""
        gain, loss = _gain_and_loss(self.member, self.compared, self.strata)
        net = np.where(self.member, gain, 0) - loss
        fits, found, p_value = np.ones(len(net), bool), list[Condition](), 1.0
        while len(found) < most:
            used = {condition.parameter for condition in found}
            best = self.conditions.best(np.where(fits, net, 0), excluded=used)
            if not best or (found and best[0].worth <= net[fits].sum()):
                break
            p_values = _p_values(best, self._by_chance(gain, loss, fits, used))
            p_values = [p if self._fails(one.fits & fits) else 1.0 for one, p in zip(best, p_values)]
            told = [one for one, p in zip(best, p_values) if p <= SIGNIFICANT]
            if found and self.permutations and not told:
                break
            chosen = self._preferred(told or best, fits)
            p_value = p_value if found else p_values[best.index(chosen)]
            found.append(chosen.within(fits))
            fits = found[-1].fits
        failed = self.member if self.pool.all() else self.pool
        return _rule(cluster, self.member, failed, self.weights, net, found, p_value)

    def _fails(self, fits: np.ndarray) -> bool:
        """Say whether rows that fit fail more often than all do."""
        if self.pool.all():
            return True
        failed = self.weights * self.pool
        return bool(failed[fits].sum() * self.weights.sum() > failed.sum() * self.weights[fits].sum())

    def _by_chance(self, gain: np.ndarray, loss: np.ndarray, fits: np.ndarray, used: set[str]) -> np.ndarray:
        """Worth of the best condition on random sets of the rows that fit so far."""
        inside, pool = self.member & fits, self.pool & fits
        sets = random_sets(inside, pool, self.strata, self.permutations, self.rng, _DRAWN)
        if (
            members := int(inside.sum())
        ) > _DRAWN:  # fewer rows share what all would add; the rest are compared
            share, values = gain - loss, np.unique(self.strata, return_inverse=True)
            drawn = np.isin(np.arange(len(inside)), sets[0])
            groups = (self.compared & ~self.member, self.compared & inside, self.compared & drawn)
            others, own, kept = (np.bincount(values[1], one, len(values[0])) for one in groups)
            ratio = np.divide(others, others + own - kept, out=np.ones(len(others)), where=others > 0)
            loss = loss * ratio[values[1]]
            gain = loss + members / sets.shape[1] * share
        return self.conditions.best_of(sets, gain, np.where(fits, loss, 0), excluded=used)

    def _preferred(self, best: list[Condition], fits: np.ndarray) -> Condition:
        """Return one of the conditions that are as good as the best, which comes first."""
        alike = [one for one in best if one.worth >= best[0].worth - _ALIKE]
        given = [one for one in alike if one.parameter not in self.measured]
        if given:
            order = list(self.conditions.parameters)
            return min(given, key=lambda one: order.index(one.parameter))
        alike = [one for one in best if one.worth >= best[0].worth - _MEASURED_ALIKE]
        alike = [one for one in alike if one.parameter in self.measured]
        special = [one for one in alike if not self.measured[one.parameter]]
        members, others = self.member & fits, self.compared & ~self.member & fits
        return max(special or alike, key=lambda one: self.conditions.apart(one.parameter, members, others))


def _p_values(found: list[Condition], by_chance: np.ndarray) -> list[float]:
    """Return the p-value of each condition, given the best worth on every column for random sets, (P, columns).

    Of two statistics, the worth and its deviation from the mean of the column, the one is taken that fewer sets reach;
    the p-value is how often that is as rare among the sets themselves.
    """
    columns = [one.column for one in found]
    observed = np.zeros(by_chance.shape[1])
    observed[columns] = [one.worth for one in found]
    every = np.vstack((observed, by_chance))
    deviations = (every - every.mean(axis=0)) / np.maximum(every.std(axis=0), _EVEN)
    reached, of_sets = [], []
    for statistics in (every, deviations):
        largest = statistics[1:].max(axis=1)
        reached.append([1 + as_good(largest, value).sum() for value in statistics[0, columns]])
        of_sets.append([1 + as_good(largest, value).sum() for value in largest])
    rarest = np.min(of_sets, axis=0)
    return [(1 + int((rarest <= count).sum())) / (1 + len(rarest)) for count in np.min(reached, axis=0)]


def _gain_and_loss(
    member: np.ndarray, compared: np.ndarray, strata: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) what each row would add to a rule's informedness as a member, and what it takes off in any case.

    Members share 1; rows to compare with share -1, those of each class as much as the members of that class.
    """
    values, place = np.unique(strata, return_inverse=True)
    members, others = (np.bincount(place, rows, len(values)) for rows in (member, compared & ~member))
    weight = np.divide(members, others, out=np.zeros(len(values)), where=others > 0)
    weight /= max((weight * others).sum(), 1)
    loss = np.where(compared, weight[place], 0)
    return 1 / member.sum() + loss, loss


def _rule(
    cluster: int,
    member: np.ndarray,
    failed: np.ndarray,
    weights: np.ndarray,
    net: np.ndarray,
    found: list[Condition],
    p_value: float,
) -> Rule:
    fits = found[-1].fits if found else np.ones(len(member), bool)
    images, failures, members = (weights[fits & rows].sum() for rows in (np.ones_like(fits), failed, member))
    precision, recall = float(members / images), float(fits[member].mean())
    f1 = 2 * precision * recall / (precision + recall)
    informedness = float(net[fits].sum()) if found else 0.0
    text = " and ".join(condition.text for condition in found)
    used = tuple(dict.fromkeys(condition.parameter for condition in found))
    form, counts = found[0].form if found else "", (round(float(images)), round(float(failures)))
    region = Region(tuple(condition.bound for condition in found))
    return Rule(cluster, form, text, used, precision, recall, f1, informedness, p_value, *counts, region)
