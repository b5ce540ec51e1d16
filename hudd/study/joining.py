"""Causes that a single rule describes: those with rules on the same parameter of the data are joined.

A dendrogram separates images turned to the left from those turned to the right, and the classes that fail in low light.
If one condition on a parameter that comes with the data, such as a rotation outside -20 to 20, describes both as well
as rules of their own, they are one cause. Measured attributes join none, since faults of many kinds reduce contrast.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from hudd.evaluation import SIGNIFICANT, Rule
from hudd.study.results import Results
from hudd.study.wording import CAUSE, rule_of, rules_of

_LOSS = 0.02  # by which the joint rule may be less informed than either; rules this close count as equal
_SEED = 0  # of comparisons with chance: clusters do not depend on the study's


def causes_by_rule(results: Results, of_error: np.ndarray) -> np.ndarray:
    """Find the causes that a single rule describes.

    Parameters
    ----------
    results : Results
        With a test set.
    of_error : np.ndarray
        (N_errors,) int64 cause of each error, from 1 to c.

    Returns
    -------
    np.ndarray
        (c,) int64 for each cause the smallest number among those that it is joined with, its own included.
    """
    into = np.arange(1, int(of_error.max(initial=0)) + 1)
    given = set(results.split("test").parameters) - {CAUSE}
    if len(into) < 2 or not given:
        return into
    told = {
        rule.cluster: rule
        for rule in rules_of(results, of_error, seed=_SEED)
        if rule.text and rule.p_value <= SIGNIFICANT and rule.parameters[0] in given
        if rule.form != "is not"  # fog and rain are both no clear weather
    }
    joint: dict[tuple[int, int], Rule | None] = {}
    while True:
        best: tuple[float, int, int] | None = None
        for one, other in combinations(sorted(told), 2):
            first, second = (told[of].region.bounds[0] for of in (one, other))
            if first.parameter != second.parameter or first.value != second.value:
                continue
            if (one, other) not in joint:
                joint[one, other] = rule_of(results, np.isin(into[of_error - 1], (one, other)))
            rule = joint[one, other]
            if rule is None or rule.parameters[:1] != told[one].parameters[:1]:
                continue
            lost = min(told[one].informedness, told[other].informedness) - rule.informedness
            if lost <= _LOSS and (best is None or lost < best[0]):
                best = lost, one, other
        if best is None:
            return into
        _, one, other = best
        into[into == other] = one
        found = joint[one, other]
        assert found is not None
        told[one] = found
        del told[other]
        joint = {pair: rule for pair, rule in joint.items() if not {one, other} & set(pair)}
