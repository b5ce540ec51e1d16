"""Matplotlib figures of a study's results, for notebooks and for the report."""

from hudd.colours import relevance_indices, relevance_palette, relevance_scale
from hudd.plot.clusters import dendrogram, embed, embedding, parameters, retraining, splits, wicd
from hudd.plot.errors import part_errors
from hudd.plot.pictures import cluster, heatmap

__all__ = [
    "cluster",
    "dendrogram",
    "embed",
    "embedding",
    "heatmap",
    "parameters",
    "part_errors",
    "relevance_indices",
    "relevance_palette",
    "relevance_scale",
    "retraining",
    "splits",
    "wicd",
]
