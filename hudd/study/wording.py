"""What groups of errors are called: rules over parameters and attributes of the images, in words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hudd.evaluation import (
    SIGNIFICANT,
    FailureRate,
    Rule,
    cluster_rules,
    cross_fitted_rates,
    cross_fitted_regions,
)
from hudd.study.results import Results
from hudd.summary.columns import attributes_known, columns_of

CAUSE = "cause"
"""The parameter that says what is wrong with an image, where that is known."""
_PERMUTATIONS = 999


def rules_of(
    results: Results, labels: np.ndarray, *, known: bool = True, seed: int | None = None
) -> list[Rule]:
    """Find what sets groups of errors apart from the correctly classified test images of the same classes.

    Parameters
    ----------
    results : Results
        With a test set.
    labels : np.ndarray
        (N_errors,) int groups from 1, such as clusters; errors with a label below 1 are in none.
    known : bool
        Use the parameters of the data, before the attributes that were measured. The column "cause" is never used:
        a rule of it would only say the purity again. Neither are attributes of what the DNN answers: those of errors
        are unlike those of correctly classified images anyway.
    seed : int, optional
        Of the random sets that rules are compared with; by default the study's.
    """
    return _rules(results, labels, known, np.ones(len(results.split("test").label), bool), seed=seed)[0]


def rule_of(results: Results, members: np.ndarray) -> Rule | None:
    """Find the rule of one group of errors, (N_errors,) bool, as :func:`rules_of` does, without a p-value."""
    everywhere = np.ones(len(results.split("test").label), bool)
    rules, _ = _rules(results, members.astype(np.int64), True, everywhere, permutations=0)
    return rules[0] if rules else None


def rates_of(results: Results, labels: np.ndarray) -> list[FailureRate]:
    """Tell how often the DNN fails where the rules of groups of errors, (N_errors,) int, hold.

    The test images are divided into parts, and each is counted by rules that are found on the others.
    """
    failed = _failed(results)
    counted, seed = results.split("test").counted, results.settings.seed
    return cross_fitted_rates(_finder(results, labels), failed, counted=counted, seed=seed)


def regions_of(results: Results, labels: np.ndarray) -> dict[int, np.ndarray]:
    """Tell which test images lie where the rules of groups of errors hold, each by rules found without it.

    As :func:`rates_of` counts them; see :func:`hudd.evaluation.cross_fitted_regions` for what is returned.
    """
    failed = _failed(results)
    counted, seed = results.split("test").counted, results.settings.seed
    return cross_fitted_regions(_finder(results, labels), failed, counted=counted, seed=seed)


def _failed(results: Results) -> np.ndarray:
    failed = np.zeros(len(results.split("test").label), bool)
    failed[results.errors] = True
    return failed


def _finder(results: Results, labels: np.ndarray) -> Callable[[np.ndarray], dict[int, np.ndarray]]:
    """What finds the regions of groups among some test images."""

    def find(among: np.ndarray) -> dict[int, np.ndarray]:
        rules, columns = _rules(results, labels, True, among)
        told = [rule for rule in rules if rule.text and rule.p_value <= SIGNIFICANT]
        return {rule.cluster: rule.region.holds(columns, len(among)) for rule in told}

    return find


def _rules(
    results: Results,
    labels: np.ndarray,
    known: bool,
    among: np.ndarray,
    *,
    permutations: int = _PERMUTATIONS,
    seed: int | None = None,
) -> tuple[list[Rule], dict[str, np.ndarray]]:
    """Rules that are found among some of the test images, and the columns, (N_test,) each, that they ask about."""
    test = results.split("test")
    columns = columns_of(results, "test", parameters=known, among=among)
    columns.pop(CAUSE, None)
    if not columns:
        return [], columns
    measured = {
        name: one
        for name, one in attributes_known(results).items()
        if not (known and name in test.parameters)
    }
    everywhere, failed = np.zeros(len(test.label), np.int64), np.zeros(len(test.label), bool)
    everywhere[results.errors], failed[results.errors] = labels, True
    weights = None
    if test.measured is not None:
        among = among & (test.measured > 0)
        # Errors are measured more often than other images: each stands for as many as there are of its kind.
        every, some = (np.bincount(failed[rows], minlength=2) for rows in (np.ones_like(among), among))
        weights = (every / np.maximum(some, 1))[failed[among].astype(int)]
    rules = cluster_rules(
        {name: values[among] for name, values in columns.items()},
        everywhere[among],
        failed=failed[among],
        classes=test.label[among],
        weights=weights,
        units={name: one.unit for name, one in measured.items() if one.unit} | dict(results.settings.units),
        forms={name: one.forms for name, one in measured.items()},
        measured={name: one.general for name, one in measured.items()},
        permutations=permutations,
        seed=results.settings.seed if seed is None else seed,
    )
    return rules, columns


def named(rule: Rule, results: Results) -> str:
    """Return a rule behind what images that fit it are called: "dark images: luminance < 0.21"."""
    attribute = attributes_known(results).get(rule.parameters[0]) if rule.parameters else None
    if attribute is None or rule.parameters[0] in results.split("test").parameters:
        return rule.text
    words = {"below": attribute.low, "above": attribute.high}.get(rule.form, "") or attribute.away
    return f"{words}: {rule.text}" if words else rule.text
