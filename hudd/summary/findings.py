# ruff: noqa: D102 (what each result is, is said where it is read from a study)
"""What a study has found, as the summary reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from hudd.attributes.sample import AS_DRAWN
from hudd.clustering import Clustering
from hudd.data.overlap import Overlap
from hudd.presets import Preset
from hudd.selection import UnsafeSet
from hudd.store import StudyFile
from hudd.tasks import Task


@dataclass(frozen=True)
class Split:
    """A data set as the DNN sees it, N images.

    Attributes
    ----------
    path : list of str
        Identifier of each image.
    label, prediction : ndarray
        (N,) int64 class numbers; a label of -1 is unknown.
    correct : ndarray
        (N,) bool, prediction equals label.
    score : ndarray
        (N,) float32 softmax probability of the prediction.
    entropy : ndarray
        (N,) float32 entropy of the softmax output in nats.
    parameters : dict of str to ndarray
        Name to (N,) float64 or text: what is known about each image.
    fingerprint : str
        Of the data that the DNN was tested on; others may have taken their place.
    attributes : dict of str to ndarray
        Name to (N,) numbers that were measured of each image, see :mod:`hudd.attributes`; ``second`` is the class of
        the second largest output. None in a study that was tested before hudd measured them.
    measured : ndarray or None
        (N,) int8, which images of a large split were measured, see :func:`hudd.attributes.sample.choose`; None where
        all were.
    """

    path: list[str]
    label: np.ndarray
    prediction: np.ndarray
    correct: np.ndarray
    score: np.ndarray
    entropy: np.ndarray
    parameters: dict[str, np.ndarray]
    fingerprint: str
    attributes: dict[str, np.ndarray] = field(default_factory=dict)
    measured: np.ndarray | None = None

    @property
    def counted(self) -> np.ndarray:
        """(N,) bool, the images on which shares of those with some attribute are counted: all, or those drawn."""
        return np.ones(len(self.path), bool) if self.measured is None else self.measured == AS_DRAWN


@dataclass(frozen=True)
class Clusters:
    """The root-cause clusters: those of the chosen layer, as found or as people have left them.

    Attributes
    ----------
    label : ndarray
        (N_errors,) int64, cluster of each error, from 1.
    medoid : ndarray
        (k,) int64, error row of each cluster's medoid; -1 for a number that no cluster has any more.
    layer : str
        The chosen layer.
    name : tuple of str
        (k,) name that people gave to each cluster, one printable line, empty where it has none; or no entries.
    """

    label: np.ndarray
    medoid: np.ndarray
    layer: str
    name: tuple[str, ...] = ()

    @property
    def numbers(self) -> list[int]:
        """Numbers of the clusters, ascending."""
        return [number for number, row in enumerate(self.medoid.tolist(), start=1) if row >= 0]

    def name_of(self, number: int) -> str:
        """Return a cluster's name, empty where it has none."""
        return self.name[number - 1] if 0 < number <= len(self.name) else ""

    def title(self, number: int) -> str:
        """Return how a cluster is called in another program: ``03``, or ``03 too dark``."""
        return f"{number:02d} {self.name_of(number)}".rstrip()


class FailureCount(NamedTuple):
    """`k` failures among `n` images, and the 95 % interval of their share."""

    k: int
    n: int
    low: float
    high: float


