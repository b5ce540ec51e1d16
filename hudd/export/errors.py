"""What the exporters tell of the errors: their columns, their pictures, their heatmaps."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from hudd.colours import relevance_indices, relevance_palette
from hudd.errors import UsageError
from hudd.features import feature_kind
from hudd.plot.pictures import distances_to_medoids
from hudd.progress import progress
from hudd.study.linking import pairs_of
from hudd.text import printable

if TYPE_CHECKING:
    from hudd.review.view import View


def error_columns(results: View) -> dict[str, Any]:
    """Return columns about the N errors, by name: lists of text, or arrays.

    path, label, prediction (names), score, cluster (number), cluster_name (given by a person, else empty), medoid
    (bool) and distance (to the medoid, units of the clustered distances).
    """
    found, errors, test = results.clusters, results.errors, results.split("test")
    names = np.array([printable(name) for name in results.class_names], object)
    distance = distances_to_medoids(pairs_of(results, found.layer), found)
    return {
        "path": [test.path[at] for at in errors],
        "label": names[test.label[errors]].tolist(),
        "prediction": names[test.prediction[errors]].tolist(),
        "score": test.score[errors].astype(np.float32),
        "cluster": np.asarray(found.label, np.int64),
        "cluster_name": [found.name_of(number) for number in found.label.tolist()],
        "medoid": np.isin(np.arange(len(errors)), found.medoid),
        "distance": distance.astype(np.float32),
    }


def checked_layer(results: View, layer: str | None) -> str:
    """Return `layer`, or the chosen one where none is given.

    Raises
    ------
    UsageError
        If the study does not hold it.
    """
    layer = layer or results.chosen_layer
    if layer not in results.layers:
        raise UsageError(f"layer '{layer}' is not in this study; choose one of: {', '.join(results.layers)}.")
    return layer


def drawn_at(results: View, layer: str) -> str:
    """Return where the relevance that is drawn for `layer` is: there, or at the input where it has other features."""
    return layer if feature_kind(results.settings.choices.features).drawn else "input"


def pictures(
    results: View, layer: str, what: str, batch: int = 256
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield each error's row, its picture (H, W, 3) uint8 and its relevance at `layer`, (H, W) float32.

    The relevance is summed over channels and stretched to the picture's size.
    """
    errors, source = results.errors, results.source("test")
    with progress(what, len(errors)) as advance:
        for start in range(0, len(errors), batch):
            rows = np.arange(start, min(start + batch, len(errors)))
            for row, relevance in zip(rows.tolist(), results.spatial_heatmaps(rows, layer)):
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
