"""Figures of pictures: one heatmap, or a cluster's members."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hudd.clustering.pairs import Pairs
from hudd.colours import relevance_indices, relevance_palette
from hudd.errors import UsageError
from hudd.plot.style import axes, new_figure, style
from hudd.study.linking import pairs_of

if TYPE_CHECKING:
    from hudd.study import Study
    from hudd.summary import Clusters


def heatmap(picture: np.ndarray, relevance: np.ndarray, *, opacity: float = 0.85) -> Figure:
    """Draw a picture in grey under its relevance: red speaks for the explained class, blue against it.

    Parameters
    ----------
    picture : np.ndarray
        (H, W, 3) uint8.
    relevance : np.ndarray
        (h, w) relevance, of the picture's size or coarser; it is stretched over the picture.
    opacity : float
        Of the heatmap at its strongest, 0 to 1.
    """
    with style():
        figure, ax = axes(3.2, 3.2)
        _overlay(ax, picture, relevance, opacity)
    return figure


def cluster(study: Study, label: int, *, images: int = 12, opacity: float = 0.85) -> Figure:
    """Draw a cluster: its medoid first, then the members nearest to it, each above its heatmap.

    Parameters
    ----------
    study : Study
        A study that is clustered.
    label : int
        Number of the cluster, from 1.
    images : int
        How many members at most.
    opacity : float
        Of the heatmaps at their strongest, 0 to 1.

    Raises
    ------
    UsageError
        If there is no such cluster.
    """
    clusters, layer = study.clusters, study.chosen_layer
    members = np.flatnonzero(clusters.label == label)
    if not members.size:
        raise UsageError(
            f"there is no cluster {label}; clusters are numbered from 1 to {len(clusters.medoid)}."
        )
    medoid = int(clusters.medoid[label - 1])
    rows = nearest_first(pairs_of(study, layer), members, medoid)[:images]
    relevance = study.spatial_heatmaps(rows, layer)
    source, errors = study.source("test"), study.errors
    with style():
        figure = new_figure(1.15 * len(rows), 2.5)
        grid = np.atleast_2d(figure.subplots(2, len(rows), squeeze=False))
        for column, row in enumerate(rows):
            picture = source.picture(int(errors[row]))
            grid[0, column].imshow(picture)
            grid[0, column].set_axis_off()
            _overlay(grid[1, column], picture, relevance[column], opacity)
        grid[0, 0].set_title("medoid")
        figure.suptitle(f"cluster {label}: {len(members)} errors, {len(rows)} shown", x=0.01, ha="left")
    return figure


def nearest_first(pairs: Pairs, members: np.ndarray, medoid: int) -> np.ndarray:
    """Return `members`, (m,) int64 rows, with the medoid first and the others by their distance to it."""
    distances = pairs.apart(members, np.full(len(members), medoid))
    return members[np.lexsort((distances, members != medoid))]


def distances_to_medoids(pairs: Pairs, clusters: Clusters) -> np.ndarray:
    """Return the distance of each error to the medoid of its cluster, (N,) float64."""
    label = clusters.label
    return pairs.apart(np.arange(len(label)), clusters.medoid[label - 1])


def _overlay(ax: Axes, picture: np.ndarray, relevance: np.ndarray, opacity: float) -> None:
    height, width = picture.shape[:2]
    colours = relevance_palette()[relevance_indices(relevance)]
    ax.imshow(picture.mean(2), cmap="gray", vmin=0, vmax=255)
    ax.imshow(
        colours, alpha=opacity * (colours[..., 3] / 255), extent=(-0.5, width - 0.5, height - 0.5, -0.5)
    )
    ax.set_axis_off()
