"""A study as people have left it: its clusters named, merged and split."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from hudd.review.review import Review
from hudd.study import Clusters
from hudd.study.steps.evaluate import purity_of, rules_of, variance_of

if TYPE_CHECKING:
    from hudd.selection import UnsafeSet
    from hudd.study import Study


def reviewed(study: Study, review: Review | None = None) -> Study:
    """Return the study with its clusters, unsafe set and evaluation as edited; itself where nothing was.

    Numbers of clusters that are merged away are left out: their ``medoid`` is -1.

    Parameters
    ----------
    study : Study
        A study that is clustered.
    review : Review, optional
        What people made of it; by default what is saved.
    """
    if isinstance(study, Reviewed):
        return study
    review = review or Review(study)
    return cast("Study", Reviewed(study, review)) if review.groups.origin else study


def review_of(study: Study) -> Review:
    """Return what people made of a study, also of one that is :func:`reviewed` already."""
    return study._review if isinstance(study, Reviewed) else Review(study)


class Reviewed:
    """What :func:`reviewed` returns; all but what is below is the study's own."""

    def __init__(self, study: Study, review: Review) -> None:
        self._study, self._review = study, review

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    @cached_property
    def clusters(self) -> Clusters:
        """The clusters as edited."""
        groups = self._review.groups
        medoid = [groups.medoid.get(number, -1) for number in range(1, groups.last + 1)]
        return Clusters(groups.label, np.array(medoid, np.int64), self._study.clusters.layer)

    @cached_property
    def selection(self) -> UnsafeSet:
        """The unsafe set, each image at the cluster of the error that it is nearest to."""
        own = self._study.selection
        if not len(own):
            return own
        return replace(own, cluster=self.clusters.label[self._study.nearest_members(own.image, own.cluster)])

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """The study's evaluation, taken again; rules of edited clusters only, the others are as they were."""
        found, label = dict(self._study.evaluation), self.clusters.label
        if variance := variance_of(self._study, label):
            found["variance"] = {
                **variance.to_dict(),
                "cluster": variance.clusters,
                "parameter": np.array(variance.parameters, object),
                "reduction": variance.reduction,
                "shift": variance.shift,
                "p_value": variance.p_value,
            }
        if purity := purity_of(self._study, label):
            found["purity"] = {**purity.to_dict(), "cluster": purity.clusters, "purity": purity.purity}
        if "rules" in found:
            found["rules"] = self._rules(found["rules"], label)
        return found

    def _rules(self, own: dict[str, Any], label: np.ndarray) -> dict[str, Any]:
        groups = self._review.groups
        as_they_were = [int(c) in groups.medoid and int(c) not in groups.origin for c in own["cluster"]]
        new = rules_of(self._study, np.where(np.isin(label, list(groups.origin)), label, 0))
        names = ("cluster", "text", "precision", "recall", "p_value")
        columns = {name: [getattr(rule, name) for rule in new] for name in names}
        columns["parameters"] = [json.dumps(rule.parameters) for rule in new]
        return {name: np.concatenate([own[name][as_they_were], values]) for name, values in columns.items()}
