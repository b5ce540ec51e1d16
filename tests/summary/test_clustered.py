"""What the line of the cluster step says where clusters tell little or there are none."""

from types import SimpleNamespace

import numpy as np
import pytest

from hudd.clustering import Clustering
from hudd.summary.headline import describe


def findings(labels, clusterer="hdbscan", linkage=0, scaled=0.5):
    labels = np.array(labels)
    k = labels.max()
    found = Clustering(
        labels,
        k,
        np.empty(0, int),
        np.empty(0),
        np.empty(0),
        np.empty((linkage, 4)),
        np.arange(k),
        0.1,
        scaled,
    )
    choices = SimpleNamespace(features="moments", clusterer=clusterer)
    return SimpleNamespace(
        clusters=SimpleNamespace(label=labels),
        settings=SimpleNamespace(choices=choices),
        chosen_layer="moments",
        clustering_of=lambda layer: found,
    )


ALL = np.arange(1, 13)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (
            findings(ALL, scaled=0.0),
            "HDBSCAN left 12 of 12 errors unclustered; nothing can be selected; try --clusterer ward, which clusters "
            "them all",
        ),
        (findings(ALL, "dbscan"), "DBSCAN left 12 of 12 errors unclustered; nothing can be selected; try --clusterer "
         "ward, which clusters them all"),
        (findings([1, 1, 1, 2, 2, 3]), "2 clusters of 2 to 3 errors; HDBSCAN left 1 of 6 errors unclustered"),
        (findings([1, 1, 1, 2, 2, 3], "ward", 5), "3 clusters of 1 to 3 errors"),
        (findings([1, 1, 1, 2, 2, 3], "kmeans"), "3 clusters of 1 to 3 errors"),
        (
            findings([1, 1, 1, 2, 2], "ward", 4, 0.0),
            "2 clusters of 2 to 3 errors; they tell little: the errors fall together on 2 points; try another --layer "
            "or preset",
        ),
    ],
)  # fmt: skip
def test_the_line_of_the_step(found, says):
    assert describe(found, "cluster") == says
