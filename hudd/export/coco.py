"""A COCO file: on every error the region that speaks for the wrong answer, its category the root cause."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from hudd import plot
from hudd.export.errors import (
    checked_layer,
    cluster_title,
    drawn_at,
    error_columns,
    made,
    pictures,
)
from hudd.store.files import write_error, write_whole
from hudd.text import shown

if TYPE_CHECKING:
    from hudd.study import Study

SHARE = 0.5
"""Of the relevance that is drawn in full colour: from there on a pixel belongs to the region."""


def export_coco(study: Study, out: str | Path, *, layer: str | None = None) -> Path:
    """Write ``annotations.json`` and ``images/`` as COCO's instances: an annotation an error.

    Its ``segmentation`` (run lengths, ``iscrowd`` 1) holds the pixels with at least half of the relevance that is
    drawn in full colour, ``bbox`` encloses them, ``category_id`` is the cluster, ``score`` the DNN's confidence.
    Path, true class and answer are fields of the image.

    Parameters
    ----------
    study : Study
        A study that is clustered.
    out : str or Path
        Directory; made if need be, files of an older export are replaced.
    layer : str, optional
        Layer of the heatmaps; by default the chosen one.

    Returns
    -------
    Path
        ``annotations.json``.

    Raises
    ------
    UsageError
        If the layer is not in the study.
    HuddError
        If the study has no clusters yet or the directory cannot be written.
    """
    layer, out = checked_layer(study, layer), Path(out)
    made(out / "images")
    columns = error_columns(study)
    images, annotations = [], []
    try:
        for row, picture, relevance in pictures(study, layer, "COCO export"):
            name = f"{row:06d}.png"
            Image.fromarray(picture).save(out / "images" / name)
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
    except OSError as error:
        raise write_error(out, error) from error
    titles = {
        int(number): cluster_title(int(number), name)
        for number, name in zip(columns["cluster"], columns["cluster_name"])
    }
    content = {
        "info": {
            "description": f"Errors of {shown(study.path.name)}; heatmaps at {shown(drawn_at(study, layer))}"
        },
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": number, "name": title, "supercategory": "root cause"}
            for number, title in sorted(titles.items())
        ],
    }
    write_whole(out / "annotations.json", json.dumps(content, ensure_ascii=False).encode())
    return out / "annotations.json"


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
