"""One Parquet table of the errors, pictures included, as Renumics Spotlight, pandas or polars open it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from hudd.errors import HuddError
from hudd.export.base import Exporter
from hudd.export.errors import checked_layer, error_columns, overlaid, pictures, png
from hudd.plot.places import places
from hudd.text import printable

if TYPE_CHECKING:
    from hudd.review.view import View


def _write(results: View, folder: Path, *, layer: str | None = None) -> list[Path]:
    """Write ``errors.parquet``: a row per error, with its picture, the heatmap over it, cluster and parameters.

    ``spotlight.show("errors.parquet", dtype={"picture": "Image", "heatmap": "Image", "map": "Embedding"})``
    shows it. Columns: path, label, prediction, score, cluster, cluster_name, medoid (bool), distance (to the
    medoid), map (two float32, classical scaling of the distances; left out beyond 12,000 errors), picture and
    heatmap (PNG bytes), and one a parameter, named ``parameter: NAME``.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise HuddError(
            "the Parquet export needs pyarrow; run pip install '.[parquet]' in hudd's source tree."
        ) from None
    layer = checked_layer(results, layer)
    columns, test = error_columns(results), results.split("test")
    columns["path"] = [path.encode("utf-8", "backslashreplace").decode() for path in columns["path"]]
    points = places(results, results.chosen_layer)
    if points is not None:
        columns["map"] = list(points.astype(np.float32))
    columns["picture"], columns["heatmap"] = [], []
    for _, picture, relevance in pictures(results, layer, "Parquet export"):
        columns["picture"].append(png(Image.fromarray(picture)))
        columns["heatmap"].append(png(overlaid(picture, relevance)))
    for name, values in test.parameters.items():
        columns[f"parameter: {printable(name)}"] = values[results.errors].tolist()
    path = folder / "errors.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return [path]


PARQUET = Exporter("parquet", _write, folder="parquet")
