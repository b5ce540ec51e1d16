"""Clusters at every layer, and the layer whose clusters are kept."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from functools import partial
from math import prod

import h5py
import numpy as np
import torch
import xxhash

from hudd.clustering import (
    CLUSTERERS,
    Clustering,
    choose_layer,
    cluster,
    find_causes,
    join_causes,
    linkage_vectors,
)
from hudd.clustering.linkage import Method
from hudd.clustering.pairs import Matrix, Pairs, Rows
from hudd.progress import progress
from hudd.store import Stored, write_dataset
from hudd.study.checks import check_layer
from hudd.study.fingerprint import digest
from hudd.study.grouping import write_causes
from hudd.study.inputs import Inputs
from hudd.study.joining import causes_by_rule
from hudd.study.journal import Journal
from hudd.study.step import Step
from hudd.study.steps import distances, heatmaps

_READ = 1 << 22  # numbers read at a time


def fingerprints(inputs: Inputs) -> dict[str, str]:
    """Everything that the clusters of each layer depend on."""
    chosen = inputs.settings.choices
    how: list[object] = [chosen.linkage_on, chosen.wicd_on, chosen.max_clusters, inputs.settings.max_clusters]
    how += [chosen.cluster_size, inputs.settings.cluster_size]
    if chosen.linkage_on == "none":
        how += [chosen.reduction, chosen.clusterer, inputs.settings.seed]
        if (mark := CLUSTERERS.mark(chosen.clusterer)) is not None:
            how.append(mark)
    matrix, mark = distances.fingerprints(inputs), heatmaps.fingerprint(inputs)
    rows = [
        "rows",
        chosen.unit_norm,
    ]  # the last digits of heights, and ties, may differ from those of a matrix
    return {
        layer: digest("cluster", matrix[layer], how)
        if layer in matrix
        else digest("cluster", mark, layer, rows, how)
        for layer in inputs.results.layers
    }


def fingerprint(inputs: Inputs) -> str:
    """Everything that the root-cause clusters depend on."""
    return digest("choice", fingerprints(inputs), inputs.settings.choices.layer_choice, inputs.settings.layer)


def run(inputs: Inputs, journal: Journal, *, checksums: bool = False) -> None:
    """Cluster every layer that is not clustered yet, then choose.

    Raises
    ------
    UsageError
        If the layer that the settings name is not among those of the study.
    """
    journal.lead(lambda: check_layer(inputs, inputs.results.layers))
    todo = {
        layer: mark
        for layer, mark in fingerprints(inputs).items()
        if not journal.is_done(f"cluster/{layer}", mark)
    }
    if todo:
        distances.run(inputs, journal, checksums=True)
    for layers in _from_rows(inputs, todo):
        with heatmaps.at(inputs, journal, layers) as stored:
            for layer in layers:
                if layer in todo:
                    started, own, rows = time.perf_counter(), todo.pop(layer), stored[layer]
                    linked = _linked(inputs, journal, layer, own, rows)
                    journal.lead(partial(_layer, inputs, journal, layer, own, started, rows, linked))
    mark = fingerprint(inputs)
    if todo or not journal.is_done("choice", mark):
        journal.lead(lambda: _cluster(inputs, journal, todo))
        if not journal.is_done("choice", mark):
            _choose(inputs, journal, mark)
        heatmaps.keep(inputs, journal)


def _from_rows(inputs: Inputs, todo: dict[str, str]) -> Iterator[list[str]]:
    """Yield the layers whose rows are clustered, and not their distances: as many at a time as are on the disk."""
    if inputs.settings.choices.linkage_on == "none":
        yield from ([layer] for layer in list(todo))
        return
    rows = [layer for layer in todo if inputs.linked_from(layer) == "rows"]
    for layers in heatmaps.groups(inputs):
        if set(layers) & set(rows):
            yield layers


def _linked(inputs: Inputs, journal: Journal, layer: str, mark: str, rows: Stored) -> Rows | None:
    """Link the rows of a layer by all processes; a kill loses a round of it. None where rows are not linked."""
    if inputs.settings.choices.linkage_on == "none":
        return None
    directory = journal.shards(f"linkage/{layer}", mark)
    journal.lead(lambda: journal.keep_shards(directory))
    unit_norm, device = inputs.settings.choices.unit_norm, _device(inputs)
    # Rows that are not kept may be made again on another machine, with other last digits: then it begins again.
    checkpoint = directory / f"{journal.lead(lambda: _digest_rows(rows))}.checkpoint"
    z = linkage_vectors(rows, unit_norm=unit_norm, device=device, checkpoint=checkpoint, distributed=True)
    return Rows(rows, unit_norm, device, z)


def _digest_rows(rows: Stored) -> str:
    found, step = xxhash.xxh3_128(), max(1, _READ // max(1, prod(rows.shape[1:])))
    for first in range(0, len(rows), step):
        found.update(np.ascontiguousarray(rows[first : first + step]).data)
    return found.hexdigest()


def _cluster(inputs: Inputs, journal: Journal, todo: dict[str, str]) -> None:
    with progress("clusters", len(todo), unit="layers") as advance:
        for layer, own in todo.items():
            _layer(inputs, journal, layer, own, time.perf_counter())
            advance(1)


def _choose(inputs: Inputs, journal: Journal, mark: str) -> None:
    """Choose the layer, and find the causes that its clusters belong to."""
    started, results = time.perf_counter(), inputs.results
    found = {layer: results.clustering_of(layer) for layer in results.layers}
    several = {layer: own for layer, own in found.items() if prod(results.heatmap_shape(layer)) > 1}
    chosen = inputs.settings.layer or choose_layer(several or found, preset=inputs.settings.preset)
    contrasted = inputs.settings.kind.contrasted and results.split("test").correct.sum() > 1
    linked, rows = len(found[chosen].linkage) > 0, None
    from_rows = linked and inputs.linked_from(chosen) == "rows"
    if contrasted or from_rows:
        with heatmaps.at(inputs, journal, [chosen]) as stored:
            rows = stored[chosen].numpy()

    def commit() -> None:
        pairs: Pairs = Matrix(np.empty(0, np.float32))
        if from_rows:
            pairs = Rows(rows, inputs.settings.choices.unit_norm, _device(inputs))
        elif linked:
            pairs = Matrix(results.distances_of(chosen))
        method: Method = "average" if inputs.settings.choices.clusterer == "average" else "ward"
        deviations = rows if contrasted else None
        causes = find_causes(found[chosen], pairs, deviations, method=method)
        into = causes_by_rule(results, causes.of_cluster[found[chosen].labels - 1])
        causes = join_causes(causes, into, found[chosen], pairs, deviations)
        with journal.committing("choice", mark, started) as h5:
            journal.forget(h5, "choice")
            journal.forget_after(h5, "choice")
            _write_choice(h5, chosen, found[chosen])
            write_causes(h5["clusters"], causes)

    journal.lead(commit)


def _device(inputs: Inputs) -> torch.device | None:
    return None if inputs.device.type == "cpu" else inputs.device


def _layer(
    inputs: Inputs,
    journal: Journal,
    layer: str,
    mark: str,
    started: float,
    rows: Stored | None = None,
    linked: Rows | None = None,
) -> None:
    """Cluster a layer by its rows where they are given, to be reduced, not linked or linked as such; else by distances.

    Rows that are not kept are kept until here.
    """
    settings, source = inputs.settings, inputs.linked_from(layer)
    given = inputs.results.distances_of(layer) if rows is None else rows if linked is None else linked
    found = cluster(
        given,
        metric="precomputed" if rows is None else "euclidean",
        preset=settings.preset,
        max_clusters=settings.max_clusters,
        cluster_size=settings.cluster_size,
        reduction=settings.choices.reduction,
        clusterer=settings.choices.clusterer,
        unit_norm=settings.choices.unit_norm,
        seed=settings.seed,
        linkage_from=source,
        device=None if rows is None else _device(inputs),
    )
    with journal.committing(f"cluster/{layer}", mark, started) as h5:
        journal.forget(h5, f"cluster/{layer}")
        journal.forget_after(h5, f"cluster/{layer}")
        group = h5[f"layers/{layer}"]
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
        wicd.attrs.update(
            chosen_k=found.k, scaled_wicd=found.scaled_wicd, wicd=found.wicd, linked_from=source
        )
        if rows is not None:
            heatmaps.write_conservation(inputs, h5, layer, rows)
    if linked is not None:
        shutil.rmtree(journal.shards(f"linkage/{layer}", mark).parent, ignore_errors=True)


def _write_choice(h5: h5py.File, layer: str, found: Clustering) -> None:
    group = h5.create_group("clusters")
    group.attrs["layer"] = layer
    write_dataset(
        group, "label", found.labels, dims=("error",), description="root-cause cluster of the error, from 1"
    )
    about = "error row of the cluster's most central member"
    write_dataset(group, "medoid", found.medoids, dims=("cluster",), description=about)


STEP = Step(
    name="cluster",
    requires=("distances",),
    outputs={"cluster": ("linkage", "wicd", "label", "medoid"), "choice": ("clusters",)},
    by_layer=frozenset({"cluster"}),
    shards=("linkage",),
    run=run,
    version=4,  # 3: splits are tested by neighbours too; 4: causes are joined by parameters
    fingerprint=lambda inputs, journal: {
        **{f"cluster/{layer}": mark for layer, mark in fingerprints(inputs).items()},
        "choice": fingerprint(inputs),
    },
)
