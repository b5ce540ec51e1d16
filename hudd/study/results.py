"""What a study has found, read lazily from its directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from hudd.clustering import Clustering
from hudd.data.overlap import Overlap
from hudd.errors import HuddError, UsageError
from hudd.selection import UnsafeSet
from hudd.settings import TrainingSettings
from hudd.store import Stored, StudyFile, check_inside, read_text, read_values, read_whole
from hudd.study.grouping import read_causes, read_clusters
from hudd.study.settings import Settings
from hudd.study.values import as_dict, given_labels, plain, row_numbers
from hudd.study.versions import known_settings
from hudd.summary import Causes, Clusters, Split, summarise, table, to_html
from hudd.tasks import DEFAULT_TASK, Task, TaskSubject, make_task


class Results:
    """The reading half of a study.

    Parameters
    ----------
    path : str or Path
        The study's directory, or its file.
    settings : Settings, optional
        Its settings; by default those in the file.

    Attributes
    ----------
    path : Path
        The study's directory.
    """

    def __init__(self, path: str | Path, settings: Settings | None = None) -> None:
        path = Path(path).absolute()
        self.path = path.parent if path.name == "study.h5" and path.is_file() else path
        check_inside(self.path)
        self.file = StudyFile(self.path / "study.h5")
        self.settings = self._read_settings() if settings is None else settings

    def _read_settings(self) -> Settings:
        with self.file.reading() as h5:
            text = known_settings(h5, self.file.path, Settings.names())
        try:
            return Settings.from_json(text)
        except UsageError as error:
            raise UsageError(f"the settings in '{self.file.path}' cannot be used: {error}") from error

    # -- the data

    def split(self, name: str) -> Split:
        """Return what the DNN made of a split: "test", "judge", "train" or "improvement"."""
        self.settings.data(name)
        with self.file.reading() as h5:
            group = self._get(h5, f"splits/{name}", "test")
            paths: list[str] = read_text(group["path"]).tolist()
            parameters = {key: read_values(value) for key, value in group.get("parameters", {}).items()}
            columns = {key: group[key][...] for key in ("label", "prediction", "correct", "score", "entropy")}
            attributes = {key: value[...] for key, value in group.get("attributes", {}).items()}
            measured = group["measured"][...] if "measured" in group else None
            known = {} if measured is None else {"measured": measured}
            for key, values in {**columns, **parameters, **attributes, **known}.items():
                if values.shape != (len(paths),):
                    raise ValueError(f"{key} of {name} has shape {values.shape} for {len(paths)} images")
            known |= {"fingerprint": str(group.attrs["fingerprint"])}
            return Split(path=paths, parameters=parameters, attributes=attributes, **columns, **known)

    @property
    def task_name(self) -> str:
        """Name of the task, or its spec: that which the DNN was tested by, else that which the settings name."""
        with self.file.reading() as h5:
            return str(h5.attrs.get("task", self.settings.task or DEFAULT_TASK))

    @property
    def task(self) -> Task:
        """What labels and outputs mean."""
        return make_task(self.task_name, TaskSubject(stated=self.settings.task is not None))

    def explained(self, name: str) -> np.ndarray:
        """Return (N,) int64 numbers of what is explained of each image, see :meth:`hudd.tasks.Task.explain`."""
        with self.file.reading() as h5:
            group = self._get(h5, f"splits/{name}", "test")
            return np.asarray(group["explained" if "explained" in group else "prediction"][...], np.int64)

    def values(self, name: str) -> dict[str, np.ndarray]:
        """Return what the task keeps of each image of a split, (N, ...) each, see :class:`hudd.tasks.Judgement`."""
        with self.file.reading() as h5:
            kept = self._get(h5, f"splits/{name}", "test").get("values")
            return {} if kept is None else as_dict(kept)

    def facts(self) -> dict[str, Any]:
        """Return what the judgement of the test set noted, see :class:`hudd.tasks.Judgement`."""
        with self.file.reading() as h5:
            return dict(json.loads(self._get(h5, "splits/test", "test").attrs.get("facts", "{}")))

    def probe(self, split: str) -> np.ndarray | None:
        """Return what transform and DNN made of some of a split's images when it was tested, if it was."""
        with self.file.reading() as h5:
            found = h5[f"splits/{split}"].attrs.get("probe") if f"splits/{split}" in h5 else None
        return found if isinstance(found, np.ndarray) else None

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of the DNN's outputs."""
        with self.file.reading() as h5:
            names: list[str] = read_text(self._get(h5, "class", "test")).tolist()
            return names

    @property
    def errors(self) -> np.ndarray:
        """(N_errors,) int64 rows of the test split that the DNN gets wrong."""
        with self.file.reading() as h5:
            return row_numbers(self._get(h5, "error", "test"), len(h5["splits/test/path"]))

    def reading(self, name: str) -> dict[str, Any]:
        """Return how images and labels of a split were read: remarks, and labels as written with their outputs."""
        if not self.file.path.exists():
            return {}
        with self.file.reading() as h5:
            found = h5.get(f"splits/{name}/reading")
            return {} if found is None else json.loads(found.asstr()[()])

    @property
    def overlap(self) -> Overlap:
        """What the sets share; nothing where they have not been compared yet."""
        with self.file.reading() as h5:
            text = h5["splits"].attrs.get("overlap") if "splits" in h5 else None
            return Overlap() if text is None else Overlap.from_json(json.loads(text))

    # -- layers

    @property
    def layers(self) -> list[str]:
        """Layers whose heatmaps the study holds, in the order in which the DNN runs them."""
        with self.file.reading() as h5:
            groups = self._get(h5, "layers", "heatmaps")
            return sorted(groups, key=lambda name: int(groups[name].attrs["index"]))

    def heatmaps_of(self, layer: str) -> Stored:
        """Return the (N_errors, ...) relevance at the input of `layer`, not yet read.

        Raises
        ------
        HuddError
            If it was not kept, or a shard is missing.
        """
        self._check_layer(layer)
        name = f"layers/{layer}/relevance"
        if not self.has(name):
            raise HuddError(
                f"the heatmaps of layer '{layer}' were not kept; 'hudd heatmaps {self.path} --store all' makes them."
            )
        return Stored(self.file.path, name)

    def heatmap_shape(self, layer: str) -> tuple[int, ...]:
        """Return the shape of one error's heatmap at `layer`, kept or not."""
        self._check_layer(layer)
        with self.file.reading() as h5:
            return tuple(int(size) for size in h5[f"layers/{layer}"].attrs["shape"])

    def channel_axis(self, layer: str) -> int:
        """Return the axis of the channels in the heatmaps of `layer`, where axis 0 is the errors'."""
        self._check_layer(layer)
        with self.file.reading() as h5:
            return int(h5[f"layers/{layer}"].attrs.get("channel_axis", 1))

    def distances_of(self, layer: str) -> np.ndarray:
        """Return the (N_errors (N_errors - 1) / 2,) float32 condensed distances of `layer`."""
        self._check_layer(layer)
        if self.has(f"layers/{layer}/linkage") and not self.has(f"layers/{layer}/distance"):
            remedy = f"'hudd distances {self.path} --linkage-from matrix' takes them"
            raise HuddError(f"layer '{layer}' was linked from rows and has no distances; {remedy}.")
        return self._read(f"layers/{layer}/distance", "distances")

    def conservation_of(self, layer: str) -> np.ndarray:
        """Return (N_errors,) float32: relevance that left `layer` minus what entered, over what is explained."""
        self._check_layer(layer)
        return self._read(f"layers/{layer}/conservation", "heatmaps")

    def cumulative_of(self, layer: str) -> np.ndarray:
        """Return (N_errors,) float32: what was lost (or added) until relevance left `layer`, over what is explained."""
        self._check_layer(layer)
        return self._read(f"layers/{layer}/cumulative", "heatmaps")

    def clustering_of(self, layer: str) -> Clustering:
        """Return the clusters of `layer`."""
        self._check_layer(layer)
        with self.file.reading() as h5:
            self._get(h5, f"layers/{layer}/linkage", "cluster")
            group = h5[f"layers/{layer}"]
            wicd = group["wicd"]
            return Clustering(
                labels=group["label"][...],
                k=int(wicd.attrs["chosen_k"]),
                ks=wicd["k"][...],
                wicd_curve=wicd["value"][...],
                gradient=wicd["gradient"][...],
                linkage=group["linkage"][...],
                medoids=group["medoid"][...],
                wicd=float(wicd.attrs["wicd"]),
                scaled_wicd=float(wicd.attrs["scaled_wicd"]),
            )

    @property
    def chosen_layer(self) -> str:
        """The layer whose clusters are the root-cause clusters."""
        return self.clusters.layer

    @property
    def clusters(self) -> Clusters:
        """The root-cause clusters."""
        with self.file.reading() as h5:
            return read_clusters(self._get(h5, "clusters", "cluster"), len(h5["error"]))

    @property
    def causes(self) -> Causes:
        """The root causes that the clusters belong to; every cluster is one where an earlier hudd has clustered."""
        clusters = self.clusters
        with self.file.reading() as h5:
            return read_causes(h5["clusters"], clusters, h5.get("causes"))

    # -- the second half

    @property
    def selection(self) -> UnsafeSet:
        """The unsafe set: improvement images to label, in order of choice."""
        with self.file.reading() as h5:
            group = self._get(h5, "selection", "select")
            columns = ("image", "cluster", "distance", "rank", "radius_ratio", "outside")
            row_numbers(group["image"], len(h5["splits/improvement/path"]))
            return UnsafeSet(**{name: group[name][...] for name in columns})

    def nearest_members(self, images: np.ndarray, clusters: np.ndarray) -> np.ndarray:
        """Return the error row of the member of each cluster that is closest to each image, both (S,) int64."""
        with self.file.reading() as h5:
            group = self._get(h5, "selection/nearest", "select")
            column = np.argmax(group["clusters"][...] == np.asarray(clusters)[:, None], axis=1)
            return np.asarray(read_whole(group["member"])[images, column], np.int64)

    @property
    def labels(self) -> np.ndarray:
        """(N_improvement,) int64 labels of the improvement set: imported, else the data's own, else -1."""
        with self.file.reading() as h5:
            group = self._get(h5, "splits/improvement", "test")
            labels = group["label"][...]
            rows, given = given_labels(h5, len(labels))
            labels[rows[rows >= 0]] = given[rows >= 0]
            return np.asarray(labels, np.int64)

    @property
    def labels_aside(self) -> int:
        """Number of imported labels whose image, by name and pixels, is not in the improvement set now."""
        with self.file.reading() as h5:
            rows, _ = given_labels(h5, len(self._get(h5, "splits/improvement/path", "test")))
            return int((rows < 0).sum())

    @property
    def retraining(self) -> dict[str, list[dict[str, Any]]]:
        """Mode to its runs: each a dict of its numbers and per-image arrays; empty before any retraining."""
        with self.file.reading() as h5:
            modes = h5.get("retraining", {})
            return {
                mode: [as_dict(runs[run]) for run in sorted(runs, key=int)]
                for mode, runs in modes.items()
                if len(runs)
            }

    @property
    def evaluation(self) -> dict[str, Any]:
        """What the clusters have in common.

        ``variance``, ``purity`` and ``rules``, where there are parameters, known causes: each a dict of columns over
        the clusters of two or more.
        """
        with self.file.reading() as h5:
            return as_dict(self._get(h5, "evaluation", "evaluate"))

    # -- about the study

    @property
    def provenance(self) -> dict[str, Any]:
        """Who made this and from what: versions, hardware, hashes, and when each step ran for how long."""
        with self.file.reading() as h5:
            hidden = ("settings", "checksums")
            attributes = {key: plain(value) for key, value in h5.attrs.items() if key not in hidden}
            steps = {}
            h5.get("steps", h5).visititems(
                lambda name, item: steps.update({name: item}) if item.attrs else None
            )
            return {
                **attributes,
                "settings": json.loads(self.settings.to_json()),
                "steps": {
                    name: {key: plain(value) for key, value in item.attrs.items()}
                    for name, item in steps.items()
                    if "fingerprint" in item.attrs
                },
            }

    def summary(self) -> dict[str, Any]:
        """Return what has been found so far as a JSON-able dict."""
        with self.file.sound():
            return summarise(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} '{self.path}': {self.settings.model}, preset {self.settings.preset}>"

    def _repr_html_(self) -> str:
        """Show the figures that matter and the clusters as tables, at the end of a notebook's cell."""
        return to_html(self)

    def table(self, name: str) -> pd.DataFrame:
        """Return a table by name, see :data:`hudd.summary.TABLES`."""
        with self.file.sound():
            return table(self, name)

    def marks(self) -> dict[str, str]:
        """Return when each step was last taken; equal as long as nothing has been computed."""
        return {
            name: f"{step['fingerprint']} {step.get('finished')}"
            for name, step in self.provenance["steps"].items()
        }

    def label_state(self) -> dict[str, int]:
        """Return how many images are selected and how many of them have a label."""
        labels = self.labels[self.selection.image]
        return {"selected": len(labels), "labelled": int((labels >= 0).sum())}

    def hints(self) -> list[str]:
        """Return what could be done next, a sentence each."""
        where, settings = self.path, self.settings
        if not self.has("clusters"):
            return [f"'hudd run {where}' goes on."]
        if settings.improvement is None:
            return [f"'hudd run {where} --improvement DATA' finds the field images to label next."]
        if not self.has("selection"):
            return [f"'hudd run {where}' goes on."]
        state = self.label_state()
        if state["labelled"] < state["selected"]:
            missing = state["selected"] - state["labelled"]
            if not self.task.has_classes:
                return [
                    f"{missing:,} selected images wait for targets: write them into the data of the improvement set, "
                    f"then 'hudd run {where}'."
                ]
            return [
                f"{missing:,} selected images wait for a label: 'hudd label {where} --export todo.csv', fill it in, "
                f"'hudd label {where} --import todo.csv'.{self.about_labels_aside()}"
            ]
        if settings.train is None:
            return [f"'hudd run {where} --train DATA' retrains the DNN on them."]
        with self.file.sound():
            runs = [run for mode in self.retraining.values() for run in mode]
            worse = any(run["accuracy_after"] < run["accuracy_before"] - 0.02 for run in runs)
        if worse:  # has clearly lost more than it won
            lr = settings.training.get("lr", TrainingSettings.lr)
            return [
                f"Retraining made the DNN worse; 'hudd retrain {where} --lr {lr / 10:g}' tries a smaller learning rate "
                f"(now {lr:g})."
            ]
        return []

    def about_labels_aside(self) -> str:
        """Say that there are labels of other images, as a sentence to put behind another one; "" if there are none."""
        aside = self.labels_aside
        return (
            f" {aside:,} imported labels are not used: they were given to images that are not, or no longer the same, "
            "in the improvement set."
            if aside
            else ""
        )

    def has(self, name: str) -> bool:
        """Say whether the study holds a group or dataset, e.g. "clusters" or "selection"."""
        with self.file.reading() as h5:
            return name in h5

    def _read(self, name: str, step: str) -> np.ndarray:
        with self.file.reading() as h5:
            return read_whole(self._get(h5, name, step))

    def _get(self, h5: h5py.File, name: str, step: str) -> Any:
        if name not in h5:
            raise HuddError(f"'{self.path}' has no {name} yet; 'hudd {step} {self.path}' makes it.")
        return h5[name]

    def _check_layer(self, layer: str) -> None:
        if layer not in self.layers:
            raise UsageError(
                f"layer '{layer}' is not in this study; choose one of: {', '.join(self.layers)}."
            )
