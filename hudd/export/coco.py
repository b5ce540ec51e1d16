"""A COCO file: on every error the region that speaks for the wrong answer, its category the root cause."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from hudd import plot
from hudd.export.base import Exporter
from hudd.export.errors import checked_layer, drawn_at, error_columns, pictures
from hudd.text import printable, to_json

if TYPE_CHECKING:
    from hudd.review.view import View

SHARE = 0.5
"""Of the relevance that is drawn in full colour: from there on a pixel belongs to the region."""


def _write(results: View, folder: Path, *, layer: str | None = None) -> list[Path]:
    """Write ``annotations.json`` and ``images/`` as COCO's instances: an annotation an error.

    Its ``segmentation`` (run lengths, ``iscrowd`` 1) holds the pixels with at least half of the relevance that is
    drawn in full colour, ``bbox`` encloses them, ``category_id`` is the cluster, ``score`` the DNN's confidence.
    Path, true class and answer are fields of the image.
    """
    layer = checked_layer(results, layer)
    (folder / "images").mkdir()
    columns = error_columns(results)
    images, annotations = [], []
    for row, picture, relevance in pictures(results, layer, "COCO export"):
        name = f"{row:06d}.png"
        Image.fromarray(picture).save(folder / "images" / name)
        height, width = picture.shape[:2]
        about = {key: columns[key][row] for key in ("path", "label", "prediction")}
        images.append({"id": row + 1, "file_name": name, "width": width, "height": height, **about})
        annotations.append(
            {
                "id": row + 1,
                "image_id": row + 1,
                "category_id": int(columns["cluster"][row]),
                "score": float(columns["score"][row]),
                **region(relevance),
            }
        )
    clusters = results.clusters
    description = (
        f"Errors of {printable(results.path.name)}; heatmaps at {printable(drawn_at(results, layer))}"
    )
    content = {
        "info": {"description": description},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": number, "name": clusters.title(number), "supercategory": "root cause"}
            for number in clusters.numbers
        ],
    }
    path = folder / "annotations.json"
    path.write_bytes(to_json(content))
    return [path]


COCO = Exporter("coco", _write, folder="coco")


def region(relevance: np.ndarray) -> dict[str, Any]:
    """Return the region that speaks for the answer as COCO has it.

    Parameters
    ----------
    relevance : ndarray
        (H, W) relevance of one image.

    Returns
    -------
    dict
        ``segmentation`` (run lengths down the columns, beginning with those outside), ``area`` in pixels, ``bbox``
        (x, y, width, height) and ``iscrowd``.
    """
    inside = relevance >= SHARE * plot.relevance_scale(relevance)
    flat = inside.ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat])))
    counts = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    box = [0, 0, 0, 0]
    if inside.any():
        (top, bottom), (left, right) = (np.flatnonzero(inside.any(axis))[[0, -1]].tolist() for axis in (1, 0))
        box = [left, top, right - left + 1, bottom - top + 1]
    segmentation = {"counts": counts, "size": list(inside.shape)}
    return {"segmentation": segmentation, "area": int(inside.sum()), "bbox": box, "iscrowd": 1}
