"""RootCauses: scikit-learn's checks, agreement with `hudd.cluster`, and new failures."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

import hudd
from hudd.errors import UsageError
from hudd.study.settings import Settings

RNG = np.random.default_rng(0)
CENTRES = 4 * RNG.standard_normal((6, 12))
TRUTH = RNG.integers(0, 6, 90)
ROWS = CENTRES[TRUTH] + 0.2 * RNG.standard_normal((90, 12))
NEW = CENTRES[[3, 0, 5, 5]] + 0.2 * RNG.standard_normal((4, 12))

OPTIONS = [
    {},
    {"preset": "hudd"},
    {"preset": "safe", "reduction": "none"},
    {"clusterer": "kmeans", "reduction": "pca"},
    {"clusterer": "hdbscan", "reduction": "random-projection"},
    {"clusterer": "average", "cluster_size": 9, "unit_norm": True},
]

# scikit-learn's check hands rows of features to estimators that take distances, too.
DISTANCES_ONLY = {"check_clustering", "check_positive_only_tag_during_fit"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "options", [{}, {"clusterer": "hdbscan", "reduction": "pca"}, {"metric": "precomputed"}]
)
def test_scikit_learn_accepts_it(options):
    exempt = DISTANCES_ONLY if "metric" in options else set()
    if not hasattr(estimator_checks, "estimator_checks_generator"):  # scikit-learn before 1.6
        for estimator, check in estimator_checks.check_estimator(
            hudd.RootCauses(**options), generate_only=True
        ):
            if check.func.__name__ not in exempt:
                check(estimator)
        return
    results = estimator_checks.check_estimator(hudd.RootCauses(**options), on_fail=None)
    failed = {found["check_name"]: found["exception"] for found in results if found["status"] == "failed"}
    assert set(failed) == exempt, failed
    assert len(results) > 30


@pytest.mark.parametrize("options", OPTIONS)
def test_it_finds_what_cluster_finds(options):
    causes = hudd.RootCauses(**options).fit(ROWS)
    wanted = hudd.cluster(ROWS, **{"preset": "moments", **options})
    kept = causes.labels_ >= 0
    np.testing.assert_array_equal(causes.labels_[kept], wanted.labels[kept] - 1)
    assert (wanted.labels[~kept] > causes.n_clusters_).all()
    assert set(causes.labels_[kept]) == set(range(causes.n_clusters_))
    np.testing.assert_array_equal(causes.labels_[causes.medoid_indices_], range(causes.n_clusters_))
    np.testing.assert_array_equal(hudd.RootCauses(**options).fit_predict(ROWS), causes.labels_)


def test_the_default_is_that_of_a_study():
    assert hudd.RootCauses().preset == Settings(model="m", test="t").preset
    assert hudd.RootCauses().fit(ROWS).n_clusters_ == 6  # 15 failures a cluster


@pytest.mark.parametrize("options", OPTIONS)
def test_new_failures_go_to_the_cause_of_the_closest(options):
    causes = hudd.RootCauses(**options).fit(ROWS)
    np.testing.assert_array_equal(causes.predict(ROWS), causes.labels_)
    found = causes.predict(NEW)
    one_by_one = np.concatenate([causes.predict(row[None]) for row in NEW])
    np.testing.assert_array_equal(found, one_by_one)
    for label, truth in zip(found, [3, 0, 5, 5]):
        assert label in causes.labels_[truth == TRUTH]


def test_distances_give_the_same_causes():
    causes = hudd.RootCauses().fit(ROWS)
    taken = hudd.RootCauses(metric="precomputed").fit(hudd.pairwise_distances(ROWS))
    np.testing.assert_array_equal(taken.labels_, causes.labels_)
    np.testing.assert_array_equal(taken.predict(hudd.pairwise_distances(NEW, ROWS)), causes.predict(NEW))
    flat = hudd.RootCauses(metric="precomputed").fit(hudd.pairwise_distances(ROWS, condensed=True))
    np.testing.assert_array_equal(flat.labels_, causes.labels_)
    np.testing.assert_array_equal(flat.predict(hudd.pairwise_distances(NEW, ROWS)), causes.predict(NEW))


def test_it_goes_into_pipelines_and_files():
    whole = make_pipeline(StandardScaler(), hudd.RootCauses(random_state=3)).fit(ROWS)
    assert adjusted_rand_score(whole.predict(ROWS), TRUTH) > 0.9
    again = pickle.loads(pickle.dumps(whole))
    np.testing.assert_array_equal(again.predict(NEW), whole.predict(NEW))
    copy = clone(hudd.RootCauses("hudd", max_clusters=4))
    assert copy.get_params()["max_clusters"] == 4
    assert copy.set_params(max_clusters=3).fit(ROWS).n_clusters_ <= 3


def test_heatmaps_and_tensors_are_rows():
    heatmaps = ROWS.reshape(90, 3, 2, 2)
    causes = hudd.RootCauses().fit(torch.from_numpy(heatmaps))
    np.testing.assert_array_equal(causes.labels_, hudd.RootCauses().fit(ROWS).labels_)
    np.testing.assert_array_equal(causes.predict(NEW.reshape(4, 3, 2, 2)), causes.predict(NEW))


@pytest.mark.parametrize(
    ("options", "data", "message"),
    [
        ({"preset": "best"}, ROWS, "preset 'best'"),
        ({"clusterer": "birch"}, ROWS, "'birch'"),
        ({"clusterer": "dbscan", "max_clusters": 4}, ROWS, "no effect"),
        ({}, np.where(ROWS > 4, np.nan, ROWS), "NaN"),
        ({}, ROWS[0], "1D array"),
        ({"metric": "precomputed"}, ROWS, r"shape \(90, 12\)"),
    ],
)
def test_wrong_calls_are_usage_errors(options, data, message):
    with pytest.raises(UsageError, match=message):
        hudd.RootCauses(**options).fit(data)


def test_features_of_another_width_are_refused():
    with pytest.raises(UsageError, match="12 features"):
        hudd.RootCauses().fit(ROWS).predict(ROWS[:, :5])
