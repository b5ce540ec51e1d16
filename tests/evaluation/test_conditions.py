"""Conditions are worth what the rows that fit them add up to, none is worth more, and they say which rows they fit."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.errors import UsageError
from hudd.evaluation.conditions import Conditions

COST = 0.25
numbers = st.one_of(st.integers(-3, 3), st.sampled_from([math.nan, math.inf]))
rows = st.lists(st.tuples(numbers, st.integers(-4, 4)), min_size=2, max_size=12)


def as_told(text, values):
    """The rows that fit a condition in words."""
    _, word, bounds = text.split()
    low, _, high = bounds.partition("..")
    if word in ("<", ">="):
        return values < float(low) if word == "<" else values >= float(low)
    inside = (values >= float(low)) & (values <= float(high))
    return inside if word == "in" else ~inside


@given(rows)
def test_no_range_is_worth_more_and_its_words_are_true(table):
    values, gain = np.array(table, float).T
    known = np.isfinite(values)
    found = Conditions({"p": values}, len(values), {}, cost=COST).best(gain)
    edges = [-math.inf, *(np.unique(values[known]) - 0.5), math.inf]
    most = 0.0
    for i, low in enumerate(edges):
        for high in edges[i + 1 :]:
            inside = known & (values >= low) & (values < high)
            bounds = np.isfinite([low, high]).sum()
            if 0 < inside.sum() < known.sum():
                most = max(most, *(gain[one].sum() - COST * bounds for one in (inside, known & ~inside)))
    if not found:  # no row, or every row, is as good
        assert most <= max(0, gain[known].sum())
        return
    (best,) = found
    assert best.worth == pytest.approx(most)
    assert best.worth == pytest.approx(gain[best.fits].sum() - COST * (2 if ".." in best.text else 1))
    assert not best.fits[~known].any()
    np.testing.assert_array_equal(best.fits[known], as_told(best.text, values[known]))


def test_the_best_comes_first_and_what_is_left_out_does_not_come():
    gain = np.array([1.0, 1, 1, -1, -1, -1])
    columns = {
        "poor": np.array([1, 0, 0, 0, 0, 0]),
        "kind": np.array(list("aabbcc")),
        "good": np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9]),
        "none": np.zeros(6),
    }
    conditions = Conditions(columns, 6, {"good": "px"}, cost=0.5)
    found = [(one.parameter, one.text, one.worth) for one in conditions.best(gain)]
    assert found == [
        ("good", "good < 0.5 px", 2.5),
        ("kind", "kind is a", 1.5),
        ("kind", "kind is not c", 1.5),
        ("poor", "poor >= 1", 0.5),
    ]
    assert {one.parameter for one in conditions.best(gain, excluded={"kind"})} == {"good", "poor"}


def test_a_condition_within_others_fits_no_more():
    conditions = Conditions({"p": np.arange(6.0), "q": np.array([0.5, 0, 0, 0.5, 0, 0])}, 6, {}, cost=0.25)
    (p, *_), inside = conditions.best(np.array([-1.0, -1, 1, 1, -1, -1])), np.arange(6) >= 3
    assert (p.text, p.worth) == ("p in 2..3", 1.5)
    both = p.within(inside)
    assert both.fits.tolist() == [False, False, False, True, False, False]


@pytest.mark.parametrize(
    ("values", "gain", "text"),
    [
        ([1, 2, 3, 4], [1, -1, -1, -1], "p < 2"),
        ([1, 2, 3, 4], [-1, -1, 1, 1], "p >= 3"),
        ([1, 2, 3, 4], [-1, 1, 1, -1], "p in 2..3"),
        ([1, 2, 3, 4], [1, -1, -1, 1], "p outside 2..3"),
        ([1, 5, 5, 9], [-1, 1, 1, -1], "p in 4..7"),  # in the middle between whole numbers
        ([0.1, 0.2, 0.7, 0.8], [-1, -1, 1, 1], "p >= 0.4"),  # 0.45 to one digit
        ([0.0, 10.5, 12.5, 13], [-1, -1, 1, 1], "p >= 12"),  # 11.5 to two: 10 does not tell them apart
        ([1.5, 1.5000001, 2, 3], [1, -1, -1, -1], "p < 1.5000001"),
        ([0, 0, 1, 1], [1, 1, -1, -1], "p < 1"),
        ([False, False, True, True], [-1, -1, 1, 1], "p >= 1"),
        (list("xxyy"), [1, 1, -1, -1], "p is x"),
        ([*"xxyz", "y"], [-1, -1, 1, 1, 1], "p is not x"),
    ],
)
def test_in_words(values, gain, text):
    found = Conditions({"p": np.array(values)}, len(values), {}, cost=0.01).best(np.array(gain, float))
    assert found[0].text == text


def test_of_many_texts_the_most_frequent_make_conditions_and_those_of_one_row_none():
    often = [3 if 9 <= i < 59 else 2 for i in range(60)]
    texts = np.array([*"abc", *(f"t{i:02}" for i in range(60) for _ in range(often[i]))])
    conditions = Conditions({"p": texts}, len(texts), {}, cost=0.0)

    def best(text):
        return {one.text for one in conditions.best(np.where(texts == text, 1.0, -1.0))}

    for text in ("t09", "t58"):
        assert f"p is {text}" in best(text)
    for text in ("a", "t08", "t59"):
        assert f"p is {text}" not in best(text)
    few = Conditions({"p": np.array(["a", "b", "b"])}, 3, {}, cost=0.0)
    assert {one.text for one in few.best(np.array([1.0, -1, -1]))} == {"p is not b"}


def test_wrong_columns_are_named():
    with pytest.raises(UsageError, match=r"'p' has shape \(3, 1\) but there are 3 labels"):
        Conditions({"p": np.zeros((3, 1))}, 3, {}, cost=0.1)
    with pytest.raises(UsageError, match="no parameters"):
        Conditions({}, 3, {}, cost=0.1)
