"""A readable rule for each cluster, from a shallow decision tree, told apart from chance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from hudd.errors import UsageError


@dataclass(frozen=True)
class Rule:
    """What sets a cluster's images apart from the others.

    Attributes
    ----------
    cluster : int
        Its label.
    text : str
        E.g. ``width < 33 px and brightness >= 120``; empty where no split helps.
    parameters : tuple of str
        The parameters in it.
    precision, recall, f1 : float
        Share of the images that fit the rule and are members; share of members that fit; harmonic mean.
    informedness : float
        Share of members that fit less share of others that fit: 0 for a coin, 1 for a perfect rule.
    p_value : float
        Share of random clusters of the same size for which an equally simple rule is as informed.
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
    units: Mapping[str, str] | None = None,
    max_depth: int = 2,
    permutations: int = 99,
    seed: int = 0,
) -> list[Rule]:
    """Find the conjunction of at most `max_depth` conditions that best singles out each cluster.

    A decision tree (CART, Gini, classes weighted equally) is grown on members against all other rows; of
    its nodes, inner ones included, the one with the highest informedness (Youden, Cancer 3(1), 1950), which
    does not depend on how rare the members are, gives the rule, the shallower on a tie. The same is done for
    random sets of as many rows, which gives the p-value.

    Parameters
    ----------
    parameters : mapping of str to np.ndarray
        (N,) numeric or text columns. NaN is allowed in numeric ones.
    labels : np.ndarray
        (N,) int clusters from 1. Rows with a label below 1 are background: pass the correctly classified
        images with label 0 to learn what sets a cluster apart from them too.
    units : mapping of str to str, optional
        Units to print behind the numbers.
    max_depth : int
        Conditions in a rule at most.
    permutations : int
        Random sets for the p-value, whose smallest value is 1 / (permutations + 1).
    seed : int
        Seed of the random sets and of ties inside the trees.

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
    table, features = _table(parameters, len(labels), units or {})
    clusters, size = np.unique(labels[labels >= 1], return_counts=True)
    rules = []
    for cluster in clusters[np.argsort(-size, kind="stable")].tolist():
        member = labels == cluster
        if not 1 < member.sum() < len(labels):
            continue
        best, reached, conditions = _best_node(table, member, max_depth, seed)
        rng = np.random.default_rng([seed, cluster])
        chance = [_best_node(table, rng.permutation(member), max_depth, seed)[0] for _ in range(permutations)]
        p_value = (1 + sum(c >= best for c in chance)) / (1 + permutations)
        text, used = _readable(conditions, features)
        precision, recall = (reached & member).sum() / reached.sum(), reached[member].mean()
        f1 = 2 * precision * recall / (precision + recall)
        rules.append(Rule(cluster, text, used, float(precision), float(recall), float(f1), best, p_value))
    return rules


@dataclass(frozen=True)
class _Feature:
    """A column of the table: a number with its unit, or whether a text column has one value."""

    parameter: str
    unit: str = ""
    whole: bool = False
    value: str | None = None


def _table(
    parameters: Mapping[str, np.ndarray], count: int, units: Mapping[str, str]
) -> tuple[np.ndarray, list[_Feature]]:
    """Numeric columns as they are, text columns one-hot: (N, f) float32 and what each column means."""
    columns, features = [], []
    for name, values in parameters.items():
        values = np.asarray(values)
        if values.shape != (count,):
            raise UsageError(f"parameter '{name}' has shape {values.shape} but there are {count} labels.")
        if values.dtype.kind in "biuf":
            known = values[np.isfinite(values)]
            columns.append(values.astype(np.float32))
            features.append(_Feature(name, units.get(name, ""), whole=bool((known == np.round(known)).all())))
        else:
            for value in np.unique(values.astype(str)):
                columns.append((values.astype(str) == value).astype(np.float32))
                features.append(_Feature(name, value=str(value)))
    if not columns:
        raise UsageError("there are no parameters to make rules from; add columns to the manifest.")
    return np.stack(columns, axis=1), features


def _best_node(
    table: np.ndarray, member: np.ndarray, max_depth: int, seed: int
) -> tuple[float, np.ndarray, list[tuple[int, bool, float]]]:
    """Return informedness, rows and conditions (column, is below, threshold) of the best node of a tree."""
    tree = DecisionTreeClassifier(max_depth=max_depth, class_weight="balanced", random_state=seed)
    tree.fit(table, member)
    reached = tree.decision_path(table)
    inside, outside = (np.asarray(reached[rows].mean(axis=0)).ravel() for rows in (member, ~member))
    informed = inside - outside
    nodes = tree.tree_
    parent = {}
    for node in range(nodes.node_count):
        if nodes.children_left[node] >= 0:
            parent[int(nodes.children_left[node])] = (node, True)
            parent[int(nodes.children_right[node])] = (node, False)

    def path(node: int) -> list[tuple[int, bool, float]]:
        steps = []
        while node in parent:
            node, below = parent[node]
            steps.append((int(nodes.feature[node]), below, float(nodes.threshold[node])))
        return steps[::-1]

    best = min(range(nodes.node_count), key=lambda n: (-round(float(informed[n]), 9), len(path(n)), n))
    return float(informed[best]), reached[:, [best]].toarray().ravel() > 0, path(best)


def _readable(
    conditions: list[tuple[int, bool, float]], features: list[_Feature]
) -> tuple[str, tuple[str, ...]]:
    """Write the conditions as text, the tightest bound of each side of a parameter only."""
    bounds: dict[tuple[int, bool], float] = {}
    for column, below, threshold in conditions:
        tighter = min if below else max
        bounds[column, below] = tighter(bounds.get((column, below), threshold), threshold)
    words = []
    for (column, below), threshold in bounds.items():
        feature = features[column]
        if feature.value is not None:
            words.append(f"{feature.parameter} {'is not' if below else 'is'} {feature.value}")
        elif feature.whole:
            bound = f"{'<' if below else '>='} {math.floor(threshold) + 1}"
            words.append(f"{feature.parameter} {bound} {feature.unit}".rstrip())
        else:
            bound = f"{'<=' if below else '>'} {threshold:.4g}"
            words.append(f"{feature.parameter} {bound} {feature.unit}".rstrip())
    used = dict.fromkeys(features[column].parameter for column, _ in bounds)
    return " and ".join(words), tuple(used)
