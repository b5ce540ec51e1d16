"""A ViRelAy project (Anders et al. 2021): the errors, their heatmaps, and the clusters of every layer.

The layout is the one that ViRelAy 0.6's own loader reads; its published specification nests the analyses
differently. Each layer is a category, with the clustering ``hudd`` and, of up to 12,000 errors, the
embedding ``mds``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from hudd.export.base import Exporter
from hudd.export.errors import checked_layer, drawn_at, pictures
from hudd.plot.places import places
from hudd.text import printable, to_json

if TYPE_CHECKING:
    from hudd.review.view import View


def _write(results: View, folder: Path, *, layer: str | None = None) -> list[Path]:
    """Write a project that ``virelay OUT/project.yaml`` opens."""
    layer = checked_layer(results, layer)
    size = _images(results, folder, layer)
    _analyses(results, folder)
    names = [printable(name) for name in results.class_names]
    # The loader asks for a WordNet id of every label, whatever the data are.
    labels = [{"index": i, "name": name, "word_net_id": f"{i:08d}"} for i, name in enumerate(names)]
    (folder / "label-map.json").write_bytes(to_json(labels, indent=1))
    rules = results.provenance.get("rules", "LRP")
    # JSON is YAML, so no YAML writer is needed.
    project = {
        "name": printable(results.path.name),
        "model": printable(results.settings.model),
        "label_map": "label-map.json",
        "dataset": {
            "name": "errors of the test set",
            "type": "hdf5",
            "path": "dataset.h5",
            "input_width": size[1],
            "input_height": size[0],
            "down_sampling_method": "none",
            "up_sampling_method": "none",
        },
        "attributions": {
            "attribution_method": f"{printable(rules)} at {printable(drawn_at(results, layer))}",
            "attribution_strategy": "predicted_label",
            "sources": ["attribution.h5"],
        },
        "analyses": [{"analysis_method": "root-cause clusters", "sources": ["analysis.h5"]}],
    }
    path = folder / "project.yaml"
    path.write_bytes(to_json({"project": project}, indent=1))
    return [path]


VIRELAY = Exporter("virelay", _write, folder="virelay")


def _images(results: View, folder: Path, layer: str) -> tuple[int, int]:
    """Write the errors' pictures and heatmaps; return the height and width of the first picture."""
    errors, test, source = results.errors, results.split("test"), results.source("test")
    labels, count = test.label[errors].astype(np.uint16), len(errors)
    # Only the probability of the answer is stored; the other outputs are written as 0.
    prediction = np.zeros((count, len(results.class_names)), np.float32)
    prediction[np.arange(count), test.prediction[errors]] = test.score[errors]
    shapes = {source.picture(int(at)).shape for at in errors}
    with (
        h5py.File(folder / "dataset.h5", "w") as dataset,
        h5py.File(folder / "attribution.h5", "w") as attribution,
    ):
        _write_labels(dataset, labels, grouped=len(shapes) > 1)
        attribution["label"], attribution["prediction"] = labels, prediction
        attribution["index"] = np.arange(count, dtype=np.uint32)
        data = _series(dataset, "data", shapes, count, np.uint8)
        heatmaps = _series(attribution, "attribution", shapes, count, np.float32)
        for row, picture, relevance in pictures(results, layer, "ViRelAy export"):
            _put(data, row, picture.transpose(2, 0, 1))
            _put(heatmaps, row, np.repeat(relevance[None] / 3, 3, axis=0))
    height, width, _ = min(shapes) if shapes else (0, 0, 3)
    return height, width


def _series(
    file: h5py.File, name: str, shapes: set[tuple[int, ...]], count: int, dtype: type
) -> h5py.Dataset | h5py.Group:
    """One dataset where all pictures have one size, else a group with one a picture."""
    if len(shapes) > 1:
        return file.create_group(name)
    height, width, channels = next(iter(shapes)) if shapes else (1, 1, 3)
    return file.create_dataset(name, (count, channels, height, width), dtype)


def _put(series: h5py.Dataset | h5py.Group, row: int, values: np.ndarray) -> None:
    series[_key(row) if isinstance(series, h5py.Group) else row] = values


def _key(row: int) -> str:
    return f"{row:08d}"  # keys are read in the order of their names


def _write_labels(file: h5py.File, labels: np.ndarray, *, grouped: bool) -> None:
    if not grouped:
        file["label"] = labels
        return
    for row, label in enumerate(labels):
        file[f"label/{_key(row)}"] = label


def _analyses(results: View, folder: Path) -> None:
    with h5py.File(folder / "analysis.h5", "w") as file:
        for layer in results.layers:
            chosen = layer == results.chosen_layer
            labels = results.clusters.label if chosen else results.clustering_of(layer).labels
            group = file.create_group(layer)
            group["index"] = np.arange(len(labels), dtype=np.uint32)
            points, embeddings = places(results, layer), group.create_group("embedding")
            clusters = group.require_group("cluster").create_dataset("hudd", data=labels.astype(np.int64))
            clusters.attrs["k"] = len(np.unique(labels))
            if chosen:
                titles = {number: results.clusters.title(number) for number in results.clusters.numbers}
                clusters.attrs["names"] = json.dumps(titles)
            if points is not None:
                embeddings["mds"] = points.astype(np.float32)
                clusters.attrs.update(embedding="mds", index=np.arange(2))
