"""The results of a study as people have left them: what report, ``hudd show`` and every export read alike."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import xxhash

from hudd.errors import HuddError
from hudd.evaluation import unsafe_ranges
from hudd.review.review import Review, Reviewed
from hudd.study.measures import purity_of, variance_of
from hudd.study.wording import named, rules_of
from hudd.summary import Causes, Clusters, Split

if TYPE_CHECKING:
    from hudd.clustering import Clustering
    from hudd.data import ImageSource
    from hudd.data.overlap import Overlap
    from hudd.selection import UnsafeSet
    from hudd.store import Stored, StudyFile
    from hudd.study import Results, Settings, Study
    from hudd.tasks import Task


def view(study: Results | View, review: Review | None = None) -> View:
    """Return the results of a study with its clusters named, merged and split as people have left them.

    Parameters
    ----------
    study : Results or View
        Any study; a view is returned as it is.
    review : Review, optional
        What people made of it; by default what is saved.
    """
    if isinstance(study, View):
        return study
    if not study.has("clusters"):
        return View(study, None)
    return View(study, (review or Review(study)).now())


@dataclass(frozen=True)
class View:
    """What :func:`view` returns. It stays as it is, whatever is edited later.

    Numbers of clusters that were merged into others are not given again: their ``medoid`` is -1.

    Attributes
    ----------
    study : Results
        Where all that is read from that no review changes.
    review : Reviewed or None
        What people have made of the clusters; None where there are none yet.
    """

    study: Results
    review: Reviewed | None

    # -- what a review changes

    @cached_property
    def clusters(self) -> Clusters:
        """The clusters as edited, with their names."""
        found = self.study.clusters
        review = self._reviewed
        numbers = range(1, review.groups.last + 1)
        return Clusters(
            label=review.groups.label,
            medoid=np.array([review.groups.medoid.get(number, -1) for number in numbers], np.int64),
            layer=found.layer,
            name=tuple(review.name(number) for number in numbers),
        )

    @cached_property
    def causes(self) -> Causes:
        """The causes of the errors as found; of an edited cluster, that of most of its errors."""
        own, label = self.study.causes, self.clusters.label
        counts = np.zeros((len(self.clusters.medoid) + 1, len(own.medoid) + 1), np.int64)
        np.add.at(counts, (label, own.of_error), 1)
        return replace(own, of_cluster=counts[1:].argmax(axis=1))

    @cached_property
    def selection(self) -> UnsafeSet:
        """The unsafe set, each image at the cluster of the error that it is closest to."""
        own = self.study.selection
        if not len(own) or not self._reviewed.groups.origin:
            return own
        return replace(own, cluster=self.clusters.label[self.study.nearest_members(own.image, own.cluster)])

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """The study's evaluation, of edited clusters computed again; the rules of all others are as they were."""
        found = dict(self.study.evaluation)
        if not self._reviewed.groups.origin:
            return found
        label = self.clusters.label
        if variance := variance_of(self.study, label):
            found["variance"] = {
                **variance.to_dict(),
                "cluster": variance.clusters,
                "parameter": np.array(variance.parameters, object),
                "reduction": variance.reduction,
                "shift": variance.shift,
                "p_value": variance.p_value,
            }
            ranges = unsafe_ranges(
                {name: values[self.errors] for name, values in self.split("test").parameters.items()},
                label,
                variance,
                angles=self.settings.angles,
            )
            columns = ("cluster", "parameter", "low", "high", "reduction", "share_of_all")
            found["ranges"] = {name: np.array([getattr(one, name) for one in ranges]) for name in columns}
        if purity := purity_of(self.study, label):
            found["purity"] = {
                **purity.to_dict(),
                "cluster": purity.clusters,
                "majority": np.array(purity.majority, object),
                "purity": purity.purity,
            }
        if "rules" in found:
            found["rules"] = self._rules(found["rules"], label)
        sizes = np.bincount(label)[1:]
        found |= {"clusters": int((sizes > 0).sum()), "singletons": int((sizes == 1).sum())}
        return found

    def _rules(self, own: dict[str, Any], label: np.ndarray) -> dict[str, Any]:
        groups = self._reviewed.groups
        as_found = [int(c) in groups.medoid and int(c) not in groups.origin for c in own["cluster"]]
        kept, edited = (
            {name: np.asarray(column)[as_found] for name, column in own.items()},
            list(groups.origin),
        )
        new = rules_of(self.study, np.where(np.isin(label, edited), label, 0))
        made = {
            "parameters": [json.dumps(rule.parameters) for rule in new],
            "name": [named(rule, self.study) for rule in new],
        }
        columns = {name: made.get(name) or [getattr(rule, name, "") for rule in new] for name in kept}
        return {name: np.concatenate([kept[name], columns[name]]) for name in kept}

    @property
    def edits(self) -> int:
        """Number of merges and splits."""
        return self.review.edits if self.review else 0

    @property
    def stale(self) -> int:
        """Those of them whose clusters the study no longer has."""
        return self.review.stale if self.review else 0

    def note(self, cluster: int) -> str:
        """Return what people noted about a cluster."""
        return self._reviewed.texts[cluster]["note"]

    def origin(self, cluster: int) -> str:
        """Say what was merged into a cluster or split off; empty where nothing was."""
        return self._reviewed.groups.origin.get(cluster, "")

    @cached_property
    def review_digest(self) -> str:
        """Hash of what people have made of the clusters."""
        if self.review is None:
            return ""
        groups = self.review.groups
        told = [self.review.texts, groups.origin, groups.label.tolist(), groups.medoid]
        return str(xxhash.xxh3_128_hexdigest(json.dumps(told, sort_keys=True).encode()))

    @property
    def _reviewed(self) -> Reviewed:
        if self.review is None:
            raise HuddError(f"'{self.path}' has no clusters yet; 'hudd cluster {self.path}' makes them.")
        return self.review

    # -- what it leaves, read once

    @property
    def path(self) -> Path:
        """The study's directory."""
        return self.study.path

    @property
    def file(self) -> StudyFile:
        """The file of the results."""
        return self.study.file

    @property
    def settings(self) -> Settings:
        """The study's settings."""
        return self.study.settings

    @cached_property
    def class_names(self) -> list[str]:
        """See :attr:`hudd.study.Results.class_names`."""
        return self.study.class_names

    @property
    def task_name(self) -> str:
        """See :attr:`hudd.study.Results.task_name`."""
        return self.study.task_name

    def facts(self) -> dict[str, Any]:
        """See :meth:`hudd.study.Results.facts`."""
        return self.study.facts()

    def values(self, name: str) -> dict[str, np.ndarray]:
        """See :meth:`hudd.study.Results.values`."""
        return self.study.values(name)

    def drawn(self, split: str, picture: np.ndarray, row: int) -> np.ndarray:
        """Return an image of a split with what its task draws on it, see :meth:`hudd.tasks.Task.draw`."""
        values = self._values(split)
        return self.task.draw(picture, {name: each[row] for name, each in values.items()}, self._facts)

    @cached_property
    def _facts(self) -> dict[str, Any]:
        return self.study.facts()

    @cached_property
    def _kept(self) -> dict[str, dict[str, np.ndarray]]:
        return {}

    def _values(self, split: str) -> dict[str, np.ndarray]:
        return (
            self._kept.setdefault(split, self.study.values(split))
            if split not in self._kept
            else self._kept[split]
        )

    @property
    def task(self) -> Task:
        """See :attr:`hudd.study.Results.task`."""
        return self.study.task

    @cached_property
    def errors(self) -> np.ndarray:
        """See :attr:`hudd.study.Results.errors`."""
        return self.study.errors

    @cached_property
    def layers(self) -> list[str]:
        """See :attr:`hudd.study.Results.layers`."""
        return self.study.layers

    @property
    def chosen_layer(self) -> str:
        """The layer of the clusters."""
        return self.clusters.layer

    @cached_property
    def labels(self) -> np.ndarray:
        """See :attr:`hudd.study.Results.labels`."""
        return self.study.labels

    @cached_property
    def retraining(self) -> dict[str, list[dict[str, Any]]]:
        """See :attr:`hudd.study.Results.retraining`."""
        return self.study.retraining

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """See :attr:`hudd.study.Results.provenance`."""
        return self.study.provenance

    @cached_property
    def _splits(self) -> dict[str, Split]:
        return {}

    @property
    def overlap(self) -> Overlap:
        """See :attr:`hudd.study.Results.overlap`."""
        return self.study.overlap

    def reading(self, name: str) -> dict[str, Any]:
        """See :meth:`hudd.study.Results.reading`."""
        return self.study.reading(name)

    def split(self, name: str) -> Split:
        """See :meth:`hudd.study.Results.split`."""
        if name not in self._splits:
            self._splits[name] = self.study.split(name)
        return self._splits[name]

    def has(self, name: str) -> bool:
        """See :meth:`hudd.study.Results.has`."""
        return self.study.has(name)

    def source(self, split: str) -> ImageSource:
        """See :meth:`hudd.study.Study.source`."""
        return cast("Study", self.study).source(split)

    def heatmaps_of(self, layer: str) -> Stored:
        """See :meth:`hudd.study.Results.heatmaps_of`."""
        return self.study.heatmaps_of(layer)

    def heatmap_shape(self, layer: str) -> tuple[int, ...]:
        """See :meth:`hudd.study.Results.heatmap_shape`."""
        return self.study.heatmap_shape(layer)

    def spatial_heatmaps(self, rows: np.ndarray, layer: str) -> np.ndarray:
        """See :meth:`hudd.study.Study.spatial_heatmaps`."""
        return cast("Study", self.study).spatial_heatmaps(rows, layer)

    def distances_of(self, layer: str) -> np.ndarray:
        """See :meth:`hudd.study.Results.distances_of`."""
        return self.study.distances_of(layer)

    def cumulative_of(self, layer: str) -> np.ndarray:
        """See :meth:`hudd.study.Results.cumulative_of`."""
        return self.study.cumulative_of(layer)

    def conservation_of(self, layer: str) -> np.ndarray:
        """See :meth:`hudd.study.Results.conservation_of`."""
        return self.study.conservation_of(layer)

    def clustering_of(self, layer: str) -> Clustering:
        """See :meth:`hudd.study.Results.clustering_of`; as the layer was clustered, without any edits."""
        return self.study.clustering_of(layer)
