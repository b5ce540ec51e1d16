"""A FiftyOne dataset on disk: the errors with heatmaps and root causes, the unsafe set with its clusters.

The layout is that of ``fiftyone.types.LegacyFiftyOneDataset`` (a sample a JSON object, media next to it), which
FiftyOne reads without a database dump: one can be written without FiftyOne and its database being installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from hudd.colours import relevance_indices
from hudd.export.base import Exporter
from hudd.export.errors import checked_layer, drawn_at, error_columns, pictures
from hudd.plot.places import places
from hudd.text import printable, to_json

if TYPE_CHECKING:
    from hudd.review.view import View


def _write(results: View, folder: Path, *, layer: str | None = None) -> list[Path]:
    """Write a dataset that FiftyOne opens by ``Dataset.from_dir(OUT, dataset_type=types.LegacyFiftyOneDataset)``.

    Errors carry the tag ``error`` and the fields ``ground_truth``, ``prediction``, ``root_cause`` (classifications),
    ``relevance`` (a heatmap; 128 is none, above speaks for the answer), ``distance``, ``medoid`` and ``map`` (a place
    in the plane, for ``fiftyone.brain.compute_visualization(points=...)``). Unsafe images carry the tag ``unsafe``,
    ``prediction``, ``root_cause`` and ``distance``, and ``ground_truth`` where it is known. What is known about the
    images goes to ``parameter_...``.
    """
    layer = checked_layer(results, layer)
    (folder / "data").mkdir()
    (folder / "fields" / "relevance").mkdir(parents=True)
    samples = _errors(results, folder, layer)
    if results.has("selection"):
        samples += _unsafe(results, folder)
    info = {
        "study": printable(results.path.name),
        "layer": printable(drawn_at(results, layer)),
        "relevance": "128 is none; red speaks for",
    }
    (folder / "metadata.json").write_bytes(to_json({"media_type": "image", "info": info}))
    path = folder / "samples.json"
    path.write_bytes(to_json({"samples": samples}))
    return [path]


FIFTYONE = Exporter("fiftyone", _write, folder="fiftyone")


def _errors(results: View, out: Path, layer: str) -> list[dict[str, Any]]:
    columns, clusters, samples = error_columns(results), results.clusters, []
    points = places(results, results.chosen_layer)
    test = results.split("test")
    for row, picture, relevance in pictures(results, layer, "FiftyOne export"):
        name = f"error-{row:06d}.png"
        Image.fromarray(picture).save(out / "data" / name)
        Image.fromarray(relevance_indices(relevance)).save(out / "fields" / "relevance" / name)
        cause = clusters.title(int(columns["cluster"][row]))
        samples.append(
            {
                "filepath": f"data/{name}",
                "tags": ["error", *(["medoid"] if columns["medoid"][row] else [])],
                "source": columns["path"][row],
                "ground_truth": _class(columns["label"][row]),
                "prediction": _class(columns["prediction"][row], float(columns["score"][row])),
                "root_cause": _class(cause),
                "relevance": {"_cls": "Heatmap", "map_path": f"fields/relevance/{name}", "range": [0, 255]},
                "distance": float(columns["distance"][row]),
                **({} if points is None else {"map": points[row].tolist()}),
                **_parameters(test.parameters, int(results.errors[row])),
            }
        )
    return samples


def _unsafe(results: View, out: Path) -> list[dict[str, Any]]:
    unsafe, split, labels = results.selection, results.split("improvement"), results.labels
    names, source, samples = (
        [printable(name) for name in results.class_names],
        results.source("improvement"),
        [],
    )
    for at, image in enumerate(unsafe.image.tolist()):
        name, cluster = f"unsafe-{at:06d}.png", int(unsafe.cluster[at])
        Image.fromarray(source.picture(image)).save(out / "data" / name)
        known = {"ground_truth": _class(names[labels[image]])} if labels[image] >= 0 else {}
        samples.append(
            {
                "filepath": f"data/{name}",
                "tags": ["unsafe"],
                "source": split.path[image],
                **known,
                "prediction": _class(
                    names[split.prediction[image]] if split.prediction[image] >= 0 else "unknown",
                    float(split.score[image]),
                ),
                "root_cause": _class(results.clusters.title(cluster)),
                "distance": float(unsafe.distance[at]),
                **_parameters(split.parameters, image),
            }
        )
    return samples


def _class(label: str, confidence: float | None = None) -> dict[str, Any]:
    sure = {} if confidence is None else {"confidence": confidence}
    return {"_cls": "Classification", "label": label, **sure}


def _parameters(parameters: dict[str, np.ndarray], row: int) -> dict[str, Any]:
    """Return what is known about an image; a field's name may hold letters, digits and underscores only."""
    found = {}
    for name, values in parameters.items():
        value = values[row].item() if isinstance(values[row], np.generic) else values[row]
        field = "".join(c if c.isascii() and c.isalnum() else "_" for c in name)
        found[f"parameter_{field}"] = None if value != value else value
    return found
