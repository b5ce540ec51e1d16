"""Rules find planted ranges, say them readably, and are not fooled by chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.errors import UsageError
from hudd.evaluation import cluster_rules
from hudd.evaluation.rules import _gain_and_loss


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    width, light = rng.integers(20, 100, 600), rng.random(600)
    kind = rng.choice(["stop", "yield", "speed"], 600)
    labels = np.zeros(600, int)
    labels[width < 33] = 1
    labels[(width >= 33) & (light > 0.75) & (width < 60)] = 2
    labels[(labels == 0) & (kind == "stop") & (rng.random(600) < 0.9)] = 3
    return {"width": width, "light": light, "kind": kind}, labels


def test_planted_ranges_are_named(table):
    parameters, labels = table
    rules = {
        rule.cluster: rule
        for rule in cluster_rules(parameters, labels, units={"width": "px"}, max_conditions=3)
    }
    assert rules[1].text == "width < 33 px"
    assert (rules[1].precision, rules[1].recall, rules[1].p_value) == (1, 1, 0.001)
    assert set(rules[2].parameters) == {"width", "light"}
    assert rules[2].f1 > 0.9
    assert "kind is stop" in rules[3].text
    assert {rule.p_value for rule in rules.values()} == {0.001}
    assert rules[1].to_dict()["parameters"] == ["width"]


def test_a_rare_cluster_is_named_against_a_large_background():
    rng = np.random.default_rng(2)
    width, light = rng.integers(20, 100, 3000), rng.random(3000)
    labels = np.zeros(3000, int)
    labels[rng.choice(np.flatnonzero(width < 40), 30, replace=False)] = 1
    (rule,) = cluster_rules({"width": width, "light": light}, labels, max_conditions=1, permutations=39)
    assert rule.text == "width < 40"
    assert rule.p_value == 1 / 40
    assert rule.precision < 0.05
    assert rule.recall == 1
    assert rule.informedness == pytest.approx(1 - (width[labels == 0] < 40).mean())


@given(st.integers(0, 10_000), st.integers(2, 12))
def test_the_best_single_range_is_exact(seed, count):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 6, count).astype(float)
    member = np.arange(count) < rng.integers(1, count)
    (rule,) = cluster_rules({"p": values}, member.astype(int), max_conditions=1, permutations=0) or [None]
    if rule is None:
        return
    best = 0.0
    for low in range(7):
        for high in range(low + 1, 8):
            for fits in ((values >= low) & (values < high), (values < low) | (values >= high)):
                bounds = (
                    (fits & (values == values.min())).sum() == 0,
                    (fits & (values == values.max())).sum() == 0,
                )
                cuts = max(1, sum(bounds)) if not all(fits) else 0
                cuts = 2 if not any(bounds) and not all(fits) else cuts
                best = max(best, fits[member].mean() - fits[~member].mean() - 0.03 * cuts)
    cuts = 2 if ".." in rule.text else 1
    found = rule.informedness - 0.03 * cuts if rule.text else 0.0
    assert found == pytest.approx(best)


@pytest.mark.parametrize(
    ("members", "others", "text"),
    [
        (np.arange(1_234_500, 1_234_520), np.arange(1_234_521, 1_234_581), "p < 1234521"),
        (1.7e9 + np.arange(20), 1.7e9 + 20.5 + np.arange(60), "p < 1700000020"),
        (np.linspace(48.1, 48.13719, 20), np.linspace(48.13725, 49, 60), "p < 48.1372"),
        (np.array([1e-7, 2e-7]), np.array([9e-7, 8e-7, 7e-7]), "p < 4e-07"),
        (np.array([-3, -2]), np.array([0, 1, 2]), "p < 0"),
    ],
)
def test_a_rule_as_printed_fits_what_it_fitted(members, others, text):
    values, labels = np.concatenate([members, others]), np.repeat([1, 0], [len(members), len(others)])
    (rule,) = cluster_rules({"p": values}, labels, permutations=9)
    assert rule.text == text
    bound = float(rule.text.removeprefix("p < "))
    assert ((values < bound) == labels).all()


def test_names_and_serial_numbers_are_no_causes():
    names = np.array([f"frame{number}.png" for number in range(5000)])
    weather = np.where(np.arange(5000) < 40, "snow", "sun")
    labels = (np.arange(5000) < 40).astype(int)
    (rule,) = cluster_rules({"name": names, "weather": weather}, labels, permutations=1)
    assert rule.parameters == ("weather",)
    (none,) = cluster_rules({"name": names}, labels, permutations=1)
    assert (none.text, none.p_value) == ("", 1)


def test_of_many_texts_the_most_frequent_are_looked_at():
    texts = np.array([f"t{i:03}" for i in range(100) for _ in range(2 + (i == 70))])
    (rule,) = cluster_rules({"text": texts}, (texts == "t070").astype(int), permutations=1)
    assert rule.text == "text is t070"


@pytest.mark.parametrize(
    ("members", "strata", "gain"),
    [
        ([1, 1, 0, 0], [0, 0, 0, 0], [1 / 2, 1 / 2, -1 / 2, -1 / 2]),
        ([1, 0, 0, 0], [0, 0, 1, 1], [1, -1, 0, 0]),  # others of other classes do not count
        ([1, 1, 1, 0, 0, 0], [0, 0, 1, 0, 0, 1], [1 / 3, 1 / 3, 1 / 3, -1 / 3, -1 / 3, -1 / 3]),
        (
            [1, 1, 1, 0, 0, 0],
            [4, 4, 1, 1, 1, 1],
            [1 / 3, 1 / 3, 1 / 3, -1 / 3, -1 / 3, -1 / 3],
        ),  # a class of members
        ([1, 1, 0], [0, 0, 1], [1 / 2, 1 / 2, 0]),  # nothing to compare with
    ],
)
def test_what_a_row_adds(members, strata, gain):
    member = np.array(members, bool)
    added, lost = _gain_and_loss(member, np.ones(len(member), bool), np.array(strata))
    np.testing.assert_allclose(np.where(member, added, 0) - lost, gain)


def test_what_all_failures_have_in_common_is_no_cluster_s_rule():
    rng = np.random.default_rng(8)
    failed = np.arange(900) < 120
    light = np.where(failed, rng.uniform(0, 0.3, 900), rng.uniform(0.2, 1, 900))
    width = rng.uniform(20, 90, 900)
    width[:40] = rng.uniform(20, 25, 40)
    labels = np.where(failed, 1 + (np.arange(900) >= 40) + (np.arange(900) >= 80), 0)
    found = cluster_rules({"light": light, "width": width}, labels, failed=failed, permutations=199)
    texts = {rule.cluster: rule.text for rule in found if rule.p_value <= 0.05}
    assert set(texts) == {1}
    assert texts[1].startswith("width < 2")


@pytest.mark.parametrize(
    ("forms", "text"),
    [
        ({"below"}, "p < 0.2"),
        ({"above"}, "p >= 0.7"),
        ({"above", "below"}, "p >= 0.7"),
        ({"outside", "inside", "above", "below"}, "p outside 0.2..0.7"),
    ],
)
def test_a_rule_asks_only_what_it_may(forms, text):
    values = np.concatenate([np.linspace(0, 0.14, 6), np.linspace(0.3, 0.6, 70), np.linspace(0.8, 1, 16)])
    labels = ((values < 0.2) | (values > 0.7)).astype(int)
    (rule,) = cluster_rules({"p": values}, labels, forms={"p": forms}, permutations=9)
    assert rule.text == text


@pytest.mark.parametrize("failed", [[True] * 3, [True] * 5, [False, True, True, True]])
def test_failed_must_hold_every_member(failed):
    with pytest.raises(UsageError, match="failed must be one for each of 4 labels"):
        cluster_rules({"p": np.arange(4)}, np.array([1, 1, 0, 0]), failed=np.array(failed))


def test_clusters_come_by_size_and_those_of_one_or_of_everything_not_at_all():
    labels = np.array([3, 3, 2, 2, 2, 7, -1, 0])
    found = cluster_rules({"p": np.arange(8)}, labels, permutations=0)
    assert [(rule.cluster, rule.p_value) for rule in found] == [(2, 1), (3, 1)]
    assert cluster_rules({"p": np.arange(4)}, np.ones(4, int), permutations=0) == []
    with pytest.raises(UsageError, match="8 labels but 3 classes"):
        cluster_rules({"p": np.arange(8)}, labels, classes=np.zeros(3))


def test_a_rule_is_measured_by_the_rows_that_fit_it():
    labels = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    (rule,) = cluster_rules({"p": np.array([1, 1, 1, 9, 1, 9, 9, 9, 9, 9])}, labels, permutations=0)
    assert rule.text == "p < 6"
    assert (rule.precision, rule.recall, rule.f1) == (0.75, 0.75, 0.75)
    assert rule.informedness == pytest.approx(3 / 4 - 1 / 6)
    (none,) = cluster_rules({"p": np.zeros(10)}, labels, permutations=0)
    assert (none.text, none.parameters, none.precision, none.recall) == ("", (), 0.4, 1)
    assert (none.f1, none.informedness) == (pytest.approx(0.8 / 1.4), 0)


def test_more_conditions_are_taken_only_where_they_are_worth_their_bounds():
    rng = np.random.default_rng(5)
    p, q, r = rng.random((3, 800))
    labels = ((p < 0.5) & (q < 0.5) & (r < 0.5)).astype(int)
    for most in (1, 2, 3):
        (rule,) = cluster_rules({"p": p, "q": q, "r": r}, labels, max_conditions=most, permutations=0)
        assert len(rule.parameters) == most
        assert rule.text.count(" and ") == most - 1
    assert rule.f1 == 1
    two = ((p < 0.5) & (q < 0.5)).astype(int)
    (rule,) = cluster_rules({"p": p, "q": q, "r": r}, two, max_conditions=3, permutations=0)
    assert set(rule.parameters) == {"p", "q"}


def test_what_only_tells_the_classes_apart_is_no_cause():
    rng = np.random.default_rng(3)
    classes = rng.integers(0, 4, 2000)
    position, light = classes + rng.random(2000) / 2, rng.random(2000)
    labels = ((classes == 2) & (light < 0.5) & (rng.random(2000) < 0.9)).astype(int)
    table = {"position": position, "light": light}
    (naive,) = cluster_rules(table, labels, max_conditions=1, permutations=0)
    (matched,) = cluster_rules(table, labels, classes=classes, max_conditions=1, permutations=19)
    assert naive.parameters == ("position",)
    assert matched.text == "light < 0.5"
    assert matched.p_value == 0.05


def test_a_range_on_both_sides_is_one_condition():
    rng = np.random.default_rng(4)
    yaw = rng.uniform(-60, 60, 900)
    labels = (np.abs(yaw) > 40).astype(int)
    (rule,) = cluster_rules({"head_yaw": yaw}, labels, units={"head_yaw": "deg"}, permutations=0)
    name, word, bounds, unit = rule.text.split()
    assert (name, word, unit) == ("head_yaw", "outside", "deg")
    assert [round(float(bound)) for bound in bounds.split("..")] == [-40, 40]
    assert rule.f1 == 1


def test_rows_without_a_value_fit_no_condition():
    values = np.array([1.0, 2, np.nan, np.nan, 8, 9])
    (rule,) = cluster_rules({"p": values}, np.array([0, 0, 0, 1, 1, 1]), permutations=0)
    assert rule.text == "p >= 6"
    assert (rule.precision, rule.recall) == (1, pytest.approx(2 / 3))


def test_to_have_a_value_is_no_condition_and_hides_none():
    values = np.concatenate([np.arange(30.0), np.full(170, np.nan)])
    member = np.arange(200) < 30
    (rule,) = cluster_rules({"p": np.where(member, 1.0, np.nan)}, member.astype(int), permutations=9)
    assert rule.text == ""
    dark = member & (values < 20)
    (rule,) = cluster_rules({"p": values}, dark.astype(int), permutations=99)
    assert (rule.text, rule.p_value) == ("p < 20", 0.01)


def test_chance_is_told_apart(table):
    parameters, _ = table
    rng = np.random.default_rng(1)
    p_values = []
    for seed in range(15):
        chance = (rng.random(600) < 0.1).astype(int)
        p_values.append(cluster_rules(parameters, chance, permutations=39, seed=seed)[0].p_value)
    assert sum(p <= 0.05 for p in p_values) <= 2
    assert 0.2 < np.mean(p_values) < 0.8


def test_precision_and_recall_are_of_the_rule(table):
    parameters, labels = table
    for rule in cluster_rules({"light": parameters["light"]}, labels, max_conditions=1, permutations=0):
        if not rule.text:
            continue
        _, sign, bound = rule.text.split()
        light = parameters["light"]
        low, _, high = bound.partition("..")
        inside = (light >= float(low)) & (light < float(high or 1))
        fits = {"<": light < float(low), "outside": ~inside}.get(sign, inside)
        member = labels == rule.cluster
        assert rule.precision == pytest.approx((fits & member).sum() / fits.sum(), abs=0.01)
        assert rule.recall == pytest.approx((fits & member).sum() / member.sum(), abs=0.01)


def test_wrong_calls_are_named():
    with pytest.raises(UsageError, match="'p' has shape"):
        cluster_rules({"p": np.arange(3)}, np.array([1, 1]))
    with pytest.raises(UsageError, match="no parameters"):
        cluster_rules({}, np.array([1, 1, 0]))
    assert cluster_rules({"p": np.arange(2)}, np.array([1, 1])) == []


def test_rows_that_stand_for_several_count_so():
    rng = np.random.default_rng(0)
    failed = np.arange(400) < 40
    numbers = np.where(failed, rng.uniform(2, 3, 400), rng.uniform(0, 2.2, 400))
    labels = np.where(failed, 1, 0)
    weights = np.where(failed, 1.0, 10.0)
    plain = cluster_rules({"x": numbers}, labels, failed=failed)[0]
    heavy = cluster_rules({"x": numbers}, labels, failed=failed, weights=weights)[0]
    assert (heavy.text, heavy.recall) == (plain.text, plain.recall)
    assert (heavy.informedness, heavy.p_value) == (plain.informedness, plain.p_value)
    others = plain.images - plain.failures
    assert others > 0
    assert (heavy.images, heavy.failures) == (plain.failures + 10 * others, plain.failures)
    assert heavy.precision == pytest.approx(plain.failures / heavy.images)
