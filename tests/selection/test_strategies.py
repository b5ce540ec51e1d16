"""Strategies pay for the same labels and fill bags of the same size; the hybrid keeps budgets and reach."""

import numpy as np
import pytest

from hudd.errors import UsageError
from hudd.selection import (
    STRATEGIES,
    Candidates,
    ClosestMembers,
    Embedding,
    bootstrap,
    closest_members,
    sampled_doubt,
    select_bl1,
    select_unsafe,
    strategies,
    strategies_of,
)


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 2, 3], [20, 10, 1])
    centre = np.eye(3)[labels - 1] * 5
    closest = closest_members(rng.normal(size=(300, 3)) * 3, centre + rng.normal(size=(31, 3)), labels)
    return closest, labels, rng.random(300), rng.random(300) < 0.7


def test_equal_budgets_and_bags(problem):
    closest, labels, entropy, correct = problem
    rng = np.random.default_rng(1)
    found = Embedding(rng.normal(size=(300, 4)), rng.normal(size=(300, 3)), rng.random(300))
    known = {
        "entropy": entropy,
        "correct": correct,
        "prediction": rng.integers(3, size=300),
        "embed": lambda: found,
    }
    of_candidates = ("cause", "given")  # one needs a cause to select for, the other a list
    made = strategies([n for n in STRATEGIES if n not in of_candidates], closest, labels, budget=60, **known)
    given = Candidates(closest, labels, entropy, embed=lambda: found, target=1, given=rng.permutation(300))
    made |= strategies_of(of_candidates, given, budget=60)
    assert tuple(made) == tuple(STRATEGIES)
    for name, strategy in made.items():
        labelled, bag = strategy(3)
        again = strategy(3)
        assert [a.tolist() for a in again] == [labelled.tolist(), bag.tolist()]
        if name == "none":
            assert len(labelled) == len(bag) == 0
            continue
        assert len(labelled) == 60
        assert len(bag) == 80
        assert set(bag.tolist()) <= set(labelled.tolist())
    assert not correct[made["bl1"](0)[1]].any()
    wrong = select_bl1(correct, 60, seed=3)
    assert made["bl1"](3)[1].tolist() == bootstrap(wrong, 80, seed=3).tolist()
    sized = strategies(
        ["hudd", "random"], closest, labels, budget=9, entropy=entropy, correct=correct, size=17
    )
    assert [len(strategy(0)[1]) for strategy in sized.values()] == [17, 17]
    with pytest.raises(UsageError, match="choose any of: none, hudd"):
        strategies(["best"], closest, labels, budget=9, entropy=entropy, correct=correct)


def test_the_hybrid_takes_the_doubtful_inside_the_reach(problem):
    closest, labels, entropy, _ = problem
    plain, hybrid = (select_unsafe(closest, labels, budget=30, uncertainty=u) for u in (None, entropy))
    counts = [{c: len(i) for c, i in unsafe.by_cluster().items()} for unsafe in (plain, hybrid)]
    assert counts[0] == counts[1] == {1: 20, 2: 10}
    for column, cluster in enumerate(closest.clusters[:2]):
        first = hybrid.image[(hybrid.cluster == cluster) & (hybrid.rank == 0)]
        own = closest.distance[:, :2].argmin(axis=1) == column
        inside = own & (closest.distance[:, column] <= closest.reach[column])
        chosen = [i for i in first if inside[i]]
        left_out = np.setdiff1d(np.flatnonzero(inside), hybrid.image)
        assert (np.diff(entropy[chosen]) <= 0).all()
        if len(left_out):
            assert entropy[left_out].max() <= entropy[chosen].min()
            assert len(chosen) == len(first)


def test_the_hybrid_weighs_doubt_by_the_failure_rate(problem):
    closest, labels, entropy, correct = problem
    failure = np.where(np.arange(300) % 3 == 0, 1.0, 1e-6)
    options = {"budget": 30, "entropy": entropy, "correct": correct}
    chosen, _ = strategies(["hybrid"], closest, labels, failure=failure, **options)["hybrid"](0)
    expected = select_unsafe(closest, labels, budget=30, uncertainty=sampled_doubt(entropy * failure, seed=0))
    assert chosen.tolist() == expected.image.tolist()
    assert (chosen % 3 == 0).mean() > 0.5


def test_reach_can_be_left_out():
    closest = closest_members(np.eye(3), np.eye(3), np.array([1, 1, 2]), reach=False)
    assert isinstance(closest, ClosestMembers)
    assert np.isnan(closest.reach).all()


@pytest.mark.parametrize("bad", [np.ones(4), np.full(300, np.nan)])
def test_wrong_uncertainty_is_named(problem, bad):
    closest, labels, _, _ = problem
    with pytest.raises(UsageError, match="300 finite numbers"):
        select_unsafe(closest, labels, budget=5, uncertainty=bad)


@pytest.mark.parametrize(
    ("name", "needed"), [("cause", "its number as `cause`"), ("given", "its file as `images`")]
)
def test_a_cause_or_a_list_is_asked_for(problem, name, needed):
    closest, labels, entropy, _ = problem
    with pytest.raises(UsageError, match=needed):
        strategies_of([name], Candidates(closest, labels, entropy), budget=9)[name](0)


@pytest.mark.parametrize("name", ["margin", "badge", "core-set", "typiclust", "entropy-kmeans"])
def test_features_of_the_last_layer_are_asked_for(problem, name):
    closest, labels, entropy, correct = problem
    made = strategies([name], closest, labels, budget=9, entropy=entropy, correct=correct)
    with pytest.raises(UsageError, match="give `embed`"):
        made[name](0)


def test_predicted_classes_are_asked_for(problem):
    closest, labels, entropy, correct = problem
    made = strategies(["class-balanced-entropy"], closest, labels, budget=9, entropy=entropy, correct=correct)
    with pytest.raises(UsageError, match="give `prediction`"):
        made["class-balanced-entropy"](0)


def test_an_embedding_has_a_row_an_image():
    with pytest.raises(UsageError, match="a row of features, residual and margin an image"):
        Embedding(np.ones((3, 2)), np.ones((2, 2)), np.ones(3))
