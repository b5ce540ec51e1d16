"""Purity and coverage on cases worked out by hand, and their laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.errors import UsageError
from hudd.evaluation import purity_coverage


def test_by_hand():
    labels = np.array([1, 1, 1, 1, 2, 2, 3, 3, 4, 0])
    causes = np.array(["blur", "blur", "blur", "noise", "dark", "dark", "blur", "blur", "noise", "tilt"])
    result = purity_coverage(labels, causes)
    assert result.clusters.tolist() == [1, 2, 3]
    assert result.majority == ("blur", "dark", "blur")
    assert result.purity.tolist() == [0.75, 1, 1]
    assert result.weighted_purity == pytest.approx(7 / 8)
    assert result.mean_purity == pytest.approx(2.75 / 3)
    assert result.coverage == 2 / 4
    assert result.strict_coverage == 2 / 4
    assert purity_coverage(labels, causes, strict=1.01).strict_coverage == 0
    assert purity_coverage(labels, causes, min_size=1).coverage == 3 / 4
    assert purity_coverage(labels, causes, ignore=("tilt",)).coverage == 2 / 3
    assert result.to_dict()["clusters"][0] == {"cluster": 1, "size": 4, "majority": "blur", "purity": 0.75}


def test_only_images_in_clusters_and_of_causes_that_count_are_measured():
    labels = np.array([3, 3, 3, 3, 1, 1, -2, 0, 7])
    causes = np.array(["b", "a", "a", "b", "c", "x", "d", "d", "x"])
    result = purity_coverage(labels, causes, ignore=("x",), min_size=1)
    assert result.clusters.tolist() == [1, 3]
    assert result.size.tolist() == [1, 4]
    assert result.majority == ("c", "a")  # of as many, the first
    assert (result.causes, result.images) == (("a", "b", "c", "d"), 7)
    assert (result.weighted_purity, result.mean_purity) == (3 / 5, 0.75)
    assert (result.coverage, result.strict_coverage) == (2 / 4, 1 / 4)
    assert purity_coverage(labels, causes, ignore=("x",), strict=0.5).strict_coverage == 1 / 4
    assert result.to_dict()["images"] == 7


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=50))
def test_laws(rows):
    labels, causes = np.array(rows).T
    result = purity_coverage(labels, causes)
    assert 0 <= result.strict_coverage <= result.coverage <= 1
    assert (result.purity >= 1 / len(result.causes)).all()
    if len(result.clusters):
        assert result.purity.min() <= result.weighted_purity <= result.purity.max() + 1e-12
    ideal = purity_coverage(causes + 1, causes, min_size=1)
    assert (ideal.weighted_purity, ideal.coverage, ideal.strict_coverage) == (1, 1, 1)


def test_what_has_no_cause_is_none_to_cover():
    labels = np.array([1, 1, 2, 2])
    result = purity_coverage(labels, np.array(["blur", "blur", "none", "none"]))
    assert (result.coverage, result.strict_coverage, result.weighted_purity) == (1, 1, 1)
    assert result.majority == ("blur", "none")
    assert purity_coverage(np.ones(4, int), np.array(["none", "none", "none", "dark"])).coverage == 0
    assert purity_coverage(labels, np.array(["a", "a", "b", "c"]), natural=("b", "c")).coverage == 1


def test_what_cannot_be_measured_is_no_number():
    alone = purity_coverage(np.array([1, 2]), np.array(["blur", "dark"]))
    assert np.isnan([alone.weighted_purity, alone.mean_purity]).all()
    assert alone.coverage == 0
    assert np.isnan(purity_coverage(np.array([1, 1]), np.array(["none", "none"])).coverage)


def test_wrong_calls_are_named():
    with pytest.raises(UsageError, match="same images"):
        purity_coverage(np.array([1, 1]), np.array(["a"]))
    with pytest.raises(UsageError, match="same images"):
        purity_coverage(np.ones((2, 2), int), np.full((2, 2), "a"))
    with pytest.raises(UsageError, match="no image has a cause"):
        purity_coverage(np.array([1, 1]), np.array(["a", "a"]), ignore=("a",))
