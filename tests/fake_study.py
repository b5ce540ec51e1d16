"""A small study that is read like a real one: synthetic pictures, three causes, three layers."""

import json
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
from scipy.cluster.hierarchy import fcluster
from scipy.cluster.hierarchy import linkage as ward
from scipy.spatial.distance import pdist

from hudd.data.overlap import Overlap
from hudd.errors import HuddError
from hudd.presets import get_preset
from hudd.summary import Causes
from hudd.tasks import TaskSubject, make_task

CAUSES = ("blur", "dark", "rotated")


def picture(kind: int, seed: int, side: int = 40) -> np.ndarray:
    """A bright disc, darker or shifted by its cause."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    centre = side / 2 + (6 if kind == 2 else 0) + rng.normal(0, 1, 2)
    ring = np.hypot(y - centre[0], x - centre[1])
    light = np.exp(-((ring - side / 4) ** 2) / (60 if kind == 0 else 8)) * (90 if kind == 1 else 230)
    tint = np.array([1.0, 0.9 - 0.1 * kind, 0.7 + 0.1 * kind])
    return np.clip(light[..., None] * tint + rng.normal(12, 4, (side, side, 3)), 0, 255).astype(np.uint8)


@dataclass
class FakeSource:
    paths: list
    kinds: np.ndarray
    class_names: list

    def picture(self, index):
        return picture(int(self.kinds[index]), int(index))


@dataclass
class FakeStudy:
    """What the report reads of :class:`hudd.Study`, and nothing else."""

    path: Path
    count: int = 36
    names: list = field(default_factory=lambda: ["stop", "yield", "speed 30"])
    prefix: str = "sign"
    parameter: str = "angle"
    steps: tuple = ("select", "retrain", "evaluate")
    modes: tuple = ("bl1", "hudd")

    made = {}  # noqa: RUF012

    @classmethod
    def open(cls, path):
        return cls.made[path]

    def __post_init__(self):
        self.made[self.path] = self
        rng = np.random.default_rng(7)
        tested = 4 * self.count
        self.errors = np.sort(rng.choice(tested, self.count, replace=False))
        self.kinds = np.zeros(tested, int)
        self.kinds[self.errors] = np.arange(self.count) % 3
        self.layers = ["features.0", "features.3", "classifier.1"]
        centres = rng.normal(0, 3, (3, 4, 7, 7))
        kind = self.kinds[self.errors]
        noise = rng.normal(0, 1, (self.count, 4, 7, 7))
        self._heatmaps = {
            "features.0": rng.normal(0, 1, (self.count, 3, 40, 40)).astype(np.float32),
            "features.3": (centres[kind] + noise).astype(np.float32),
            "classifier.1": rng.normal(0, 1, (self.count, 10)).astype(np.float32),
        }
        self.class_names = self.names
        self.settings = SimpleNamespace(
            model="cnn.py:cnn",
            preset="hudd",
            rules_of_pictures="epsilon-plus",
            pictures_against="nothing",
            attributes=(),
            choices=get_preset("hudd"),
            effective_strategy="hudd",
            seed=0,
            angles={},
            units={},
            severity=None,
        )
        self._splits = {"test": self._split("test", tested), "improvement": self._split("improvement", 60)}
        self._splits["test"].parameters["cause"] = np.array(CAUSES)[self.kinds].astype(object)
        self._splits["test"].parameters[self.parameter] = np.where(self.kinds == 2, 40.0, 0.0) + rng.normal(
            0, 9, tested
        )
        labels = self.clustering_of("features.3").labels
        self.clusters = SimpleNamespace(
            label=labels, medoid=self.clustering_of("features.3").medoids, layer="features.3"
        )
        self.chosen_layer = "features.3"
        of_cluster, unknown = np.array([1, 1, 2]), np.full(2, np.nan)
        medoid, common = self.clusters.medoid[[0, 2]], np.ones(2, bool)
        self.causes = Causes(of_cluster[labels - 1], of_cluster, medoid, common, unknown, unknown, unknown)
        self.labels = self._splits["improvement"].label
        self.inputs = SimpleNamespace(data_fingerprints={"improvement": "improvement"})
        self.journal = SimpleNamespace(log=lambda event, **fields: None, locked=nullcontext)
        self.provenance = {
            "hudd_version": "0",
            "settings": {"model": "cnn.py:cnn", "weights": None},
            "steps": {
                "test": {
                    "finished": "2026-01-01T00:00:00",
                    "seconds": 1.5,
                    "machine": "m",
                    "torch_version": "2",
                }
            },
        }

        self.overlap = Overlap()
        self.task_name, self.task = "classification", make_task(None, TaskSubject())

    def facts(self):
        return {}

    def values(self, name):
        return {}

    def reading(self, name):
        return {}

    def _split(self, name, count):
        rng = np.random.default_rng(len(name))
        label = rng.integers(0, len(self.names), count)
        correct = np.ones(count, bool)
        if name == "test":
            correct[self.errors] = False
        return SimpleNamespace(
            path=[f"{name}/{self.prefix}-{i}.png" for i in range(count)],
            label=label,
            prediction=np.where(correct, label, (label + 1) % len(self.names)),
            correct=correct,
            score=rng.uniform(0.4, 1, count).astype(np.float32),
            parameters={},
            attributes={},
            measured=None,
            counted=np.ones(count, bool),
            fingerprint=name,
        )

    @contextmanager
    def writing(self):
        with h5py.File(self.path / "study.h5", "a") as file:
            yield file

    def has(self, name):
        if name.startswith("layers/"):
            return True
        return name in ("clusters", "layers", "splits/test", "splits/improvement") or (
            name == "selection" and "select" in self.steps
        )

    def split(self, name):
        return self._splits[name]

    def source(self, name):
        split = self._splits[name]
        kinds = self.kinds if name == "test" else np.arange(len(split.path)) % 3
        return FakeSource(split.path, kinds, self.names)

    def heatmaps_of(self, layer):
        return self._heatmaps[layer]

    def heatmap_shape(self, layer):
        return self._heatmaps[layer].shape[1:]

    def spatial_heatmaps(self, rows, layer):
        stored = self._heatmaps[layer] if layer != "classifier.1" else self._heatmaps["features.0"]
        return stored[np.asarray(rows)].sum(1)

    def distances_of(self, layer):
        return pdist(self._heatmaps[layer].reshape(self.count, -1)).astype(np.float32)

    def conservation_of(self, layer):
        return np.linspace(0, 0.1, self.count).astype(np.float32)

    def cumulative_of(self, layer):
        return np.linspace(-0.3, -0.1, self.count).astype(np.float32)

    def clustering_of(self, layer):
        tree = ward(self.distances_of(layer), "ward")
        labels = fcluster(tree, 3, "maxclust").astype(np.int64)
        ks = np.arange(2, self.count // 2)
        medoids = np.array([np.flatnonzero(labels == c)[0] for c in np.unique(labels)])
        return SimpleNamespace(
            labels=labels, k=len(medoids), ks=ks, wicd_curve=1 / ks, gradient=-1 / ks**2, linkage=tree,
            medoids=medoids, wicd=0.5, scaled_wicd=0.25,
        )  # fmt: skip

    @property
    def selection(self):
        if "select" not in self.steps:
            raise HuddError("no selection yet")
        cluster = np.repeat(np.unique(self.clusters.label), 4)
        count = len(cluster)
        return Selection(
            image=np.arange(count), cluster=cluster, distance=np.linspace(1, 2, count),
            rank=np.zeros(count, int), radius_ratio=np.ones(count), outside=np.arange(count) % 4 == 3,
        )  # fmt: skip

    def nearest_members(self, images, clusters):
        return np.array([np.flatnonzero(self.clusters.label == c)[i % 2] for i, c in zip(images, clusters)])

    @property
    def retraining(self):
        if "retrain" not in self.steps:
            return {}
        before = self._splits["test"].correct
        after = before.copy()
        after[self.errors[::2]] = True
        after[np.flatnonzero(before)[:3]] = False
        return {
            mode: [{"before": before, "after": before if mode == "bl1" else after}] for mode in self.modes
        }

    @property
    def evaluation(self):
        if "evaluate" not in self.steps:
            raise HuddError("no evaluation yet")
        labels = np.unique(self.clusters.label)
        return {
            "clusters": len(labels),
            "singletons": 0,
            "variance": {
                "cluster": labels,
                "parameter": np.array([self.parameter], object),
                "reduction": np.full((len(labels), 1), 0.75),
                "shift": np.ones((len(labels), 1)),
                "p_value": np.full(len(labels), 0.01),
                "share_reduced_by_half": 1.0,
                "share_reduced_by_chance": 0.25,
            },
            "rules": {
                "cluster": labels,
                "text": np.array([f"{self.parameter} > {label}" for label in labels], object),
                "precision": np.ones(len(labels)),
                "recall": np.full(len(labels), 0.5),
                "p_value": np.full(len(labels), 0.05),
                "parameters": np.array([json.dumps([self.parameter])] * len(labels), object),
            },
            "purity": {
                "cluster": labels,
                "purity": np.ones(len(labels)),
                "weighted_purity": 0.9,
                "coverage": 1.0,
            },
        }


@dataclass
class Selection:
    image: np.ndarray
    cluster: np.ndarray
    distance: np.ndarray
    rank: np.ndarray
    radius_ratio: np.ndarray
    outside: np.ndarray

    def __len__(self):
        return len(self.image)