@dataclass(frozen=True)
class Causes:
    """Root causes: unions of clusters that the evidence does not set apart, see :mod:`hudd.clustering.causes`.

    Numbered from 1: those with something in common first, larger ones before smaller ones.

    Attributes
    ----------
    of_error : ndarray
        (N_errors,) int64, cause of each error.
    of_cluster : ndarray
        (k,) int64, cause of each cluster; of one that people have edited, that of most of its errors; 0 for a number
        that no cluster has any more.
    medoid : ndarray
        (c,) int64, error row of each cause's most central member.
    common : ndarray
        (c,) bool; False where the errors do not deviate from correctly classified images in a common way: they are
        hard for reasons of their own. True where that cannot be told.
    shared : ndarray
        (c,) float64, share of their deviation from correctly classified images that errors of one cluster have in
        common; NaN where that cannot be told.
    p_apart : ndarray
        (c,) float64, p of the split of the dendrogram that sets the cause apart from its neighbour, of a cause joined
        by a parameter the largest of its parts; NaN where there is none.
    p_inside : ndarray
        (c,) float64, smallest p of the splits inside it; NaN where there is none.
    name, rule : list of str
        What each cause is called, and the condition that sets it apart, "" where there is none; empty before the study
        is evaluated.
    failure_rate : list of FailureCount or None
        Failures among images that fit the rule and did not choose it: of the judge set, where there is one.
    """

    of_error: np.ndarray
    of_cluster: np.ndarray
    medoid: np.ndarray
    common: np.ndarray
    shared: np.ndarray
    p_apart: np.ndarray
    p_inside: np.ndarray
    name: list[str] = field(default_factory=list)
    rule: list[str] = field(default_factory=list)
    failure_rate: list[FailureCount | None] = field(default_factory=list)

    @classmethod
    def each(cls, clusters: Clusters) -> Causes:
        """Return every cluster as a cause of which nothing more is known."""
        known = np.full(len(clusters.medoid), np.nan)
        numbers = np.arange(1, len(known) + 1)
        return cls(clusters.label, numbers, clusters.medoid, np.ones(len(known), bool), known, known, known)

    @property
    def label(self) -> np.ndarray:
        """(N_errors,) int64, cause of each error; 0 where its errors have nothing in common, no rule either."""
        told = self.common | [bool(rule) for rule in self.rule] if self.rule else self.common
        return np.where(told[self.of_error - 1], self.of_error, 0)

    @property
    def size(self) -> np.ndarray:
        """(c,) int64, errors of each cause."""
        return np.bincount(self.of_error, minlength=len(self.medoid) + 1)[1:]

    @property
    def numbers(self) -> list[int]:
        """Numbers of the causes, ascending."""
        return list(range(1, len(self.medoid) + 1))

    def members(self, number: int) -> np.ndarray:
        """Return the error rows of a cause, ascending."""
        return np.flatnonzero(self.of_error == number)

    def clusters(self, number: int) -> list[int]:
        """Return the numbers of the clusters of a cause, ascending."""
        return [int(at) + 1 for at in np.flatnonzero(self.of_cluster == number)]


class Choices(Protocol):
    """The settings that the summary tells of."""

    @property
    def model(self) -> str: ...
    @property
    def preset(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def choices(self) -> Preset: ...
    @property
    def attributes(self) -> tuple[str, ...]: ...
    @property
    def severity(self) -> str | None: ...


class Findings(Protocol):
    """The results of a study, as computed or as reviewed; see :class:`hudd.study.Results` for each of them."""

    @property
    def path(self) -> Path: ...
    @property
    def file(self) -> StudyFile: ...
    @property
    def settings(self) -> Choices: ...
    @property
    def class_names(self) -> list[str]: ...
    @property
    def errors(self) -> np.ndarray: ...
    @property
    def overlap(self) -> Overlap: ...
    @property
    def layers(self) -> list[str]: ...
    @property
    def chosen_layer(self) -> str: ...
    @property
    def clusters(self) -> Clusters: ...
    @property
    def causes(self) -> Causes: ...
    @property
    def selection(self) -> UnsafeSet: ...
    @property
    def labels(self) -> np.ndarray: ...
    @property
    def retraining(self) -> dict[str, list[dict[str, Any]]]: ...
    @property
    def evaluation(self) -> dict[str, Any]: ...
    @property
    def provenance(self) -> dict[str, Any]: ...
    @property
    def task_name(self) -> str: ...
    @property
    def task(self) -> Task: ...
    def facts(self) -> dict[str, Any]: ...
    def values(self, name: str) -> dict[str, np.ndarray]: ...
    def has(self, name: str) -> bool: ...
    def split(self, name: str) -> Split: ...
    def reading(self, name: str) -> dict[str, Any]: ...
    def heatmap_shape(self, layer: str) -> tuple[int, ...]: ...
    def clustering_of(self, layer: str) -> Clustering: ...
