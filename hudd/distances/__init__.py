"""Pairwise Euclidean distances."""

from hudd.distances.pairwise import pairwise_distances
from hudd.distances.rows import unit_norm_rows

__all__ = ["pairwise_distances", "unit_norm_rows"]
