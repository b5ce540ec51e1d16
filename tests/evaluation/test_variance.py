"""Variance reduction against NumPy's and SciPy's variances, its laws and its null."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import circstd, circvar, hypergeom

from hudd.errors import UsageError
from hudd.evaluation import VarianceReduction, variance_reduction
from hudd.evaluation.variance import most_telling


@given(st.integers(0, 999), st.integers(2, 40), st.integers(1, 6), st.floats(-1e6, 1e6))
@settings(deadline=None)
def test_equals_the_definition(seed, count, groups, offset):
    rng = np.random.default_rng(seed)
    values, angle = rng.normal(size=count) + offset, rng.uniform(0, 360, count)
    labels = rng.integers(0, groups + 1, count)
    result = variance_reduction({"v": values, "a": angle}, labels, angles={"a": 360})
    assert result.clusters.tolist() == [c for c in range(1, groups + 1) if (labels == c).sum() > 1]
    for cluster, (linear, circular) in zip(result.clusters, result.reduction):
        inside = labels == cluster
        assert linear == pytest.approx(1 - values[inside].var(ddof=1) / values.var(ddof=1), abs=1e-6)
        assert circular == pytest.approx(1 - circvar(angle[inside], 360) / circvar(angle, 360), abs=1e-6)


def test_angles_are_the_same_on_either_side_of_north():
    angle = np.array([359.0, 1, 2, 358, 90, 180, 270, 200])
    labels = np.array([1, 1, 1, 1, 2, 2, 2, 2])
    circular = variance_reduction({"a": angle}, labels, angles={"a": 360}).reduction
    linear = variance_reduction({"a": angle}, labels).reduction
    assert circular[0, 0] > 0.99
    assert linear[0, 0] < 0


@given(st.integers(0, 99), st.floats(-400, 400))
def test_where_angles_are_counted_from_does_not_matter(seed, by):
    rng = np.random.default_rng(seed)
    angle, labels = rng.normal(0, 50, 20), rng.integers(1, 4, 20)
    found, again = (
        variance_reduction({"a": values}, labels, angles={"a": 360}) for values in (angle, angle + by)
    )
    np.testing.assert_allclose(again.reduction, found.reduction, atol=1e-9)
    np.testing.assert_allclose(again.shift, found.shift, atol=1e-9)


def test_constants_text_and_missing_values():
    labels = np.array([1, 1, 1, 2, 2, 2])
    result = variance_reduction(
        {
            "same": np.full(6, 7.0),
            "name": np.array(list("abcdef")),
            "gaps": np.array([1, 1, np.nan, 5, np.nan, 9]),
        },
        labels,
    )
    assert result.parameters == ("same", "gaps")
    assert result.reduction[:, 0].tolist() == [0, 0]
    total = np.var([1, 1, 5, 9], ddof=1)
    np.testing.assert_allclose(result.reduction[:, 1], [1, 1 - np.var([5, 9], ddof=1) / total])


def test_the_null_tells_causes_from_chance():
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 2], [30, 60])
    noise = {f"noise{i}": rng.normal(size=90) for i in range(8)}
    real = {**noise, "width": np.where(labels == 1, 20 + rng.normal(size=90), rng.uniform(20, 90, 90))}
    assert variance_reduction(real, labels, permutations=199).p_value[0] == pytest.approx(1 / 200)
    found = variance_reduction(noise, labels, permutations=199)
    assert (found.p_value > 0.02).all()
    assert found.chance < 0.5
    assert found.to_dict()["share_reduced_by_chance"] == found.chance
    tiny = np.repeat(np.arange(1, 31), 3)  # clusters of three halve one of eight variances by chance
    assert variance_reduction(noise, tiny, permutations=99).chance > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("members", [0, 3, 6, 7])
def test_ties_count_among_what_chance_does(members):
    # A cluster of 7 among 60, of which 27 have a flag: how many of the 7 have it is hypergeometric.
    flag, labels = np.repeat([1.0, 0.0], [27, 33]), np.zeros(60, int)
    labels[:members], labels[60 - 7 + members :] = 1, 1

    def telling(k):
        values = np.repeat([1.0, 0.0], [k, 7 - k])
        reduction = 1 - values.var(ddof=1) / flag.var(ddof=1)
        return round(reduction, 9), round(abs(values.mean() - flag.mean()), 9)

    exact = sum(hypergeom(60, 27, 7).pmf(k) for k in range(8) if telling(k) >= telling(members))
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(60)
        (found,) = variance_reduction(
            {"flag": flag[order]}, labels[order], permutations=999, seed=seed
        ).p_value
        assert found == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 999) + 1e-3)


@given(st.integers(-300, 300), st.integers(0, 99))
def test_the_unit_does_not_matter(exponent, seed):
    rng = np.random.default_rng(seed)
    values, labels = rng.normal(size=30), rng.integers(1, 4, 30)
    plain = variance_reduction({"p": values}, labels)
    scaled = variance_reduction({"p": values * 10.0**exponent}, labels)
    np.testing.assert_allclose(scaled.reduction, plain.reduction, atol=1e-12)
    np.testing.assert_allclose(scaled.shift, plain.shift, atol=1e-12)


@pytest.mark.parametrize("value", [0.1, 1.7e18, 1e-200, 1e200])
def test_a_constant_of_any_size_is_not_reduced(value):
    result = variance_reduction({"p": np.full(9, value)}, np.repeat([1, 2, 3], 3))
    assert (result.reduction == 0).all()
    assert (result.shift == 0).all()


@pytest.mark.parametrize("seed", range(20))
def test_no_variance_is_reduced_by_more_than_all_of_it(seed):
    labels = np.repeat(np.arange(1, 21), 3)
    constant = np.repeat(np.random.default_rng(seed).normal(size=20), 3)
    found = variance_reduction({"p": constant, "a": 100 * constant}, labels, angles={"a": 360})
    assert (found.reduction <= 1).all()
    np.testing.assert_allclose(found.reduction, 1, atol=1e-12)


def test_of_constants_the_one_farthest_from_the_rest_tells_most():
    labels = np.repeat([1, 2, 3], 10)
    parameters = {  # cluster 2 is dark, cluster 3 blurred; both are faults that the first does not have
        "blur": np.repeat([0.0, 0.0, 3.0], 10),
        "light": np.repeat([1.0, 0.1, 1.0], 10),
    }
    result = variance_reduction(parameters, labels)
    assert (result.reduction == 1).all()
    assert result.order[:, 0].tolist()[1:] == [1, 0]
    for name, column in zip(parameters, result.shift.T):
        values = parameters[name]
        expected = [abs(values[labels == c].mean() - values.mean()) / values.std(ddof=1) for c in (1, 2, 3)]
        np.testing.assert_allclose(column, expected)
    angle = np.repeat([350.0, 10.0, 0.0], 10)
    shift = variance_reduction({"a": angle}, labels, angles={"a": 360}).shift[:, 0]
    np.testing.assert_allclose(shift[:2], np.radians(10) / circstd(np.radians(angle)))
    assert shift[2] == pytest.approx(0, abs=1e-9)


def test_the_order_is_by_reduction_then_by_shift_whatever_its_direction():
    reduction = np.array([[0.2, 0.9, 0.9, 0.9, -1.0], [1.0, 1 - 1e-12, 0.5, 0.0, 1.0]])
    shift = np.array([[9.0, 1.0, 3.0, 2.0, 7.0], [0.5, 2.0, 9.0, 9.0, 1.0]])
    assert most_telling(reduction, shift).tolist() == [[2, 3, 1, 0, 4], [1, 4, 0, 2, 3]]
    first = np.array([[True, False, False, True, False]] * 2)
    assert most_telling(reduction, shift, first).tolist() == [[3, 0, 2, 1, 4], [0, 3, 1, 4, 2]]


def test_clusters_of_one_are_left_out_of_every_column():
    labels = np.array([5, 2, 2, 9, 7, 7, 7, -1, 0])
    found = variance_reduction({"p": np.arange(9.0)}, labels)
    assert found.clusters.tolist() == [2, 7]
    assert found.size.tolist() == [2, 3]
    assert [row["size"] for row in found.to_dict()["clusters"]] == [2, 3]


@pytest.mark.parametrize(("threshold", "share"), [(0.4, 1.0), (0.5, 0.5), (0.9, 0.5), (1.0, 0.0)])
def test_the_share_reduced_is_of_those_above_the_threshold(threshold, share):
    found = VarianceReduction(
        np.array([1, 2]), np.array([2, 2]), ("p", "q"), np.array([[0.5, -3.0], [0.1, 1.0]]), np.zeros((2, 2))
    )
    assert found.best.tolist() == [0.5, 1]
    assert found.share_reduced(threshold) == share
    summary = found.to_dict()
    assert (summary["share_reduced_by_half"], summary["mean_best_reduction"]) == (0.5, 0.75)
    assert summary["mean_reduction"] == pytest.approx(-1.4 / 4)
    assert summary["clusters"][1] == {
        "cluster": 2, "size": 2, "reduction": {"p": 0.1, "q": 1.0}, "best_parameter": "q",
    }  # fmt: skip


def test_summary():
    labels = np.array([1, 1, 2, 2, 3])
    summary = variance_reduction({"p": np.array([0.0, 0.1, 0.0, 9, 5])}, labels).to_dict()
    assert summary["share_reduced_by_half"] == 0.5
    assert [row["cluster"] for row in summary["clusters"]] == [1, 2]
    assert summary["clusters"][0]["best_parameter"] == "p"
    empty = variance_reduction({"p": np.arange(3.0)}, np.array([1, 2, 3]))
    assert empty.to_dict()["share_reduced_by_half"] == 0.0


def test_wrong_calls_are_named():
    with pytest.raises(UsageError, match="numeric"):
        variance_reduction({"name": np.array(["a", "b"])}, np.array([1, 1]))
    with pytest.raises(UsageError, match="'p' has shape"):
        variance_reduction({"p": np.arange(3)}, np.array([1, 1]))
    with pytest.raises(UsageError, match="angles"):
        variance_reduction({"p": np.arange(2)}, np.array([1, 1]), angles={"q": 360})


@pytest.mark.parametrize("period", [0, -360, float("nan")])
def test_a_period_is_above_zero(period):
    with pytest.raises(UsageError, match="the period of angle 'p' is"):
        variance_reduction({"p": np.arange(2)}, np.array([1, 1]), angles={"p": period})
