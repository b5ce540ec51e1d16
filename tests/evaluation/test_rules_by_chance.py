"""What chance does as well: random sets, their worth, and p-values."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from hudd.evaluation import cluster_rules
from hudd.evaluation.chance import as_good
from hudd.evaluation.conditions import FORMS, Conditions
from hudd.evaluation.draws import random_sets
from hudd.evaluation.rules import _gain_and_loss


def test_ties_count_among_what_chance_does():
    # Every cluster of 3 among 4 of 8 rows that have the flag is as good as this one.
    flag = np.repeat([1, 0], [4, 4])
    labels = np.array([1, 1, 1, 0, 0, 0, 0, 0])
    exact = hypergeom(8, 4, 3).pmf([0, 3]).sum()
    (rule,) = cluster_rules({"flag": flag}, labels, permutations=1999)
    assert rule.p_value == pytest.approx(exact, abs=0.03)


def test_chance_draws_as_many_of_each_class():
    rng, strata = np.random.default_rng(0), np.array([2, 0, 1, 0, 2, 1, 0, 0, 5])
    member = np.array([1, 1, 0, 0, 0, 1, 1, 0, 0], bool)
    sets = random_sets(member, np.ones(9, bool), strata, 200, rng)
    drawn = np.zeros((200, 9), bool)
    np.put_along_axis(drawn, sets, True, 1)
    for one in np.unique(strata):
        assert set(drawn[:, strata == one].sum(axis=1)) == {member[strata == one].sum()}
    share = drawn.mean(axis=0)  # every row of a class as often
    np.testing.assert_allclose(share, [1 / 2, 1 / 2, 1 / 2, 1 / 2, 1 / 2, 1 / 2, 1 / 2, 1 / 2, 0], atol=0.15)


def test_chance_draws_from_the_pool_alone():
    pool = np.array([1, 0, 1, 1, 0, 1], bool)
    sets = random_sets(
        np.array([1, 0, 1, 0, 0, 0], bool), pool, np.zeros(6, int), 99, np.random.default_rng(0)
    )
    assert set(np.unique(sets)) == set(np.flatnonzero(pool))
    assert all(len(set(one)) == 2 for one in sets.tolist())


def best_worth(table, net, forms, cost=0.03):
    """What the best condition on a number is worth, of all that there are; 0 where none is worth anything."""
    best = 0.0
    for values in table.values():
        known, kinds = np.isfinite(values), np.unique(values[np.isfinite(values)])
        cuts = [-np.inf, *(kinds[:-1] + np.diff(kinds) / 2), np.inf]
        for low, high in itertools.combinations(cuts, 2):
            bounds = int(low > -np.inf) + int(high < np.inf)
            inside = (values >= low) & (values < high)
            below, above = low == -np.inf, high == np.inf
            for fits, form in (
                (inside, "below" if below else "above" if above else "inside"),
                (~inside & known, "above" if below else "below" if above else "outside"),
            ):
                if bounds and form in forms:
                    best = max(best, net[fits].sum() - cost * bounds)
    return best


@given(
    st.integers(0, 10_000),
    st.integers(3, 16),
    st.booleans(),
    st.sampled_from([{"below"}, {"above"}, {"below", "above"}, {"below", "above", "outside"}, FORMS]),
)
@settings(deadline=None)
def test_many_sets_at_once_are_worth_what_each_is_by_itself(seed, count, against_rest, forms):
    rng = np.random.default_rng(seed)
    table = {
        "p": np.where(rng.random(count) < 0.2, np.nan, rng.integers(0, 5, count)),
        "q": np.where(rng.random(count) < 0.2, np.nan, rng.random(count)),
    }
    conditions = Conditions(table, count, {}, cost=0.03, forms=dict.fromkeys("pq", forms))
    strata, member = rng.integers(0, 2, count), np.arange(count) < rng.integers(1, count - 1)
    pool = member | (rng.random(count) < 0.3)
    compared = ~pool if against_rest and not pool.all() else np.ones(count, bool)
    gain, loss = _gain_and_loss(member, compared, strata)
    sets = random_sets(member, pool, strata, 3, rng)
    for one, worths in zip(sets, conditions.best_of(sets, gain, loss)):
        net = np.where(np.isin(np.arange(count), one), gain, 0) - loss
        expected = pytest.approx([best_worth({name: table[name]}, net, forms) for name in table])
        found = np.zeros(len(table))
        for each in conditions.best(net):
            found[each.column] = each.worth
        assert found.tolist() == expected
        assert worths.tolist() == expected
    assert (conditions.best_of(sets, gain, loss, excluded={"p"})[:, 0] == 0).all()


def test_large_sets_are_drawn_smaller_with_the_shares_of_the_classes(monkeypatch):
    rng = np.random.default_rng(0)
    strata, member = np.repeat([0, 1, 2], 4000), np.zeros(12_000, bool)
    member[:3000] = member[4000:5000] = True
    for limit in (1 << 24, 0):  # by sorting and one by one
        monkeypatch.setattr("hudd.evaluation.draws._SORTED", limit)
        sets = random_sets(member, np.ones(len(member), bool), strata, 40, rng, most=400)
        assert sets.shape == (40, 400)
        assert all(len(set(one.tolist())) == 400 for one in sets)
        assert {tuple(np.bincount(strata[one], minlength=3)) for one in sets} == {(300, 100, 0)}
        assert np.bincount(sets.ravel() // 100).max() < 3 * 40 * 400 / 80  # from everywhere


def test_chance_does_no_better_on_few_rows_than_on_all_of_a_large_cluster(monkeypatch):
    rng = np.random.default_rng(3)
    width, light = rng.random(6000), rng.random(6000)
    labels = np.where(rng.random(6000) < 0.4, 1, 0)
    labels[(width < 0.5) & (rng.random(6000) < 0.1)] = 1  # hardly more than chance
    found = {}
    for most in (400, 10_000):
        monkeypatch.setattr("hudd.evaluation.rules._DRAWN", most)
        found[most] = cluster_rules({"width": width, "light": light}, labels, permutations=99)[0]
    assert found[400].informedness == found[10_000].informedness
    assert found[10_000].p_value + 0.05 < found[400].p_value
    labels[:] = width < 0.5
    assert cluster_rules({"width": width, "light": light}, labels, permutations=99)[0].p_value == 0.01


def test_p_values_are_adjusted_over_the_clusters():
    rng = np.random.default_rng(3)
    failed, light = np.arange(400) < 120, rng.random(400)
    light[:40] -= np.linspace(0, 0.6, 40)  # one cluster of several is darker, more or less
    labels = np.where(failed, 1 + np.arange(400) // 20, 0)
    alone = [
        cluster_rules({"light": light}, np.where(labels == one, one, 0), failed=failed, permutations=99)[0]
        for one in range(1, 7)
    ]
    found = {
        rule.cluster: rule.p_value
        for rule in cluster_rules({"light": light}, labels, failed=failed, permutations=99)
    }
    p_values = np.sort([rule.p_value for rule in alone])
    adjusted = np.minimum.accumulate((p_values * 6 / np.arange(1, 7))[::-1])[::-1].clip(max=1)
    assert len(set(p_values)) > 2
    for rule in alone:
        at = np.searchsorted(p_values, rule.p_value, "right") - 1
        assert found[rule.cluster] == pytest.approx(adjusted[at])


def test_what_all_failures_have_in_common_hides_no_rule():
    rng = np.random.default_rng(0)
    failed, member = np.arange(500) < 200, np.arange(500) < 60
    light = np.where(failed, rng.uniform(0, 0.5, 500), rng.uniform(0.45, 1, 500))  # all are dark
    turn = np.where(member & (rng.random(500) < 0.75), rng.uniform(20, 60, 500), rng.uniform(-9, 9, 500))
    (rule,) = cluster_rules({"light": light, "turn": turn}, member.astype(int), failed=failed)
    assert rule.parameters[0] == "turn"
    assert rule.p_value == 0.001
    (rule,) = cluster_rules({"light": light}, member.astype(int), failed=failed)
    assert rule.p_value > 0.05


def test_where_images_fail_no_more_often_than_all_is_no_rule():
    rng = np.random.default_rng(0)
    failed, member = np.arange(1000) < 300, np.arange(1000) < 40
    blur = np.where(member | (failed & (rng.random(1000) < 0.1)), 0.9, 0.1)
    blur[300:600] = 0.9  # of the correct ones too: fewer of these fail than of all
    (rule,) = cluster_rules({"blur": blur}, member.astype(int), failed=failed)
    assert rule.informedness > 0.4
    assert rule.failures / rule.images < 0.3
    assert rule.p_value == 1.0
    blur[400:600] = 0.1
    (rule,) = cluster_rules({"blur": blur}, member.astype(int), failed=failed)
    assert rule.failures / rule.images > 0.3
    assert rule.p_value == 0.001


def test_on_shuffled_labels_few_clusters_have_a_rule():
    rng, ruled = np.random.default_rng(9), 0
    failed = np.arange(600) < 150
    table = {f"p{i}": rng.normal(0, 1, 600) - (i == 3) * failed for i in range(12)}
    for draw in range(12):
        labels = np.where(failed, 0, 0)
        labels[:150] = rng.permutation(np.repeat(np.arange(1, 11), 15))
        found = cluster_rules(
            table, labels, failed=failed, classes=rng.integers(0, 3, 600), permutations=199, seed=draw
        )
        ruled += sum(rule.p_value <= 0.05 for rule in found)
    assert ruled <= 0.05 * 120


@pytest.mark.parametrize(
    ("chance", "counts"), [(0.5, True), (0.5 - 1e-10, True), (0.499, False), (0.6, True)]
)
def test_ties_are_told_within_rounding(chance, counts):
    assert as_good(chance, 0.5) == counts
    assert as_good(1000 * chance, 500.0) == counts
    assert as_good(-1e-10, 0.0)
