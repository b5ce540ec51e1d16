"""Uncertainty sampling against plain loops, and the laws that hold of any scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.errors import UsageError
from hudd.selection import select_class_balanced, select_entropy, select_margin

SCORES = st.lists(st.floats(0, 2, width=32), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(SCORES, st.data())
def test_the_most_uncertain_come_first(scores, data):
    budget = data.draw(st.integers(0, len(scores)))
    for select, sign in ((select_entropy, 1), (select_margin, -1)):
        chosen = select(np.array(scores), budget, seed=3)
        assert len(set(chosen.tolist())) == len(chosen) == budget
        worth = sign * np.array(scores)
        assert worth[chosen].tolist() == sorted(worth, reverse=True)[:budget]


def balanced(entropy, prediction, budget):
    """One image at a time, of the class with the fewest chosen, the one whose best is most uncertain before others."""
    left, chosen = set(range(len(entropy))), []
    while len(chosen) < budget:
        count = {c: sum(prediction[i] == c for i in chosen) for c in {prediction[i] for i in left}}
        fewest = [i for i in left if count[prediction[i]] == min(count.values())]
        chosen.append(max(fewest, key=lambda i: entropy[i]))
        left.remove(chosen[-1])
    return chosen


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(0, 2**31), st.data())
def test_classes_have_equal_shares(count, seed, data):
    rng = np.random.default_rng(seed)
    entropy, prediction = rng.permutation(count) / 7, rng.integers(-1, 4, count)
    budget = data.draw(st.integers(0, count))
    assert select_class_balanced(entropy, prediction, budget).tolist() == balanced(
        entropy, prediction, budget
    )


def test_ties_are_broken_by_the_seed():
    for select in (
        select_entropy,
        select_margin,
        lambda *a, **k: select_class_balanced(a[0], np.zeros(50), a[1], **k),
    ):
        found = {tuple(select(np.ones(50), 5, seed=seed).tolist()) for seed in (0, 0, 1, 2)}
        assert len(found) == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: select_entropy(np.ones(3), 4), "4 images were asked for but the improvement set has 3"),
        (
            lambda: select_margin(np.array([0.5, np.nan]), 1),
            "the margin of improvement image 1 is not a number",
        ),
        (lambda: select_class_balanced(np.ones(3), np.ones(2), 1), "3 entropies but 2 predictions"),
        (lambda: select_class_balanced(np.ones(3), np.ones(3), -1), "-1 images were asked for"),
    ],
)
def test_what_cannot_be_used_is_named(call, message):
    with pytest.raises(UsageError, match=message):
        call()
