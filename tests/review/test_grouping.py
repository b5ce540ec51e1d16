import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform

from hudd.clustering.pairs import Matrix
from hudd.errors import HuddError, UsageError
from hudd.review import grouping
from hudd.review.labelling import Labels
from hudd.review.review import Review
from hudd.review.view import view
from hudd.study import Clusters
from hudd.study.wording import rules_of


def found(count, k, seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 3))
    label = np.concatenate([np.arange(1, k + 1), rng.integers(1, k + 1, count - k)])
    square = squareform(pdist(points))
    members = [np.flatnonzero(label == c) for c in range(1, k + 1)]
    medoid = [rows[square[np.ix_(rows, rows)].sum(1).argmin()] for rows in members]
    return Clusters(label, np.array(medoid), "a"), Matrix(pdist(points).astype(np.float32))


@settings(max_examples=40, deadline=None)
@given(st.integers(6, 30), st.integers(2, 5), st.integers(0, 999), st.data())
def test_any_edits_leave_a_whole_grouping(count, k, seed, data):
    clusters, pairs = found(count, k, seed)
    groups, square = grouping.as_found(clusters), squareform(pairs.condensed.astype(float))
    for _ in range(data.draw(st.integers(1, 6))):
        numbers = sorted(groups.medoid)
        sizes = {n: int((groups.label == n).sum()) for n in numbers}
        if len(numbers) > 1 and data.draw(st.booleans()):
            into, other = data.draw(st.permutations(numbers))[:2]
            groups = grouping.merge(groups, into, other, pairs)
            assert (groups.label == into).sum() == sizes[into] + sizes[other]
            assert other not in groups.medoid
        elif any(size > 1 for size in sizes.values()):
            number = data.draw(st.sampled_from([n for n in numbers if sizes[n] > 1]))
            groups = grouping.split(groups, number, pairs)
            assert groups.last not in sizes
            assert (np.isin(groups.label, [number, groups.last])).sum() == sizes[number]
        assert set(groups.label) == set(groups.medoid) == set(groups.key)
        for number, medoid in groups.medoid.items():
            rows = np.flatnonzero(groups.label == number)
            sums = square[np.ix_(rows, rows)].sum(1)
            assert groups.label[medoid] == groups.label[groups.key[number]] == number
            assert sums[rows == medoid][0] <= sums.min() + 1e-4


def test_a_split_parts_what_lies_apart():
    points = np.array([0.0, 0.1, 0.2, 5.0, 5.1])[:, None]
    clusters = Clusters(np.ones(5, np.int64), np.array([1]), "a")
    groups = grouping.split(grouping.as_found(clusters), 1, Matrix(pdist(points).astype(np.float32)))
    assert groups.label.tolist() == [1, 1, 1, 2, 2]
    assert groups.key[1] == 1


@pytest.fixture
def study(make_study):
    study = make_study()
    study.path.mkdir()
    return study


def test_edits_are_saved_and_undone(study):
    own = study.clusters.label.copy()
    review = Review(study)
    review.set(3, name="glare", note="at noon")
    review.merge(3, 1)
    review.split(2)
    assert sorted(review.groups.medoid) == [2, 3, 4]
    again = Review(study)
    np.testing.assert_array_equal(again.groups.label, review.groups.label)
    assert again.of(3) == {"name": "glare", "note": "at noon"}
    assert again.edits == 2
    again.undo()
    assert sorted(again.groups.medoid) == [2, 3]
    again.undo()
    np.testing.assert_array_equal(Review(study).groups.label, own)
    assert Review(study).of(3)["name"] == "glare"
    with pytest.raises(UsageError, match="no merge or split"):
        again.undo()
    np.testing.assert_array_equal(study.clusters.label, own)


def test_wrong_edits_change_nothing(study):
    review = Review(study)
    for wrong in (lambda: review.merge(1, 1), lambda: review.merge(1, 9), lambda: review.split(9)):
        with pytest.raises(UsageError, match="cluster"):
            wrong()
    assert not review.file.exists()


def test_edits_of_clusters_that_are_no_more_do_nothing(study):
    review = Review(study)
    review.merge(1, 2)
    study.clusters.layer = "features.0"
    later = Review(study)
    assert later.stale == 1
    assert not later.groups.origin
    np.testing.assert_array_equal(view(study).clusters.label, study.clusters.label)
    assert (view(study).edits, view(study).stale) == (1, 1)


def test_unsafe_set_and_rules_follow_the_edits(study):
    Review(study).split(1)
    found = view(study)
    assert view(found) is found
    assert found.clusters.medoid.tolist()[3] >= 0
    own, unsafe = study.selection, found.selection
    assert (unsafe.cluster[own.cluster != 1] == own.cluster[own.cluster != 1]).all()
    assert set(unsafe.cluster[own.cluster == 1]) <= {1, 4}
    nearest = study.nearest_members(own.image, own.cluster)
    np.testing.assert_array_equal(unsafe.cluster, found.clusters.label[nearest])
    evaluation = found.evaluation
    assert sorted(evaluation["rules"]["cluster"]) == [1, 2, 3, 4]
    assert evaluation["variance"]["reduction"].shape == (4, 1)
    assert set(evaluation["purity"]["cluster"]) == {1, 2, 3, 4}


def test_rules_of_edited_clusters_are_set_against_other_test_images(study):
    """Among errors nothing may tell a merged cluster apart that does among all test images of its classes."""
    angle = study.split("test").parameters["angle"]
    angle[:] = 0.0
    angle[study.errors] = 30.0  # every error, so that no rule among errors alone can be found
    Review(study).merge(1, 2)
    rules = view(study).evaluation["rules"]
    assert sorted(rules["cluster"]) == [1, 3]
    at = rules["cluster"].tolist().index(1)
    labels = view(study).clusters.label
    (rule,) = rules_of(study, np.where(labels == 1, 1, 0))
    assert rules["text"][at] == rule.text
    assert rule.text.startswith("angle >")
    assert rules["recall"][at] == rule.recall == 1
    assert rules["precision"][at] == pytest.approx((labels == 1).mean())


@pytest.mark.parametrize(
    "edits", [[{"merge": ["a"]}], [{"layer": "x", "merge": ["a", "a"]}], [{"layer": "x"}], {"a": 1}, [3]]
)
def test_broken_edits_are_named(study, edits):
    (study.path / "review.json").write_text(json.dumps({"clusters": {}, "edits": edits}))
    with pytest.raises(HuddError, match=r"review\.json"):
        Review(study)


def test_labels_know_nothing_of_edits(study):
    before = Labels(study).images.tolist()
    Review(study).merge(1, 2)
    assert Labels(study).images.tolist() == before
