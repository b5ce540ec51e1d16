"""One Parquet table of the errors, pictures included, as Renumics Spotlight, pandas or polars open it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from hudd import plot
from hudd.errors import HuddError
from hudd.plot.colours import relevance_indices, relevance_palette
from hudd.plot.pictures import distances_to
from hudd.progress import progress
from hudd.report.text import shown
from hudd.store.files import write_error, write_whole

if TYPE_CHECKING:
    from hudd.study import Study


def export_parquet(study: Study, out: str | Path, *, layer: str | None = None) -> Path:
    """Write ``errors.parquet``: a row an error, with its picture, the heatmap over it, cluster and parameters.

    ``spotlight.show("errors.parquet", dtype={"picture": "Image", "heatmap": "Image", "map": "Embedding"})``
    shows it. Columns: path, label, prediction, score, cluster, medoid (bool), distance (to the medoid), map (two
    float32, classical scaling of the distances), picture and heatmap (PNG bytes), and one a parameter, named
    ``parameter: NAME``.

    Parameters
    ----------
    study : Study
        A study that is clustered.
    out : str or Path
        Directory for the file; made if need be.
    layer : str, optional
        Layer of the heatmaps; by default the chosen one.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    HuddError
        If pyarrow is not installed, the study has no clusters yet, or the file cannot be written.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise HuddError("the Parquet export needs pyarrow; install hudd[parquet].") from None
    found, errors, test = study.clusters, study.errors, study.split("test")
    distances, rows = study.distances_of(found.layer), np.arange(len(errors))
    names = np.array([shown(name) for name in study.class_names], object)
    distance = np.zeros(len(errors))
    for label, medoid in enumerate(found.medoid.tolist(), start=1):
        members = np.flatnonzero(found.label == label)
        distance[members] = np.maximum(distances_to(distances, len(errors), members, medoid), 0)
    columns = {
        "path": [test.path[at] for at in errors],
        "label": names[test.label[errors]].tolist(),
        "prediction": names[test.prediction[errors]].tolist(),
        "score": test.score[errors].astype(np.float32),
        "cluster": found.label.astype(np.int64),
        "medoid": np.isin(rows, found.medoid),
        "distance": distance.astype(np.float32),
        "map": list(plot.embed(distances).astype(np.float32)),
    }
    columns["picture"], columns["heatmap"] = _pictures(study, layer or found.layer)
    for name, values in test.parameters.items():
        columns[f"parameter: {shown(name)}"] = values[errors].tolist()
    table, buffer = pyarrow.table(columns), io.BytesIO()
    pyarrow.parquet.write_table(table, buffer)
    path = Path(out) / "errors.parquet"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(path, error) from error
    write_whole(path, buffer.getvalue())
    return path


def _pictures(study: Study, layer: str, batch: int = 256) -> tuple[list[bytes], list[bytes]]:
    source, errors, palette = study.source("test"), study.errors, relevance_palette()
    pictures, overlays = [], []
    with progress("Parquet export", len(errors)) as advance:
        for start in range(0, len(errors), batch):
            rows = np.arange(start, min(start + batch, len(errors)))
            for row, relevance in zip(rows.tolist(), study.spatial_heatmaps(rows, layer)):
                picture = Image.fromarray(source.picture(int(errors[row])))
                heat = Image.fromarray(palette[relevance_indices(relevance)]).resize(picture.size)
                pictures.append(_png(picture))
                overlays.append(
                    _png(Image.alpha_composite(picture.convert("L").convert("RGBA"), heat).convert("RGB"))
                )
            advance(len(rows))
    return pictures, overlays


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return buffer.getvalue()
