"""What groups of errors are called: rules over parameters and attributes of the images, in words."""

from __future__ import annotations

import numpy as np

from hudd.attributes import Attribute, named_attributes
from hudd.evaluation import Rule, cluster_rules, turn
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


def rules_of(results: Results, labels: np.ndarray, *, known: bool = True) -> list[Rule]:
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
    """
    test, attributes = results.split("test"), _attributes(results)
    told_by = {name: values for name, values in test.parameters.items() if known and name != CAUSE}
    own = {name: one for name, one in attributes.items() if name in test.attributes and name not in told_by}
    for name in own:
        values = np.asarray(test.attributes[name], float)
        if name == "tilt" and TURN.name not in told_by:
            told_by[TURN.name] = turn(values, test.label, test.correct)
        else:
            told_by[name] = values
    if not told_by:
        return []
    measured = own if TURN.name in test.parameters else own | {TURN.name: TURN}
    everywhere, failed = np.zeros(len(test.label), np.int64), np.zeros(len(test.label), bool)
    everywhere[results.errors], failed[results.errors] = labels, True
    return cluster_rules(
        told_by,
        everywhere,
        failed=failed,
        classes=test.label,
        units={name: one.unit for name, one in measured.items() if one.unit} | dict(results.settings.units),
        forms={name: one.forms for name, one in measured.items()},
        permutations=_PERMUTATIONS,
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
