"""The strategies that a study was retrained by, side by side: statistics, files, a plot."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from hudd.errors import HuddError
from hudd.retraining import Comparison, Run
from hudd.store.files import write_error
from hudd.study.results import Results


def comparison(study: Results) -> Comparison:
    """Gather the runs; the others are tested against ``random``, or against the first strategy without it.

    Raises
    ------
    HuddError
        If nothing was retrained yet.
    """
    found = study.retraining
    if not found:
        raise HuddError(f"'{study.path}' has no retraining yet; 'hudd retrain {study.path}' makes it.")
    names = [name for name in study.settings.compared if name in found]
    runs = tuple(
        Run(
            strategy=name,
            seed=run["seed"],
            labelled=run["labelled"],
            bag=len(run["bag"]),
            **{key: run[key] for key in ("accuracy_before", "accuracy_after", "improved", "worsened")},
            recovery=dict(zip(map(str, run["cluster"].tolist()), run["recovery"].tolist())),
            best_epoch=run["best_epoch"],
        )
        for name in names
        for run in found[name]
    )
    return Comparison(runs, "random" if "random" in names else names[0])


def comparison_table(study: Results) -> pd.DataFrame:
    """One row a strategy: mean accuracy with its 95 % interval, and the test against the reference."""
    found = comparison(study)
    columns = {
        "strategy": "strategy", "runs": "runs", "labelled": "labelled", "accuracy": "accuracy_mean",
        "ci_low": "accuracy_ci_low", "ci_high": "accuracy_ci_high", "mended": "improved_mean",
        "broken": "worsened_mean", "p_value": "p_value", "a12": "a12",
    }  # fmt: skip
    rows = found.summary()
    return pd.DataFrame([{name: row.get(key) for name, key in columns.items()} for row in rows])


def write_comparison(study: Results) -> dict[str, Path]:
    """Write ``runs.csv``, ``comparison.json`` and ``comparison.png`` into the study's ``comparison`` directory.

    Returns
    -------
    dict of str to Path
        Kind to file.

    Raises
    ------
    HuddError
        If nothing was retrained yet, or the directory cannot be written.
    """
    found, folder = comparison(study), study.path / "comparison"
    files = {
        "csv": folder / "runs.csv",
        "json": folder / "comparison.json",
        "plot": folder / "comparison.png",
    }
    try:
        folder.mkdir(exist_ok=True)
        found.write_csv(files["csv"])
        found.write_json(files["json"])
        found.figure().savefig(files["plot"], dpi=150)
    except OSError as error:
        raise write_error(folder, error) from error
    return files
