import numpy as np
import pytest
from scipy.cluster import hierarchy

from hudd.clustering import linkage
from hudd.clustering.vectors import linkage_vectors
from hudd.distances import pairwise_distances
from hudd.errors import UsageError


@pytest.mark.parametrize("unit_norm", [False, True])
@pytest.mark.parametrize("shape", [(2, 3), (3, 1), (40, 2), (150, 200), (90, 3, 5, 5)])
def test_agrees_with_the_matrix_form(shape, unit_norm):
    rng = np.random.default_rng(0)
    x = (
        rng.standard_normal(shape) + 3 * rng.standard_normal((5, *shape[1:]))[rng.integers(0, 5, shape[0])]
    ) * 1e8
    found = linkage_vectors(x, unit_norm=unit_norm)
    wanted = linkage(pairwise_distances(x, condensed=True, unit_norm=unit_norm))
    np.testing.assert_array_equal(found[:, [0, 1, 3]], wanted[:, [0, 1, 3]])
    np.testing.assert_allclose(found[:, 2], wanted[:, 2], rtol=1e-5, atol=1e-7 * wanted[-1, 2])


def test_duplicates_merge_at_zero():
    x = np.random.default_rng(1).integers(0, 3, (60, 2))
    z = linkage_vectors(x)
    assert hierarchy.is_valid_linkage(z)
    assert hierarchy.is_monotonic(z)
    assert (z[:, 2] == 0).sum() == 60 - len(np.unique(x, axis=0))


def test_one_row():
    assert linkage_vectors(np.ones((1, 4))).shape == (0, 4)


def test_wrong_calls_say_what_to_do():
    with pytest.raises(UsageError, match="method must be 'ward'"):
        linkage_vectors(np.ones((3, 4)), "average")
    with pytest.raises(UsageError, match="shape"):
        linkage_vectors(np.ones(4))
    x = np.ones((9, 4))
    x[7, 1] = np.nan
    for unit_norm in (False, True):
        with pytest.raises(UsageError, match="row 7"):
            linkage_vectors(x, unit_norm=unit_norm)
