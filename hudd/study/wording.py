"""What groups of errors are called: rules over parameters and attributes of the images, in words."""

from __future__ import annotations

import numpy as np

from hudd.attributes import Attribute, named_attributes
from hudd.evaluation import FailureRate, Rule, cluster_rules, cross_fitted_rates, turn
from hudd.study.results import Results

CAUSE = "cause"
"""The parameter that says what is wrong with an image, where that is known."""
TURN = Attribute(
    name="turn",
    description="tilt against that of correctly classified images of the same class",
    unit="deg",
    away="rotated images",
)
_PERMUTATIONS = 999


def rules_of(
    results: Results, labels: np.ndarray, *, known: bool = True, among: np.ndarray | None = None
) -> list[Rule]:
    """Find what sets groups of errors apart from the correctly classified test images of the same classes.

    Parameters
    ----------
    results : Results
        With a test set.
    labels : np.ndarray
        (N_errors,) int groups from 1, such as clusters; errors with a label below 1 are in none.
    known : bool
        Use the parameters of the data, before the attributes that were measured.
    among : np.ndarray, optional
        (N_test,) bool, the test images to look at; all by default.
    """
    test, columns = results.split("test"), columns_of(results, known=known)
    if not columns:
        return []
    everywhere, failed = np.zeros(len(test.label), np.int64), np.zeros(len(test.label), bool)
    everywhere[results.errors], failed[results.errors] = labels, True
    rows = np.flatnonzero(np.ones(len(failed), bool) if among is None else among)
    told = test.parameters if known else {}
    measured = {name: one for name, one in _attributes(results).items() if name not in told}
    return cluster_rules(
        {name: values[rows] for name, values in columns.items()},
        everywhere[rows],
        failed=failed[rows],
        classes=test.label[rows],
        units={name: one.unit for name, one in measured.items() if one.unit} | dict(results.settings.units),
        forms={name: one.forms for name, one in measured.items()},
        permutations=_PERMUTATIONS,
        seed=results.settings.seed,
    )


def columns_of(results: Results, *, known: bool = True) -> dict[str, np.ndarray]:
    """Return what rules may ask of the test images, (N_test,) each: parameters of the data, then attributes.

    The column "cause" is never used: a rule of it would only say the purity again. Neither are attributes of what the
    DNN answers: those of errors are unlike those of correctly classified images anyway.
    """
    test = results.split("test")
    columns = {name: values for name, values in test.parameters.items() if known and name != CAUSE}
    for name in _attributes(results):
        if name in test.attributes and name not in columns:
            numbers = np.asarray(test.attributes[name], float)
            if name == "tilt" and TURN.name not in columns:
                columns[TURN.name] = turn(numbers, test.label, test.correct)
            else:
                columns[name] = numbers
    return columns


def rates_of(results: Results, labels: np.ndarray) -> list[FailureRate]:
    """Tell how often the DNN fails where the rules of groups of errors, (N_errors,) int, hold.

    The test images are divided into parts, and each is counted by rules that are found on the others.
    """
    failed = ~results.split("test").correct
    return cross_fitted_rates(
        lambda among: rules_of(results, labels, among=among),
        columns_of(results),
        failed,
        seed=results.settings.seed,
    )


def named(rule: Rule, results: Results) -> str:
    """Return a rule behind what images that fit it are called: "dark images: luminance < 0.21"."""
    attribute = _attributes(results).get(rule.parameters[0]) if rule.parameters else None
    if attribute is None or rule.parameters[0] in results.split("test").parameters:
        return rule.text
    words = {"below": attribute.low, "above": attribute.high}.get(rule.form, "") or attribute.away
    return f"{words}: {rule.text}" if words else rule.text


def _attributes(results: Results) -> dict[str, Attribute]:
    return named_attributes(results.settings.attributes) | {TURN.name: TURN}
