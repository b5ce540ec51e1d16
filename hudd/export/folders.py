"""Pictures in a folder a cluster, each beside its heatmap."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from hudd.export.errors import (
    checked_layer,
    cluster_title,
    error_columns,
    file_name,
    made,
    overlaid,
    pictures,
)
from hudd.progress import progress
from hudd.review.reviewed import review_of
from hudd.store.files import write_error

if TYPE_CHECKING:
    from hudd.study import Study


def export_folders(study: Study, out: str | Path, *, layer: str | None = None) -> list[Path]:
    """Write ``errors/cluster_01/0000_NAME.png``, the medoid first and the others by their distance to it.

    Beside each lies ``0000_NAME_heatmap.png``. The unsafe set, where there is one, goes to
    ``unsafe/cluster_01/``, the nearest first. Folders carry the names that people gave to the clusters.

    Parameters
    ----------
    study : Study
        A study that is clustered.
    out : str or Path
        Directory; made if need be.
    layer : str, optional
        Layer of the heatmaps; by default the chosen one.

    Returns
    -------
    list of Path
        The folders made.

    Raises
    ------
    UsageError
        If the layer is not in the study.
    HuddError
        If the study has no clusters yet or the directory cannot be written.
    """
    layer, out = checked_layer(study, layer), Path(out)
    columns, review = error_columns(study), review_of(study)
    folders = {
        number: "cluster_" + file_name(cluster_title(number, review.of(number)["name"].strip()))
        for number in review.groups.medoid
    }
    order = np.lexsort((columns["distance"], ~columns["medoid"], columns["cluster"]))
    place = _places(columns["cluster"], order)
    made(*(out / "errors" / folders[number] for number in set(columns["cluster"].tolist())))
    folder = [folders[number] for number in columns["cluster"].tolist()]
    try:
        for row, picture, relevance in pictures(study, layer, "error images"):
            name = f"{place[row]:04d}_{file_name(Path(columns['path'][row]).name)}"
            Image.fromarray(picture).save(out / "errors" / folder[row] / f"{name}.png")
            overlaid(picture, relevance).save(out / "errors" / folder[row] / f"{name}_heatmap.png")
        if study.has("selection"):
            _unsafe(study, out / "unsafe", folders)
            return [out / "errors", out / "unsafe"]
    except OSError as error:
        raise write_error(out, error) from error
    return [out / "errors"]


def _unsafe(study: Study, out: Path, folders: dict[int, str]) -> None:
    unsafe, source = study.selection, study.source("improvement")
    order = np.lexsort((unsafe.distance, unsafe.cluster))
    place = _places(unsafe.cluster, order)
    made(out, *(out / folders[number] for number in set(unsafe.cluster.tolist())))
    with progress("unsafe images", len(unsafe)) as advance:
        for at, (image, cluster) in enumerate(zip(unsafe.image.tolist(), unsafe.cluster.tolist())):
            name = f"{place[at]:04d}_{file_name(Path(source.paths[image]).name)}.png"
            Image.fromarray(source.picture(image)).save(out / folders[cluster] / name)
            advance(1)


def _places(clusters: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return each row's place within its cluster, (N,) int64, when rows are taken in `order`."""
    place, seen = np.empty(len(clusters), np.int64), dict[int, int]()
    for row in order.tolist():
        number = int(clusters[row])
        place[row] = seen.get(number, 0)
        seen[number] = place[row] + 1
    return place
