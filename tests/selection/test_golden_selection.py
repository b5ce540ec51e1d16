"""The original's selections and bags, list for list, under preset hudd-2021."""

import numpy as np
import pytest

from hudd.selection import (
    ClosestMembers,
    closest_members,
    cluster_budgets,
    cluster_sizes,
    select_unsafe,
    smart_bagging,
)

CASES = ["c1", "c3_large_distances"]
FACTORS = ["0.3", "0.5", "1", "2", "6"]


@pytest.mark.parametrize("case", CASES)
def test_closest_member_distances(golden, case):
    arrays, _ = golden
    labels = arrays[f"{case}/test_cluster"]
    closest = closest_members(arrays[f"{case}/improve_hm"], arrays[f"{case}/test_hm"], labels)
    np.testing.assert_array_equal(closest.clusters, arrays[f"{case}/cluster_order"])
    np.testing.assert_allclose(closest.distance, arrays[f"{case}/closest_member_distance"], rtol=1e-5)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("case", CASES)
def test_budgets_and_lists_in_order(golden, case, factor):
    arrays, lists = golden
    labels, record = arrays[f"{case}/test_cluster"], lists[case][factor]
    clusters, size = cluster_sizes(labels)
    budget = {str(c): b for c, b in zip(clusters, cluster_budgets(size, float(factor))) if b}
    assert budget == record["budget"]

    distances = arrays[f"{case}/closest_member_distance"]
    order = np.array(record["retrainList_after_shuffle"])
    for how in ({"order": order}, {"seed": 1234}):  # the golden lists were shuffled by random.seed(1234)
        unsafe = select_unsafe(distances, labels, preset="hudd-2021", factor=float(factor), **how)
        assigned = {str(c): images.tolist() for c, images in unsafe.by_cluster().items()}
        assert assigned == {c: images for c, images in record["assigned"].items() if images}
        cluster_of = dict(zip(unsafe.image.tolist(), unsafe.cluster.tolist()))
        assert [cluster_of.get(i, -1) for i in order] == record["actualCluster_in_that_order"]


@pytest.mark.parametrize("case", CASES)
def test_lists_from_the_heatmaps_themselves(golden, case):
    arrays, lists = golden
    labels, record = arrays[f"{case}/test_cluster"], lists[case]["2"]
    closest = closest_members(arrays[f"{case}/improve_hm"], arrays[f"{case}/test_hm"], labels)
    unsafe = select_unsafe(closest, labels, preset="hudd-2021", factor=2, seed=1234)
    assigned = {str(c): images.tolist() for c, images in unsafe.by_cluster().items()}
    assert assigned == {c: images for c, images in record["assigned"].items() if images}


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("case", CASES)
def test_smart_bagging(golden, case, factor):
    arrays, lists = golden
    labels, record = arrays[f"{case}/test_cluster"], lists[case][factor]
    closest = ClosestMembers.from_matrix(arrays[f"{case}/closest_member_distance"], labels)
    order = np.array(record["retrainList_after_shuffle"])
    unsafe = select_unsafe(closest, labels, preset="hudd-2021", factor=float(factor), order=order)
    bag = smart_bagging(closest, unsafe, factor=float(factor), order=order, seed=4321)
    assert bag.tolist() == record["generateSmartBaggingHM"]
