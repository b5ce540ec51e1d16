"""One Parquet table of the errors, pictures included, as Renumics Spotlight, pandas or polars open it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from hudd.errors import HuddError
from hudd.export.errors import checked_layer, error_columns, made, overlaid, pictures, png
from hudd.plot.places import places
from hudd.store.files import write_whole
from hudd.text import shown

if TYPE_CHECKING:
    from hudd.study import Study


def export_parquet(study: Study, out: str | Path, *, layer: str | None = None) -> Path:
    """Write ``errors.parquet``: a row an error, with its picture, the heatmap over it, cluster and parameters.

    ``spotlight.show("errors.parquet", dtype={"picture": "Image", "heatmap": "Image", "map": "Embedding"})``
    shows it. Columns: path, label, prediction, score, cluster, cluster_name, medoid (bool), distance (to the
    medoid), map (two float32, classical scaling of the distances; left out beyond 12,000 errors), picture and
    heatmap (PNG bytes), and one a parameter, named ``parameter: NAME``.

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
    layer = checked_layer(study, layer)
    columns, test = error_columns(study), study.split("test")
    points = places(study, study.chosen_layer)
    if points is not None:
        columns["map"] = list(points.astype(np.float32))
    columns["picture"], columns["heatmap"] = [], []
    for _, picture, relevance in pictures(study, layer, "Parquet export"):
        columns["picture"].append(png(Image.fromarray(picture)))
        columns["heatmap"].append(png(overlaid(picture, relevance)))
    for name, values in test.parameters.items():
        columns[f"parameter: {shown(name)}"] = values[study.errors].tolist()
    table, buffer = pyarrow.table(columns), io.BytesIO()
    pyarrow.parquet.write_table(table, buffer)
    path = Path(out) / "errors.parquet"
    made(path.parent)
    write_whole(path, buffer.getvalue())
    return path
