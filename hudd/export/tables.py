"""A study's tables as CSV files, and what people made of its clusters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hudd.cells import frame_to_csv
from hudd.export.base import Exporter
from hudd.summary import available_tables, table

if TYPE_CHECKING:
    from hudd.review.view import View


def _write(results: View, folder: Path) -> list[Path]:
    """Write a CSV file a table of the study; ``review.csv`` where clusters were named or edited."""
    tables = {name: table(results, name) for name in available_tables(results)}
    if results.review and (
        results.edits or any(map(any, (t.values() for t in results.review.texts.values())))
    ):
        tables["review"] = review_table(results)
    for name, frame in tables.items():
        (folder / f"{name}.csv").write_bytes(frame_to_csv(frame))
    return [folder / f"{name}.csv" for name in tables]


TABLES = Exporter("csv", _write)


def review_table(results: View) -> pd.DataFrame:
    """One row per error: path, its cluster as edited, the cluster's name, note, and what was done to it."""
    paths, clusters = results.split("test").path, results.clusters
    columns = {
        "path": [paths[row] for row in results.errors.tolist()],
        "cluster": clusters.label,
        "name": [clusters.name_of(number) for number in clusters.label.tolist()],
        "edited": [results.origin(number) for number in clusters.label.tolist()],
        "note": [results.note(number) for number in clusters.label.tolist()],
    }
    return pd.DataFrame(
        {name: np.asarray(values, None if name == "cluster" else object) for name, values in columns.items()}
    )
