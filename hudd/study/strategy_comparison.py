"""The strategies that a study was retrained by, side by side: statistics, files, a plot."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from hudd.errors import HuddError
from hudd.retraining import Comparison, Run
from hudd.store.aside import whole_folder
from hudd.store.files import write_error
from hudd.study.results import Results

_COUNTED = ("accuracy_before", "accuracy_after", "improved", "worsened")


def strategy_comparison(study: Results, *, on: str | None = None) -> Comparison:
    """Gather the runs; the others are tested against ``random``, or against the first strategy without it.

    Parameters
    ----------
    study : Results
        With retrainings.
    on : {"judge", "test"}, optional
        The set that is counted on; by default the judge set where every run was counted on one. The recovery by cluster
        is of test images either way.

    Raises
    ------
    HuddError
        If nothing was retrained yet.
    """
    found = study.retraining
    if not found:
        raise HuddError(f"'{study.path}' has no retraining yet; 'hudd retrain {study.path}' makes it.")
    names = [name for name in study.settings.compared if name in found]
    told = all("judge" in run for name in names for run in found[name])
    on = on or ("judge" if told else "test")
    runs = tuple(
        Run(
            strategy=name,
            seed=run["seed"],
            labelled=run["labelled"],
            bag=len(run["bag"]),
            **{key: (run["judge"] if on == "judge" else run)[key] for key in _COUNTED},
            recovery=dict(zip(map(str, run["cluster"].tolist()), run["recovery"].tolist())),
            best_epoch=run["best_epoch"],
        )
        for name in names
        for run in found[name]
    )
    return Comparison(runs, "random" if "random" in names else names[0], on)


def comparison_table(study: Results, *, on: str | None = None) -> pd.DataFrame:
    """One row a strategy: mean accuracy with its 95 % interval, and the test against the reference."""
    found = strategy_comparison(study, on=on)
    columns = {
        "strategy": "strategy", "runs": "runs", "labelled": "labelled", "accuracy": "accuracy_mean",
        "ci_low": "accuracy_ci_low", "ci_high": "accuracy_ci_high", "fixed": "improved_mean",
        "broken": "worsened_mean", "p_value": "p_value", "a12": "a12",
    }  # fmt: skip
    rows = found.summary()
    return pd.DataFrame([{name: row.get(key) for name, key in columns.items()} for row in rows])


def comparison_text(study: Results, *, on: str | None = None) -> pd.DataFrame:
    """Show :func:`comparison_table` to people: per cent, interval and test in few columns."""
    rows = []
    for row in comparison_table(study, on=on).to_dict("records"):
        low, high = (min(max(100 * row[end], 0), 100) for end in ("ci_low", "ci_high"))
        tested = row["p_value"] is not None and row["p_value"] == row["p_value"]
        rows.append(
            {
                "strategy": row["strategy"],
                "labels": f"{row['labelled']:.0f}",
                "mean %": f"{100 * row['accuracy']:.2f}",
                "95 % CI": f"{low:.2f}..{high:.2f}" if row["runs"] > 1 else "",
                "fixed": f"{row['fixed']:.0f}",
                "broken": f"{row['broken']:.0f}",
                "p": f"{row['p_value']:.4f}" if tested else "",
                "A12": f"{row['a12']:.2f}" if tested else "",
            }
        )
    return pd.DataFrame(rows)


def write_comparison(study: Results) -> dict[str, Path]:
    """Write ``runs.csv``, ``comparison.json`` and ``comparison.png`` into the study's ``comparison`` directory.

    Where there is a judge set these are of it, and ``test.json`` is of the test set.

    Returns
    -------
    dict of str to Path
        Kind to file.

    Raises
    ------
    HuddError
        If nothing was retrained yet, or the directory cannot be written.
    """
    found, folder = strategy_comparison(study), study.path / "comparison"
    files = {
        "csv": folder / "runs.csv",
        "json": folder / "comparison.json",
        "plot": folder / "comparison.png",
    }
    try:
        with whole_folder(folder) as aside:
            found.write_csv(aside / files["csv"].name)
            found.write_json(aside / files["json"].name)
            found.figure().savefig(aside / files["plot"].name, dpi=150)
            if found.on == "judge":
                strategy_comparison(study, on="test").write_json(aside / "test.json")
    except OSError as error:
        raise write_error(folder, error) from error
    return files
