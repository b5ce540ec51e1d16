"""Labels by root cause: shares by errors, within the reach, uncertain, unlike."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from hudd.errors import HuddError, UsageError
from hudd.selection import Candidates, ClosestMembers, Embedding, select_by_cause, select_for_cause

LABELS = np.repeat([1, 2, 3, 4], [30, 20, 40, 10])  # clusters
CAUSE = np.repeat([2, 2, 1, 0], [30, 20, 40, 10])


def candidates(count=400, seed=0, alike=None):
    rng = np.random.default_rng(seed)
    reach = np.array([1.0, 1.0, 1.0, 1.0])
    closest = ClosestMembers(
        np.array([1, 2, 3, 4]), np.array([30, 20, 40, 10]), rng.uniform(0.5, 3, (count, 4)),
        np.zeros((count, 4), np.int64), reach,
    )  # fmt: skip
    features = rng.normal(size=(count, 6)).astype(np.float32)
    found = Embedding(features, np.zeros((count, 1), np.float32), np.zeros(count, np.float32))
    return Candidates(closest, LABELS, rng.random(count), embed=lambda: found, cause=CAUSE, alike=alike)


def test_the_nearest_cause_is_that_of_the_nearest_cluster_within_its_reach():
    known = candidates()
    of_cluster = {1: 2, 2: 2, 3: 1, 4: 0}
    for row in range(50):
        distance = known.closest.distance[row]
        expected = of_cluster[int(distance.argmin()) + 1] if distance.min() <= 1 else 0
        assert known.nearest_cause[row] == expected


def test_causes_have_the_shares_of_their_errors():
    known = candidates()
    chosen = select_by_cause(known, 40)
    assert len(set(chosen.tolist())) == 40
    uncertain = np.argsort(-known.entropy)[:160]
    assert set(chosen.tolist()) <= set(uncertain.tolist())
    available = np.bincount(known.nearest_cause[uncertain], minlength=3)
    counts = np.bincount(known.nearest_cause[chosen], minlength=3)
    assert counts[1] >= min(16, available[1])  # 40 of 100 errors
    assert counts[2] >= min(20, available[2])
    assert (np.diff(known.entropy[chosen[:16]]) <= 0).all()


def test_a_cause_with_nothing_in_common_has_no_share_and_can_be_asked_for():
    known = replace(candidates(), common=np.array([True, False]))
    assert set(known.nearest_cause.tolist()) == {0, 1}
    assert known.common_cause.tolist() == np.where(CAUSE == 1, 1, 0).tolist()
    assert select_for_cause(known, 2, 5).tolist() == select_for_cause(candidates(), 2, 5).tolist()
    alone = replace(candidates(), cause=np.where(CAUSE == 1, 1, 0))
    assert select_by_cause(known, 40).tolist() == select_by_cause(alone, 40).tolist()


def test_what_looks_alike_is_labelled_once():
    groups = np.arange(400) // 10
    known = candidates(alike=lambda rows: groups[rows])
    chosen = select_by_cause(known, 20)
    assert len(set(groups[chosen].tolist())) == len(chosen) == 20
    assert (
        len(set(select_by_cause(known, 60).tolist())) == 60
    )  # there are 40 groups: others make up the number
    one = select_for_cause(known, 1, 5)
    assert len(set(groups[one].tolist())) == 5


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(0, 99), st.data())
def test_distinct_rows_within_the_budget(count, seed, data):
    known = candidates(count, seed)
    budget = data.draw(st.integers(0, count))
    chosen = select_by_cause(known, budget, seed=seed)
    assert len(set(chosen.tolist())) == len(chosen) == budget
    if not np.isin(known.closest.distance.argmin(axis=1), [0, 1]).any():
        with pytest.raises(HuddError, match="no improvement image is closest to cause 2"):
            select_for_cause(known, 2, budget, seed=seed)
        return
    one = select_for_cause(known, 2, budget, seed=seed)
    assert len(set(one.tolist())) == len(one) <= budget
    nearest = known.closest.distance[one].argmin(axis=1)
    assert set(nearest.tolist()) <= {0, 1}
    assert len(one) == min(budget, np.isin(known.closest.distance.argmin(axis=1), [0, 1]).sum())


def test_one_cause_takes_unlike_images_of_the_closest():
    known = candidates(2000)
    chosen = select_for_cause(known, 1, 10)
    distance = known.closest.distance
    own = np.flatnonzero(distance.argmin(axis=1) == 2)
    inside = own[distance[own, 2] <= 1]
    assert set(chosen.tolist()) <= set(inside.tolist())
    features = known.embedding.features
    chosen_apart = pdist(features[chosen]).min()
    assert chosen_apart > np.median([pdist(features[some]).min() for some in random_tens(inside)])
    assert (np.diff(known.entropy[chosen]) <= 0).all()


def test_of_a_cluster_of_one_its_likes_come_first():
    known = candidates()
    own = np.flatnonzero(known.closest.distance.argmin(axis=1) == 2)
    alike, apart = own[20:32], np.setdiff1d(own, own[20:32])
    known.closest.reach[2] = 0.0
    known.closest.distance[alike, 2] = 0.0
    known.closest.distance[np.ix_(apart, [0, 1, 3])] += 9
    known.closest.distance[apart, 2] += 9
    assert set(select_for_cause(known, 1, 3).tolist()) <= set(alike.tolist())


def random_tens(rows):
    rng = np.random.default_rng(0)
    return [rng.choice(rows, 10, replace=False) for _ in range(99)]


def test_a_cause_that_is_not_there_is_named():
    with pytest.raises(UsageError, match=r"there is no cause 3; choose one of: \[1, 2\]"):
        select_for_cause(candidates(), 3, 5)
    with pytest.raises(UsageError, match="401 images were asked for"):
        select_by_cause(candidates(), 401)


def test_images_like_failures_come_first():
    known = candidates()
    likely = np.arange(len(known)) < 100
    found = replace(known, estimate=lambda: np.where(likely, 0.9, 0.01))
    assert likely[select_by_cause(found, 20)].all()
    assert not likely[select_by_cause(known, 20)].all()
