"""The report of a large study: time to write it, its size, and how soon Chromium shows its first content.

The study is synthetic: 5,000 errors in 60 clusters, pictures of 128 x 128 read from JPEG files, heatmaps of 32 x 32
and 64 x 16 x 16 read from HDF5, distances and clusters by hudd. No peer writes such a report; the bounds are the
project's own.
"""

from __future__ import annotations

import json
import tempfile
import time
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import harness
import numpy as np
from browser import CHROMIUM, Browser
from PIL import Image

from hudd.clustering import Clustering, cluster
from hudd.clustering.wicd import cluster_sums, flat_labels, medoids
from hudd.distances import pairwise_distances
from hudd.evaluation import cluster_rules, variance_reduction
from hudd.presets import get_preset
from hudd.report import write_report
from hudd.selection import UnsafeSet
from hudd.study import Clusters, Split

BOUNDS = {"write_seconds": 60, "first_content_seconds": 2, "page_mb": 60}
SHAPES = {"input": (3, 32, 32), "features.4": (64, 16, 16)}
SIDE = 128


class Synthetic:
    """As much of a :class:`hudd.Study` as the report reads, with its arrays in files."""

    def __init__(self, path: Path, errors: int, k: int) -> None:
        self.path, self.count, self.k = path, errors, k
        self.layers, self.chosen_layer = list(SHAPES), "features.4"
        self.class_names = [f"class {i}" for i in range(12)]
        self.errors = np.arange(errors) * 4
        self.settings = SimpleNamespace(model="net.py:net", preset="hudd", choices=get_preset("hudd"), seed=0)
        self.settings.angles, self.settings.units = {}, {}
        self.retraining: dict[str, Any] = {}
        self.provenance = {"rules": "epsilon-plus", "settings": {}, "steps": {}}
        rng = np.random.default_rng(0)
        self.kind = rng.integers(0, k, errors)
        self._splits = {"test": self._split(4 * errors, rng), "improvement": self._split(2 * errors, rng)}
        self.labels = self._splits["improvement"].label
        self._write(rng)

    def _split(self, count: int, rng: np.random.Generator) -> Split:
        label = rng.integers(0, 12, count)
        correct = np.ones(count, bool)
        correct[self.errors[self.errors < count]] = False
        parameters = {name: rng.normal(size=count) for name in ("angle", "blur", "brightness")}
        return Split(
            path=[f"images/{row:06d}.jpg" for row in range(count)],
            label=label,
            prediction=np.where(correct, label, (label + 1) % 12),
            correct=correct,
            score=rng.uniform(0.3, 1, count).astype(np.float32),
            entropy=np.zeros(count, np.float32),
            parameters=parameters,
        )

    def _write(self, rng: np.random.Generator) -> None:
        (self.path / "images").mkdir(parents=True)
        y, x = np.mgrid[:SIDE, :SIDE] / SIDE
        for number in range(500):  # read over and over; the file system's cache is warm in any case
            waves = np.sin(rng.uniform(4, 30, (3, 1, 1)) * x + rng.uniform(4, 30, (3, 1, 1)) * y)
            noise = rng.normal(0, 12, (3, SIDE, SIDE))
            pixels = np.clip(127 + 90 * waves + noise, 0, 255).astype(np.uint8).transpose(1, 2, 0)
            Image.fromarray(pixels).save(self.path / "images" / f"{number}.jpg", quality=90)
        with h5py.File(self.path / "heatmaps.h5", "w") as file:
            for layer, shape in SHAPES.items():
                centres = rng.normal(size=(self.k, *shape)).astype(np.float32)
                dataset = file.create_dataset(layer, (self.count, *shape), np.float32)
                for start in range(0, self.count, 500):
                    part = self.kind[start : start + 500]
                    noise = rng.normal(0, 1.5, (len(part), *shape)).astype(np.float32)
                    dataset[start : start + 500] = centres[part] + noise

    def has(self, name: str) -> bool:
        """Say what there is."""
        return name in ("clusters", "layers", "selection") or name.startswith("layers/")

    def split(self, name: str) -> Split:
        """Return a split."""
        return self._splits[name]

    def source(self, name: str) -> Any:
        """Return a split's pictures."""

        def picture(row: int) -> np.ndarray:
            return np.asarray(Image.open(self.path / "images" / f"{row % 500}.jpg").convert("RGB"))

        return SimpleNamespace(picture=picture)

    def heatmap_shape(self, layer: str) -> tuple[int, ...]:
        """Return the shape of a heatmap."""
        return SHAPES[layer]

    def spatial_heatmaps(self, rows: np.ndarray, layer: str) -> np.ndarray:
        """Return heatmaps summed over channels."""
        unique, back = np.unique(rows, return_inverse=True)
        with h5py.File(self.path / "heatmaps.h5") as file:
            return np.asarray(file[layer][unique].sum(axis=1)[back])

    def conservation_of(self, layer: str) -> np.ndarray:
        """Return made-up losses."""
        return np.linspace(0, 0.01, self.count)

    def distances_of(self, layer: str) -> np.ndarray:
        """Return the distances of the chosen layer."""
        return self._distances

    def clustering_of(self, layer: str) -> Clustering:
        """Return the clusters of the chosen layer, cut to as many as were asked for."""
        return self._clustering

    @cached_property
    def _distances(self) -> np.ndarray:
        with h5py.File(self.path / "heatmaps.h5") as file:
            flat = file[self.chosen_layer][...].reshape(self.count, -1)
        return pairwise_distances(flat, condensed=True, unit_norm=True)

    @cached_property
    def _clustering(self) -> Clustering:
        found = cluster(self._distances)
        labels = flat_labels(found.linkage, self.k)
        sums, _ = cluster_sums(self._distances, labels)
        fields = {**vars(found), "labels": labels, "k": self.k, "medoids": medoids(sums, labels)}
        return Clustering(**fields)

    @property
    def clusters(self) -> Clusters:
        """The clusters."""
        return Clusters(self._clustering.labels, self._clustering.medoids, self.chosen_layer)

    @cached_property
    def selection(self) -> UnsafeSet:
        """A third as many images as errors."""
        count = self.count // 3
        numbers, ones = np.arange(count), np.ones(count)
        return UnsafeSet(numbers, numbers % self.k + 1, ones, 0 * numbers, ones, numbers % 9 == 0)

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """Variances and rules."""
        known = {name: values[self.errors] for name, values in self.split("test").parameters.items()}
        labels = self._clustering.labels
        found, rules = variance_reduction(known, labels), cluster_rules(known, labels, permutations=1)
        columns = ("cluster", "text", "precision", "recall", "p_value")
        return {
            "variance": {
                **found.to_dict(),
                "cluster": found.clusters,
                "parameter": np.array(found.parameters, object),
                "reduction": found.reduction,
            },
            "rules": {name: np.array([getattr(rule, name) for rule in rules]) for name in columns},
        }


