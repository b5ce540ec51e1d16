"""Does selection by cause need other features? Two presets at equal labels, retrained, counted on judge sets.

The protocol, fixed before the run:

* Cases, networks, training, budgets and judge sets: those of selection_judge.py, with draws 81, 82 and 83, which
  nothing has seen, but for the natural images, whose network takes too long. Strategy by-cause, by clusters and causes
  of either preset on the same network and images: `moments`, by which it was chosen, and `moments-image`. Seeds 960 and
  961 of selection and training. Run draw by draw; what both presets have finished for a case and a draw counts.
  A form without the map was run on draws 71 and 72: no difference was found.
* Metric: accuracy on the judge set after retraining, and the share of correct predictions that regress. Means over
  networks, then over cases. Differences are paired by case, network, draw, budget and seed: two-sided Wilcoxon
  signed-rank tests at 5 %, and of the means over budgets and seeds, one pair a case, network and draw.
* Asked: is `moments-image` behind in accuracy, or are there more regressions? If either with p < 0.05 over all pairs,
  it does not become the default.
* Told besides: errors fixed, and how many of the labels were errors.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import harness
import torch
from selection_cases import CASES, ROOT
from selection_judge import SHARES, Draw, _mean, _tested

PRESETS = ("moments-image", "moments")
DRAWS, SEEDS, STRATEGY = (81, 82, 83), (960, 961), "by-cause"
NAMES = tuple(CASES)[:-1]
MEASURED = ("before", "after", "fixed", "broken", "errors_among_labels")
Row = dict[str, Any]


def _cells(name: str, draw: int, folder: Path) -> list[Row]:
    """Return what both presets have of a case's draw."""
    found = []
    for preset in PRESETS:
        one = Draw(name, folder, draw, preset)
        found += [
            {"preset": preset} | one.run(STRATEGY, share, seed, variant="")
            for share in SHARES
            for seed in SEEDS
        ]
    return found


def _question(rows: list[Row], key: str) -> Row:
    """The first preset less the second, in points."""
    values = {(r["case"], r["draw"], r["share"], r["seed"], r["preset"]): 100 * r[key] for r in rows}
    pairs = {
        pair[:-1]: value - values[*pair[:-1], PRESETS[1]]
        for pair, value in values.items()
        if pair[-1] == PRESETS[0]
    }
    by_draw: dict[tuple[Any, ...], list[float]] = {}
    for pair, points in pairs.items():
        by_draw.setdefault(pair[:2], []).append(points)
    means = [_mean([row for row in rows if row["preset"] == preset], key) for preset in PRESETS]
    return {
        "of": key, "mean_of_cases": round(means[0] - means[1], 3), **_tested(pairs.values()),
        "by_draw": _tested(sum(points) / len(points) for points in by_draw.values()),
    }  # fmt: skip


def main() -> None:
    """Run what is not there yet, then write the figures of what is finished."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--folder", type=Path, default=ROOT / "build" / "selection_presets", help="of studies and runs"
    )
    options.add_argument("--minutes", type=float, default=600, help="begin nothing after so many")
    options.add_argument("--out", type=Path, default=harness.RESULTS / "selection_presets.json")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    begun, rows = time.perf_counter(), list[Row]()
    for draw in DRAWS:
        for name in NAMES:
            file = chosen.folder / name / str(draw) / "presets.json"
            if not file.exists() and time.perf_counter() - begun < 60 * chosen.minutes:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(json.dumps(_cells(name, draw, chosen.folder)))
                print(name, draw, flush=True)
            rows += json.loads(file.read_text()) if file.exists() else []
    own = {preset: [row for row in rows if row["preset"] == preset] for preset in PRESETS}
    by_case = {
        name: {
            preset: round(_mean([row for row in own[preset] if row["case"] == name], "after"), 2)
            for preset in PRESETS
        }
        for name in dict.fromkeys(row["case"] for row in rows)
    }
    record = {
        "machine": harness.machine(),
        "versions": harness.versions("torch", "numpy", "scikit-learn", "hudd"),
        "protocol": (__doc__ or "").split("\n\n", 1)[1].strip(),
        "means": {preset: {key: round(_mean(own[preset], key), 2) for key in MEASURED} for preset in PRESETS},
        "accuracy_by_case": by_case,
        "differences": [_question(rows, key) for key in ("after", "broken", "fixed")],
        "runs": rows,
    }
    for key in ("means", "accuracy_by_case", "differences"):
        print(json.dumps(record[key], indent=1))
    harness.write(chosen.out, record)


if __name__ == "__main__":
    main()
