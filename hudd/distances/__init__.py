"""Pairwise Euclidean distances."""

from hudd.distances.pairwise import pairwise_distances

__all__ = ["pairwise_distances"]
