"""A clusterer: bisecting k-means, told the number of clusters."""

import numpy as np
from sklearn.cluster import BisectingKMeans


class Bisecting:
    """Splits the largest cluster in two until there are enough."""

    def __init__(self, n_clusters: int, random_state: int = 0) -> None:
        self.n_clusters, self.random_state = n_clusters, random_state

    def fit_predict(self, rows: np.ndarray) -> np.ndarray:
        count = min(self.n_clusters, len(rows))
        return BisectingKMeans(count, random_state=self.random_state).fit_predict(rows)
