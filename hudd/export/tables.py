"""A study's tables as CSV files, and what people made of its clusters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from hudd.cells import frame_to_csv
from hudd.export.errors import made
from hudd.review.reviewed import review_of, reviewed
from hudd.store.files import write_error
from hudd.summary import available_tables, table

if TYPE_CHECKING:
    from hudd.study import Study


def export_tables(study: Study, out: str | Path) -> list[Path]:
    """Write a CSV file a table of the study; ``review.csv`` where clusters were named or edited.

    Parameters
    ----------
    study : Study
        The study, tested at least.
    out : str or Path
        Directory; made if need be.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    HuddError
        If the directory cannot be written.
    """
    out = Path(out)
    made(out)
    tables = {name: table(study, name) for name in available_tables(study)}
    if (study.path / "review.json").exists() and study.has("clusters"):
        tables["review"] = review_table(study)
    try:
        for name, frame in tables.items():
            (out / f"{name}.csv").write_bytes(frame_to_csv(frame))
    except OSError as error:
        raise write_error(out, error) from error
    return [out / f"{name}.csv" for name in tables]


def review_table(study: Study) -> pd.DataFrame:
    """One row an error: path, its cluster as edited, the cluster's name, note, and what was done to it."""
    review = review_of(study)
    paths, label = study.split("test").path, reviewed(study, review).clusters.label.tolist()
    texts = {number: review.of(number) for number in review.groups.medoid}
    return pd.DataFrame(
        {
            "path": [paths[row] for row in study.errors.tolist()],
            "cluster": label,
            "name": [texts[number]["name"] for number in label],
            "edited": [review.groups.origin.get(number, "") for number in label],
            "note": [texts[number]["note"] for number in label],
        }
    )
