"""From heatmaps of one layer to root-cause clusters, and from layers to the one that is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from hudd.clustering.clusterers import check_counted
from hudd.clustering.cut import Cut, row_scaled
from hudd.clustering.pairs import Source
from hudd.clustering.pipelines import Pipeline
from hudd.clustering.result import Clustering
from hudd.errors import UsageError
from hudd.presets import Reduction, get_preset

__all__ = ["Clustering", "choose_layer", "cluster", "pipeline_of", "row_scaled"]


def cluster(
    X: Any,
    *,
    preset: str = "hudd",
    metric: Literal["euclidean", "precomputed"] | None = None,
    max_clusters: int | None = None,
    cluster_size: int | None = None,
    reduction: Reduction | None = None,
    clusterer: Any = None,
    unit_norm: bool | None = None,
    seed: int = 0,
    linkage_from: Source = "matrix",
    device: Any = None,
) -> Clustering:
    """Cluster the heatmaps of one layer, or any features, and choose the number of clusters.

    Parameters
    ----------
    X : array_like or h5py.Dataset
        One heatmap a row, shape (N, ...); or distances, square with ``metric="precomputed"``, shape (N, N), or
        condensed, shape (N (N - 1) / 2,), which are taken as they are. Ward's method is for Euclidean ones.
    preset : str
        Name of a preset, see :mod:`hudd.presets`.
    metric : {"euclidean", "precomputed"}, optional
        ``precomputed``, as in scikit-learn: `X` holds distances. Without it a square, symmetric matrix with zeros
        on its diagonal, or with its largest value all along it, is refused, since it holds distances or
        similarities; ``euclidean`` says that it holds features all the same.
    max_clusters : int, optional
        Largest number of clusters tried; by default half of the rows, at most the preset's.
    cluster_size : int, optional
        Cut the dendrogram into clusters of so many rows on average, in place of the preset's choice, and into as many
        as that makes unless `max_clusters` is given too.
    reduction, clusterer : str, optional
        In place of the preset's, see :class:`hudd.clustering.Pipeline`; the clusterer may be one of
        scikit-learn's. Distances can only be linked, unreduced. ``kmeans`` makes as many clusters as Ward's
        dendrogram would be cut into, so both numbers hold for it, the preset's size among them (15 rows in
        ``moments``). Those that find the number themselves take neither number, and pass over the preset's.
    unit_norm : bool, optional
        Divide each row by its Euclidean norm first, or do not, in place of the preset's choice. Distances
        are taken as they are.
    seed : int
        Seed of a reduction or clusterer that draws at random.
    linkage_from : {"matrix", "rows"}
        Take all distances at once, 2 N^2 bytes, or as they are needed, in O(N D) memory: Ward's method by
        :func:`linkage_vectors`, with the same WICD of every cut. Only where `X` holds rows.
    device : str or torch.device, optional
        Where distances of rows are taken, ``"cpu"`` or ``"cuda"``; by default the CPU.

    Returns
    -------
    Clustering
        One cluster for a single row, for equal rows and, in preset ``hudd``, for two or three rows. Where
        the curve has no knee, see :func:`hudd.clustering.knee.choose_k`.

    Raises
    ------
    UsageError
        If the input is empty, not finite or of the wrong form, or an option is not allowed or would have no
        effect.
    """
    pipeline = pipeline_of(
        preset,
        max_clusters=max_clusters,
        cluster_size=cluster_size,
        reduction=reduction,
        clusterer=clusterer,
        unit_norm=unit_norm,
        seed=seed,
        linkage_from=linkage_from,
        device=device,
    )
    return pipeline.clustering(X, metric)[0]


def pipeline_of(
    preset: str,
    *,
    max_clusters: int | None = None,
    cluster_size: int | None = None,
    reduction: Reduction | None = None,
    clusterer: Any = None,
    unit_norm: bool | None = None,
    seed: int = 0,
    linkage_from: Source = "matrix",
    device: Any = None,
) -> Pipeline:
    """Return the way from rows to clusters that a preset takes, with choices in place of its own.

    Parameters and errors are those of :func:`cluster`.
    """
    choices = get_preset(preset)
    how = clusterer or choices.clusterer
    pipeline = Pipeline(
        reduction or choices.reduction,
        clusterer=how,
        unit_norm=choices.unit_norm if unit_norm is None else unit_norm,
        seed=seed,
        cut=Cut.of(choices, max_clusters, cluster_size),
        linkage_from=linkage_from,
        device=device,
    )
    check_counted(how, max_clusters=max_clusters, cluster_size=cluster_size)
    return pipeline


def choose_layer(clusterings: Mapping[str, Clustering], *, preset: str = "hudd") -> str:
    """Choose the layer whose clusters are tightest.

    Parameters
    ----------
    clusterings : mapping of str to Clustering
        Layers in the order of the network.
    preset : str
        ``hudd`` takes the lowest scaled WICD among the layers with more than one cluster; ``hudd-2021``
        the lowest raw WICD, the first layer left out. The earlier layer wins ties. A degenerate layer (see
        :attr:`Clustering.degenerate`) wins only where all are.

    Returns
    -------
    str
        Name of the layer; the only one, if there is but one.

    Raises
    ------
    UsageError
        If there is no layer.
    """
    if not clusterings:
        raise UsageError("there is no layer to choose from; cluster at least one.")
    names = list(clusterings)
    raw = get_preset(preset).layer_choice == "raw"
    names = (names[1:] or names) if raw else names
    names = [name for name in names if not clusterings[name].degenerate] or names
    if raw:
        return min(names, key=lambda name: clusterings[name].wicd)
    split = [name for name in names if clusterings[name].k > 1]
    return min(split or names, key=lambda name: clusterings[name].scaled_wicd)
