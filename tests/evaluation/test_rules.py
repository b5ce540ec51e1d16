"""Rules find planted ranges, say them readably, and are not fooled by chance."""

import numpy as np
import pytest

from hudd.errors import UsageError
from hudd.evaluation import cluster_rules, unsafe_composition


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
        rule.cluster: rule for rule in cluster_rules(parameters, labels, units={"width": "px"}, max_depth=3)
    }
    assert rules[1].text == "width < 33 px"
    assert (rules[1].precision, rules[1].recall, rules[1].p_value) == (1, 1, 0.01)
    assert set(rules[2].parameters) == {"width", "light"}
    assert rules[2].f1 > 0.9
    assert "kind is stop" in rules[3].text
    assert {rule.p_value for rule in rules.values()} == {0.01}
    assert rules[1].to_dict()["parameters"] == ["width"]


def test_a_rare_cluster_is_named_against_a_large_background():
    rng = np.random.default_rng(2)
    width, light = rng.integers(20, 100, 3000), rng.random(3000)
    labels = np.zeros(3000, int)
    labels[rng.choice(np.flatnonzero(width < 40), 30, replace=False)] = 1
    (rule,) = cluster_rules({"width": width, "light": light}, labels, max_depth=1, permutations=39)
    assert rule.text == "width < 40"
    assert rule.p_value == 1 / 40
    assert rule.precision < 0.05
    assert rule.recall == 1
    assert rule.informedness == pytest.approx(1 - (width[labels == 0] < 40).mean())


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
    for rule in cluster_rules({"light": parameters["light"]}, labels, max_depth=1, permutations=0):
        if not rule.text:
            continue
        _, sign, bound = rule.text.split()
        fits = parameters["light"] <= float(bound) if sign == "<=" else parameters["light"] > float(bound)
        member = labels == rule.cluster
        assert rule.precision == pytest.approx((fits & member).sum() / fits.sum(), abs=0.01)
        assert rule.recall == pytest.approx((fits & member).sum() / member.sum(), abs=0.01)


def test_wrong_calls_are_named():
    with pytest.raises(UsageError, match="'p' has shape"):
        cluster_rules({"p": np.arange(3)}, np.array([1, 1]))
    with pytest.raises(UsageError, match="no parameters"):
        cluster_rules({}, np.array([1, 1, 0]))
    assert cluster_rules({"p": np.arange(2)}, np.array([1, 1])) == []


def test_composition():
    image, cluster = np.array([0, 1, 4]), np.array([1, 1, 2])
    table = unsafe_composition(
        image, cluster, {"label": np.array([3, 3, 3, 5, 5]), "light": np.array([0.0, 1, 2, 3, np.nan])}
    )
    assert table["label"]["set"] == {"3": 0.6, "5": 0.4}
    assert table["label"]["chosen"] == pytest.approx({"3": 2 / 3, "5": 1 / 3})
    assert table["label"]["clusters"] == {1: {"3": 1.0}, 2: {"5": 1.0}}
    assert table["light"]["clusters"][1]["median"] == 0.5
    assert table["light"]["clusters"][2] == {"count": 0}
    with pytest.raises(UsageError, match="row 4 was chosen"):
        unsafe_composition(image, cluster, {"label": np.arange(4)})
    with pytest.raises(UsageError, match="cluster each"):
        unsafe_composition(image, cluster[:2], {})
