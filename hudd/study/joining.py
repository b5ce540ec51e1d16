"""Causes that are one in words: rules on one parameter of the data, and a rule for all their errors that tells as much.

A dendrogram sets images apart that are turned to the left and to the right, or whose classes differ. Where a parameter
that came with the data says of both that it is the same, as a rotation outside of -20 to 20, they are one cause. What
was measured of images joins none: faults of many kinds take contrast.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from hudd.evaluation import SIGNIFICANT, Rule
from hudd.study.results import Results
from hudd.study.wording import CAUSE, rule_of, rules_of

_LOSS = 0.02  # of informedness that the joint rule may have less than either; rules as near tell as much
_SEED = 0  # of comparisons with chance: clusters do not depend on the study's


def causes_in_words(results: Results, of_error: np.ndarray) -> np.ndarray:
    """Tell which causes are one.

    Parameters
    ----------
    results : Results
        With a test set.
    of_error : np.ndarray
        (N_errors,) int64 cause of each error, from 1 to c.

    Returns
    -------
    np.ndarray
        (c,) int64 for each cause the least number of those that it is one with.
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
