"""Labels for the selected images: written out to be filled in, read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from hudd.errors import UsageError
from hudd.store import drop, read_text, write_dataset
from hudd.store.files import write_error
from hudd.study.results import Results
from hudd.study.study import Study
from hudd.study.summary import selection_table


def export_labels(study: Results, path: str | Path, *, unlabelled_only: bool = False) -> int:
    """Write the selected images as CSV with the columns path, label, cluster and prediction.

    Parameters
    ----------
    study : Study
        With a selection.
    path : str or Path
        The file to write; its column `label` holds what is known and is to be filled in.
    unlabelled_only : bool
        Leave out what has a label.

    Returns
    -------
    int
        Number of rows.
    """
    table = selection_table(study)[["path", "label", "cluster", "prediction"]]
    if unlabelled_only:
        table = table[table["label"] == ""]
    try:
        table.to_csv(path, index=False)
    except OSError as error:
        raise write_error(Path(path), error) from error
    return len(table)


def import_labels(study: Study, path: str | Path) -> int:
    """Read labels from a CSV with the columns path and label; rows without a label are passed over.

    Parameters
    ----------
    study : Study
        Whose improvement set the paths belong to.
    path : str or Path
        The file; a label is a class name or a class number.

    Returns
    -------
    int
        Number of labels read.

    Raises
    ------
    UsageError
        If the file cannot be read, or a path or label is unknown; nothing is then changed.
    """
    numbers = _read(study, Path(path))
    with study.writing() as h5:
        known = dict(zip(read_text(h5["labels/path"]), h5["labels/label"][...])) if "labels" in h5 else {}
        known.update(numbers)
        drop(h5, ["labels"])
        group = h5.create_group("labels")
        about = "identifier of an improvement image that was labelled by hand"
        write_dataset(group, "path", list(known), dims=("path",), scale=True, description=about)
        labels = np.array(list(known.values()), np.int64)
        write_dataset(group, "label", labels, dims=("path",), description="class number")
    study.log("labelled", file=str(path), labels=len(numbers))
    return len(numbers)


def _read(study: Study, path: Path) -> dict[str, int]:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UsageError(
            f"labels '{path}' cannot be read ({reason}); give a CSV with the columns path,label."
        ) from error
    if not {"path", "label"} <= set(table.columns):
        raise UsageError(
            f"labels '{path}' have the columns {', '.join(table.columns)}; path and label are needed."
        )
    names, paths = study.class_names, set(study.split("improvement").path)
    number = {str(position): position for position in range(len(names))}
    number.update({name: position for position, name in enumerate(names)})
    found = {}
    for line, (image, label) in enumerate(zip(table["path"], table["label"].str.strip()), start=2):
        if not label:
            continue
        if image not in paths:
            raise UsageError(
                f"line {line} of '{path}' names '{image}', which is no image of the improvement set."
            )
        if label not in number:
            raise UsageError(
                f"line {line} of '{path}' has label '{label}'; the classes are: {', '.join(names[:20])}."
            )
        found[image] = number[label]
    if not found:
        raise UsageError(f"labels '{path}' hold no label; fill in the column label.")
    return found
