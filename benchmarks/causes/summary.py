"""From cells to a table: means with confidence intervals, and what is best on cases that did not choose it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

Cell = dict[str, Any]
MEASURES = (
    "purity", "weighted_purity", "coverage", "strict_coverage", "rare_coverage", "redundancy", "clusters",
    "clustered", "rand", "information", "seconds", "bytes_each",
)  # fmt: skip
# What may be chosen: whoever looks at the clusters sees most failures, and no cause much more often than this.
CLUSTERED, REDUNDANCY = 0.8, 6.0


def score(row: dict[str, float]) -> float:
    """Harmonic mean of purity and coverage."""
    both = row["purity"] + row["coverage"]
    return 2 * row["purity"] * row["coverage"] / both if both else 0.0


def admissible(row: dict[str, float]) -> bool:
    """Whether the clusters hold most failures and do not split the causes too finely."""
    return row["clustered"] >= CLUSTERED and row["redundancy"] <= REDUNDANCY


def means(cells: Iterable[Cell]) -> dict[str, dict[str, float]]:
    """Mean of every measure by pipeline, over the seeds of a case first, then over the cases."""
    by_case: dict[str, dict[str, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        by_case[cell["pipeline"]][cell["case"]].append(cell)
    return {
        pipeline: {
            measure: float(np.mean([np.mean([cell[measure] for cell in of]) for of in found.values()]))
            for measure in MEASURES
        }
        for pipeline, found in by_case.items()
    }


def half_widths(cells: Iterable[Cell], measures: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Half the width of the 95 % confidence interval of the mean over the cases, from the spread over seeds.

    Student's t for the mean of independent cases, each with its own variance over seeds (Welch-Satterthwaite).
    """
    by_case: dict[str, dict[str, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        by_case[cell["pipeline"]][cell["case"]].append(cell)
    widths: dict[str, dict[str, float]] = {}
    for pipeline, found in by_case.items():
        widths[pipeline] = {}
        for measure in measures:
            groups = [np.array([cell[measure] for cell in of]) for of in found.values()]
            if min(map(len, groups)) < 2:
                widths[pipeline][measure] = float("nan")
                continue
            parts = np.array([group.var(ddof=1) / len(group) for group in groups]) / len(groups) ** 2
            free = parts.sum() ** 2 / max((parts**2 / [len(g) - 1 for g in groups]).sum(), 1e-30)
            widths[pipeline][measure] = float(
                stats.t.ppf(0.975, max(free, 1.0)) * np.sqrt(parts.sum()) if parts.any() else 0.0
            )
    return widths


def best(cells: list[Cell]) -> str | None:
    """The admissible pipeline of the highest score; presets do not take part."""
    rows = {
        name: row for name, row in means(cells).items() if not name.startswith("preset") and admissible(row)
    }
    return max(rows, key=lambda name: score(rows[name])) if rows else None


def held_out(cells: list[Cell]) -> list[dict[str, Any]]:
    """For every case: the pipeline that the other cases choose, and what it does on this one."""
    found = []
    for case in sorted({cell["case"] for cell in cells}):
        name = best([cell for cell in cells if cell["case"] != case])
        if name is None:
            continue
        row = means(cell for cell in cells if cell["case"] == case and cell["pipeline"] == name)[name]
        found.append({"case": case, "chosen": name, **{key: round(row[key], 4) for key in MEASURES}})
    return found


def summarise(cells: list[Cell]) -> dict[str, Any]:
    """The table that is committed: every pipeline, best first."""
    rows, widths = means(cells), half_widths(cells, ("purity", "coverage", "information"))
    cases = sorted({cell["case"] for cell in cells})
    by_case = {case: means(cell for cell in cells if cell["case"] == case) for case in cases}
    order = sorted(rows, key=lambda name: (-admissible(rows[name]), -score(rows[name])))
    table = []
    for name in order:
        each = {
            case: [round(by_case[case][name][key], 3) for key in ("purity", "coverage", "information")]
            for case in cases
            if name in by_case[case]
        }
        table.append(
            {
                "pipeline": name,
                "score": round(score(rows[name]), 4),
                "admissible": admissible(rows[name]),
                **{key: round(value, 4) for key, value in rows[name].items()},
                **{f"{key}_ci95": round(value, 4) for key, value in widths[name].items()},
                "cases": each,
            }
        )
    return {"table": table, "leave_one_case_out": held_out(cells)}


def plot(path: Path, table: list[dict[str, Any]], highlighted: tuple[str, ...]) -> None:
    """Purity against coverage, a point a pipeline, coloured by its kind of feature."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "hudd"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.2, 5.2), layout="constrained")
    kinds = {
        "pixels": "#9aa5b1",
        "transfer": "#3a8f6b",
        "activation": "#c98a1b",
        "relevance": "#1f5fa8",
        "moments": "#8a4fb0",
    }
    for kind, colour in kinds.items():
        rows = [row for row in table if _kind(row["pipeline"]) == kind]
        for filled in (True, False):
            part = [row for row in rows if row["admissible"] == filled]
            axes.scatter(
                [row["coverage"] for row in part],
                [row["purity"] for row in part],
                s=22,
                facecolors=colour if filled else "none",
                edgecolors=colour,
                linewidths=0.7,
                alpha=0.75,
                label=kind if filled else None,
            )
    for row in table:
        if row["pipeline"] in highlighted:
            axes.plot(row["coverage"], row["purity"], "*", ms=13, mfc="#b3261e", mec="white")
            axes.annotate(
                row["pipeline"],
                (row["coverage"], row["purity"]),
                xytext=(7, -3),
                textcoords="offset points",
                fontsize=8,
            )
    axes.set_xlabel("coverage of the injected causes")
    axes.set_ylabel("mean purity of the clusters")
    axes.legend(title="filled: most failures clustered,\nfew clusters a cause", fontsize=8, title_fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _kind(pipeline: str) -> str:
    first = pipeline.removeprefix("preset ").split(",")[0].split()[0]
    return first if first in ("pixels", "transfer", "activation", "moments") else "relevance"
