"""A selection strategy: images that lie far apart in their distances to the clusters."""

import numpy as np

from hudd.extend import Candidates


def far_apart(candidates: Candidates, budget: int, *, seed: int) -> np.ndarray:
    """Farthest-first traversal, from an image drawn at random."""
    places = candidates.closest.distance
    chosen = [int(np.random.default_rng(seed).integers(len(candidates)))]
    nearest = np.linalg.norm(places - places[chosen[0]], axis=1)
    while len(chosen) < min(budget, len(candidates)):
        nearest[chosen] = -1
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(places - places[chosen[-1]], axis=1))
    return np.array(chosen)
