"""Which of several conditions that are as good a rule asks for."""

import numpy as np

from hudd.evaluation import cluster_rules


def test_of_conditions_as_good_that_on_the_first_parameter_is_taken():
    rng = np.random.default_rng(10)
    member = np.arange(400) < 40
    columns = {name: np.where(member, rng.uniform(1.1, 2, 400), rng.uniform(0, 1, 400)) for name in "ba"}
    (rule,) = cluster_rules(columns, member.astype(int), permutations=99)
    assert (rule.parameters, rule.form) == (("b",), "above")


def apart(by, members=40, count=400, seed=11):
    """Numbers in a range of 10 that set members apart, whose median lies farther away by `by`."""
    rng = np.random.default_rng(seed)
    numbers = rng.uniform(0, 1, count)
    numbers[:members] += 1 + by
    numbers[members] = 10 - 1e-3
    return numbers


def test_of_measured_attributes_as_good_that_which_is_farthest_is_taken():
    member = np.arange(400) < 40
    columns = {"near": apart(1), "far": apart(4), "general": apart(7)}
    measured = {"near": False, "far": False, "general": True}

    def taken(columns, measured):
        (rule,) = cluster_rules(columns, member.astype(int), measured=measured, permutations=99)
        return rule.parameters[0]

    assert taken(columns, None) == "near"
    assert taken(columns, measured) == "far"
    assert taken(columns, dict.fromkeys(columns, False)) == "general"
    assert taken({"general": columns["general"], "even": np.zeros(400)}, measured) == "general"
    # What is given says how an image came about, however far others lie apart.
    assert taken(columns | {"given": apart(0)}, measured) == "given"


def test_a_measured_attribute_that_is_little_worse_may_be_taken():
    member = np.arange(400) < 100
    good, better = apart(4, members=100), apart(1, members=100)
    good[0] = 0.5  # 0.01 + 0.005 of slack worse
    measured = {"better": False, "good": False}
    (rule,) = cluster_rules(
        {"better": better, "good": good}, member.astype(int), measured=measured, permutations=99
    )
    assert rule.parameters[0] == "good"
    (rule,) = cluster_rules({"better": better, "good": good}, member.astype(int), permutations=99)
    assert rule.parameters[0] == "better"


def test_unknown_numbers_are_left_out_of_the_distance():
    member = np.arange(400) < 40
    some = apart(4)
    some[100:110] = np.nan
    columns = {"all": apart(1), "some": some}
    (rule,) = cluster_rules(
        columns, member.astype(int), measured=dict.fromkeys(columns, False), permutations=99
    )
    assert rule.parameters[0] == "some"