def first_content(page: Path, folder: Path) -> dict[str, float]:
    """Seconds from the start of the navigation to what the browser itself notes of the page."""
    browser = Browser(folder / "profile")
    try:
        browser.window(1280, 900)
        browser.open(page.as_uri())
        browser.until("performance.getEntriesByName('first-contentful-paint').length > 0")
        paint = browser.js("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        loaded = browser.js("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    finally:
        browser.close()
    return {"first_content_seconds": round(paint / 1000, 2), "ready_seconds": round(loaded / 1000, 2)}


def main() -> None:
    """Make the study, write its report, open it."""
    options = harness.parser((__doc__ or "").partition("\n")[0], "report")
    options.add_argument("--errors", type=int, default=5000)
    options.add_argument("--clusters", type=int, default=60)
    chosen = harness.parse(options, errors=600, clusters=12)
    before = harness.machine()
    with tempfile.TemporaryDirectory() as folder:
        study = Synthetic(Path(folder) / "study", chosen.errors, chosen.clusters)
        study.evaluation  # noqa: B018 -- the steps before the report are not its time
        started = time.perf_counter()
        page = write_report(study)  # type: ignore[arg-type]
        seconds = time.perf_counter() - started
        beside = sum(
            file.stat().st_size for file in page.parent.rglob("*") if file != page and file.is_file()
        )
        figures: dict[str, Any] = {
            "write_seconds": round(seconds, 1),
            "page_mb": round(page.stat().st_size / 1e6, 1),
            "folder_mb": round(beside / 1e6, 1),
            "peak_memory_mib": round(harness.peak_memory_mib()),
        }
        if CHROMIUM:
            figures |= first_content(page, Path(folder))
    record = {
        "machine": before,
        "versions": harness.versions("numpy", "matplotlib", "pillow", "hudd"),
        "sizes": {"errors": chosen.errors, "clusters": chosen.clusters, "picture": SIDE, "heatmaps": SHAPES},
        "figures": figures,
        "bounds": BOUNDS,
        "within": {name: figures[name] < bound for name, bound in BOUNDS.items() if name in figures},
    }
    print(json.dumps(record, indent=1))
    harness.write(chosen.out, record)


if __name__ == "__main__":
    main()
