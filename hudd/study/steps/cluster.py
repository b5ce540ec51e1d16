"""Clusters at every layer, and the layer whose clusters are kept."""

from __future__ import annotations

import time
from functools import partial
from math import prod

import h5py
import numpy as np

from hudd.clustering import CLUSTERERS, Clustering, choose_layer, cluster
from hudd.progress import progress
from hudd.store import drop, write_dataset
from hudd.study.checks import check_layer
from hudd.study.fingerprint import digest
from hudd.study.steps import distances, heatmaps
from hudd.study.study import AFTER, Study


def fingerprints(study: Study) -> dict[str, str]:
    """Everything that the clusters of each layer depend on."""
    chosen = study.settings.choices
    how: list[object] = [chosen.linkage_on, chosen.wicd_on, chosen.max_clusters, study.settings.max_clusters]
    how += [chosen.cluster_size, study.settings.cluster_size]
    if chosen.linkage_on == "none":
        how += [chosen.reduction, chosen.clusterer, study.settings.seed]
        if (mark := CLUSTERERS.mark(chosen.clusterer)) is not None:
            how.append(mark)
    return {layer: digest("cluster", mark, how) for layer, mark in distances.fingerprints(study).items()}


def fingerprint(study: Study) -> str:
    """Everything that the root-cause clusters depend on."""
    return digest("choice", fingerprints(study), study.settings.choices.layer_choice, study.settings.layer)


def run(study: Study, *, checksums: bool = False) -> None:
    """Cluster every layer that is not clustered yet, then choose.

    Raises
    ------
    UsageError
        If the layer that the settings name is not among those of the study.
    """
    study.lead(lambda: check_layer(study, study.layers))
    todo = {
        layer: mark
        for layer, mark in fingerprints(study).items()
        if not study.is_done(f"cluster/{layer}", mark)
    }
    if todo:
        distances.run(study, checksums=True)
    if study.settings.choices.linkage_on == "none":
        for layer, own in todo.items():
            with heatmaps.at(study, [layer]) as stored:
                study.lead(partial(_layer, study, layer, own, stored[layer].numpy()))
        todo = {}
    mark = fingerprint(study)
    if todo or not study.is_done("choice", mark):
        study.lead(lambda: _cluster(study, todo, mark))
        heatmaps.keep(study)


def _cluster(study: Study, todo: dict[str, str], mark: str) -> None:
    wanted, started = study.settings.layer, time.perf_counter()
    with progress("clusters", len(todo), unit="layers") as advance:
        for layer, own in todo.items():
            _layer(study, layer, own, study.distances_of(layer))
            advance(1)
    if not study.is_done("choice", mark):
        found = {layer: study.clustering_of(layer) for layer in study.layers}
        several = {layer: own for layer, own in found.items() if prod(study.heatmap_shape(layer)) > 1}
        chosen = wanted or choose_layer(several or found, preset=study.settings.preset)
        with study.committing("choice", mark, started) as h5:
            study.forget(h5, *AFTER["choice"], "choice")
            _write_choice(h5, chosen, found[chosen])


def _layer(study: Study, layer: str, mark: str, rows: np.ndarray) -> None:
    """Cluster the distances of a layer, or its features where these are to be reduced or not linked."""
    started, settings = time.perf_counter(), study.settings
    found = cluster(
        rows,
        preset=settings.preset,
        max_clusters=settings.max_clusters,
        cluster_size=settings.cluster_size,
        reduction=settings.choices.reduction,
        clusterer=settings.choices.clusterer,
        unit_norm=settings.choices.unit_norm,
        seed=settings.seed,
    )
    with study.committing(f"cluster/{layer}", mark, started) as h5:
        study.forget(h5, *AFTER["cluster"])
        group = h5[f"layers/{layer}"]
        drop(group, distances.OF_A_LAYER)
        about = "merge of two clusters: their numbers, height, number of errors; as SciPy's linkage"
        write_dataset(group, "linkage", found.linkage, dims=("merge", "merge_field"), description=about)
        write_dataset(
            group, "label", found.labels, dims=("error",), description="cluster of the error, from 1"
        )
        about = "error row whose distances to its cluster's members have the smallest sum"
        write_dataset(group, "medoid", found.medoids, dims=("cluster",), description=about)
        wicd = group.create_group("wicd")
        write_dataset(wicd, "k", found.ks, dims=("k",), scale=True, description="number of clusters")
        about = "weighted intra-cluster distance at k clusters"
        write_dataset(wicd, "value", found.wicd_curve, dims=("k",), description=about)
        write_dataset(wicd, "gradient", found.gradient, dims=("k",), description="derivative of the curve")
        wicd.attrs.update(chosen_k=found.k, scaled_wicd=found.scaled_wicd, wicd=found.wicd)


def _write_choice(h5: h5py.File, layer: str, found: Clustering) -> None:
    group = h5.create_group("clusters")
    group.attrs["layer"] = layer
    write_dataset(
        group, "label", found.labels, dims=("error",), description="root-cause cluster of the error, from 1"
    )
    about = "error row of the cluster's most central member"
    write_dataset(group, "medoid", found.medoids, dims=("cluster",), description=about)
