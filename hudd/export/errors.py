"""What every exporter tells of the errors: their columns, their pictures, their heatmaps."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from hudd.errors import UsageError
from hudd.plot.colours import relevance_indices, relevance_palette
from hudd.plot.pictures import distances_to
from hudd.progress import progress
from hudd.review.reviewed import review_of
from hudd.store.files import write_error
from hudd.text import shown

if TYPE_CHECKING:
    from hudd.study import Study


def error_columns(study: Study) -> dict[str, Any]:
    """Return columns about the N errors, by name: lists of text, or arrays.

    path, label, prediction (names), score, cluster (number), cluster_name (given by a person, else empty), medoid
    (bool) and distance (to the medoid, units of the clustered distances).
    """
    found, errors, test = study.clusters, study.errors, study.split("test")
    distances, review = study.distances_of(found.layer), review_of(study)
    names = np.array([shown(name) for name in study.class_names], object)
    distance, given = np.zeros(len(errors)), np.full(len(errors), "", object)
    for label in np.unique(found.label).tolist():
        members = np.flatnonzero(found.label == label)
        to_medoid = distances_to(distances, len(errors), members, int(found.medoid[label - 1]))
        distance[members] = np.maximum(to_medoid, 0)
        given[members] = shown(review.of(label)["name"].strip())
    return {
        "path": [test.path[at] for at in errors],
        "label": names[test.label[errors]].tolist(),
        "prediction": names[test.prediction[errors]].tolist(),
        "score": test.score[errors].astype(np.float32),
        "cluster": np.asarray(found.label, np.int64),
        "cluster_name": given.tolist(),
        "medoid": np.isin(np.arange(len(errors)), found.medoid),
        "distance": distance.astype(np.float32),
    }


def cluster_title(number: int, name: str) -> str:
    """Return how a cluster is called in another tool: ``03``, or ``03 too dark``."""
    return f"{number:02d} {name}".rstrip()


def checked_layer(study: Study, layer: str | None) -> str:
    """Return `layer`, or the chosen one where none is given.

    Raises
    ------
    UsageError
        If the study does not hold it.
    """
    layer = layer or study.chosen_layer
    if layer not in study.layers:
        raise UsageError(f"layer '{layer}' is not in this study; choose one of: {', '.join(study.layers)}.")
    return layer


def drawn_at(study: Study, layer: str) -> str:
    """Return where the relevance that is drawn for `layer` is: there, or at the input where it has other features."""
    return layer if study.settings.choices.features == "relevance" else "input"


def pictures(
    study: Study, layer: str, what: str, batch: int = 256
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield each error's row, its picture (H, W, 3) uint8 and its relevance at `layer`, (H, W) float32.

    The relevance is summed over channels and stretched to the picture's size.
    """
    errors, source = study.errors, study.source("test")
    with progress(what, len(errors)) as advance:
        for start in range(0, len(errors), batch):
            rows = np.arange(start, min(start + batch, len(errors)))
            for row, relevance in zip(rows.tolist(), study.spatial_heatmaps(rows, layer)):
                picture = source.picture(int(errors[row]))
                size = (picture.shape[1], picture.shape[0])
                stretched = Image.fromarray(relevance.astype(np.float32)).resize(
                    size, Image.Resampling.BILINEAR
                )
                yield row, picture, np.asarray(stretched)
            advance(len(rows))


def overlaid(picture: np.ndarray, relevance: np.ndarray) -> Image.Image:
    """Return a picture in grey under its relevance: red speaks for the answer, blue against it."""
    ground = Image.fromarray(picture)
    heat = Image.fromarray(relevance_palette()[relevance_indices(relevance)]).resize(ground.size)
    return Image.alpha_composite(ground.convert("L").convert("RGBA"), heat).convert("RGB")


def png(image: Image.Image) -> bytes:
    """Return a picture as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return buffer.getvalue()


def file_name(text: str) -> str:
    """Return a text as a part of a file name: letters, digits, ``-``, ``_`` and ``.`` are kept, image endings not."""
    stem = re.sub(r"\.(png|jpe?g|webp|bmp|gif|tiff?|p[bgnp]m)$", "", text, flags=re.IGNORECASE)
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in stem)[:80].strip("._")


def made(*folders: Path) -> None:
    """Make folders, with a sentence where that cannot be done."""
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(folder, error) from error
