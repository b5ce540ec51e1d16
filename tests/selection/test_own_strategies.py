"""Strategies of other people's code: what they may return, and what is refused."""

import numpy as np
import pytest

from hudd.errors import HuddError, UsageError
from hudd.selection import (
    Candidates,
    Drawn,
    balance,
    closest_members,
    cluster_budgets,
    select_unsafe,
    strategies,
    unsafe_set,
)
from hudd.selection.strategies import selected

LABELS = np.repeat([1, 2, 3], [20, 10, 1])


@pytest.fixture
def candidates():
    rng = np.random.default_rng(0)
    centre = np.eye(3)[LABELS - 1] * 5
    closest = closest_members(rng.normal(size=(80, 3)) * 3, centre + rng.normal(size=(31, 3)), LABELS)
    return Candidates(closest, LABELS, rng.random(80))


def write(tmp_path, body):
    (tmp_path / "own.py").write_text(f"import numpy as np\nfrom hudd.extend import *\n\n\n{body}\n")
    return f"{tmp_path / 'own.py'}:pick"


GOOD = {
    "rows": "def pick(candidates, budget, *, seed): return np.argsort(-candidates.entropy, kind='stable')[:budget]",
    "a list": "def pick(candidates, budget, *, seed): return list(range(budget))",
    "fewer": "def pick(candidates, budget, *, seed): return np.arange(3)",
    "a class": "class pick:\n    def __call__(self, candidates, budget, *, seed): return np.arange(budget)",
    "an unsafe set": "from hudd.selection import select_unsafe\n"
    "def pick(c, budget, *, seed): return select_unsafe(c.closest, c.labels, budget=budget, seed=seed)",
    "doubt": "def pick(candidates, budget, *, seed): return np.argsort(candidates.doubt)[:budget]",
}


@pytest.mark.parametrize("body", GOOD.values(), ids=GOOD)
def test_rows_and_unsafe_sets_become_selections_and_bags(tmp_path, candidates, body):
    spec = write(tmp_path, body)
    found = unsafe_set(spec, candidates, 12, seed=0)
    assert 0 < len(found) <= 12
    column = [candidates.closest.clusters.tolist().index(cluster) for cluster in found.cluster]
    np.testing.assert_allclose(found.distance, candidates.closest.distance[found.image, column])
    options = {"budget": 12, "entropy": candidates.entropy, "correct": np.ones(80, bool), "size": 30}
    labelled, bag = strategies([spec], candidates.closest, LABELS, **options)[spec](0)
    assert labelled.tolist() == found.image.tolist()
    assert len(bag) == 30
    assert set(bag.tolist()) <= set(labelled.tolist())


BAD = {
    "too many": ("return np.arange(budget + 1)", "13 rows, 13 of them different; it must return at most 12"),
    "twice the same": ("return np.zeros(4, int)", "4 rows, 1 of them different"),
    "beyond the set": ("return [80]", "rows 80 to 80; the improvement set has 0 to 79"),
    "negative": ("return [-1, 3]", "rows -1 to 3"),
    "not rows": ("return candidates.entropy[:3]", r"shape \(3,\) and dtype float64"),
    "a mask": ("return candidates.entropy > 0.5", "dtype bool"),
    "nothing": ("return None", "dtype object"),
    "a matrix": ("return np.zeros((2, 2), int)", r"shape \(2, 2\)"),
    "a crash": ("return 1 / 0", "failed: ZeroDivisionError"),
}


@pytest.mark.parametrize(("body", "message"), BAD.values(), ids=BAD)
def test_anything_else_is_named(tmp_path, candidates, body, message):
    spec = write(tmp_path, f"def pick(candidates, budget, *, seed): {body}")
    with pytest.raises(HuddError, match=message):
        unsafe_set(spec, candidates, 12, seed=0)


@pytest.mark.parametrize("name", ["bl2", "none"])
def test_draws_with_repeats_are_for_comparison(candidates, name):
    with pytest.raises(UsageError, match=f"'{name}' does not select different images"):
        unsafe_set(name, candidates, 60, seed=0)


def test_bl1_needs_the_labels(candidates):
    with pytest.raises(UsageError, match="'bl1' knows which images"):
        selected("bl1", candidates, 6, seed=0)


def test_the_estimate_is_made_when_it_is_read_and_once():
    calls = []
    found = Candidates(None, LABELS, np.ones(3), estimate=lambda: calls.append(1) or np.full(3, 0.5))
    assert not calls
    assert found.doubt.tolist() == found.doubt.tolist() == [0.5] * 3
    assert len(calls) == 1


@pytest.mark.parametrize("preset", ["hudd", "hudd-2021", "moments"])
def test_shares_by_a_factor_are_those_of_select_unsafe(candidates, preset):
    closest = candidates.closest
    shares = dict(zip(closest.clusters.tolist(), cluster_budgets(closest.size, 0.7).tolist()))
    by_factor = Candidates(closest, LABELS, candidates.entropy, preset=preset, shares=shares)
    found = unsafe_set("hudd", by_factor, 99, seed=5)
    wanted = select_unsafe(closest, LABELS, preset=preset, factor=0.7, seed=5)
    for name in ("image", "cluster", "distance", "rank", "outside"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    assert balance(found).tolist() == balance(wanted).tolist()
    assert isinstance(selected("random", by_factor, 4, seed=0), Drawn)
