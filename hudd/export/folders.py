"""Pictures in a folder per cluster, each with its heatmap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from hudd.export.base import Exporter
from hudd.export.errors import checked_layer, error_columns, file_name, overlaid, pictures
from hudd.progress import progress

if TYPE_CHECKING:
    from hudd.review.view import View


def _write(results: View, folder: Path, *, layer: str | None = None) -> list[Path]:
    """Write ``errors/cluster_01/0000_NAME.png``, the medoid first and the others by their distance to it.

    Next to each is ``0000_NAME_heatmap.png``. The unsafe set, where there is one, goes to
    ``unsafe/cluster_01/``, the nearest first. Folders carry the names that people gave to the clusters.
    """
    layer, columns, clusters = checked_layer(results, layer), error_columns(results), results.clusters
    folders = {number: f"cluster_{file_name(clusters.title(number))}" for number in clusters.numbers}
    order = np.lexsort((columns["distance"], ~columns["medoid"], columns["cluster"]))
    place, numbers = _places(columns["cluster"], order), columns["cluster"].tolist()
    errors = _made(folder / "errors", [folders[number] for number in numbers])
    for row, picture, relevance in pictures(results, layer, "error images"):
        name = f"{place[row]:04d}_{file_name(Path(columns['path'][row]).name)}"
        Image.fromarray(picture).save(errors / folders[numbers[row]] / f"{name}.png")
        overlaid(picture, relevance).save(errors / folders[numbers[row]] / f"{name}_heatmap.png")
    return [errors, *([_unsafe(results, folder / "unsafe", folders)] if results.has("selection") else [])]


FOLDERS = Exporter("images", _write)


def _unsafe(results: View, folder: Path, folders: dict[int, str]) -> Path:
    unsafe, source = results.selection, results.source("improvement")
    place = _places(unsafe.cluster, np.lexsort((unsafe.distance, unsafe.cluster)))
    _made(folder, [folders[number] for number in unsafe.cluster.tolist()])
    with progress("unsafe images", len(unsafe)) as advance:
        for at, (image, cluster) in enumerate(zip(unsafe.image.tolist(), unsafe.cluster.tolist())):
            name = f"{place[at]:04d}_{file_name(Path(source.paths[image]).name)}.png"
            Image.fromarray(source.picture(image)).save(folder / folders[cluster] / name)
            advance(1)
    return folder


def _made(folder: Path, names: Sequence[str]) -> Path:
    """Make a folder and those in it."""
    for name in ("", *names):
        (folder / name).mkdir(exist_ok=True)
    return folder


def _places(clusters: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return each row's place within its cluster, (N,) int64, when rows are taken in `order`."""
    place, seen = np.empty(len(clusters), np.int64), dict[int, int]()
    for row in order.tolist():
        number = int(clusters[row])
        place[row] = seen.get(number, 0)
        seen[number] = place[row] + 1
    return place
