"""Are causes that one rule describes one cause? Bundled cases with parameters, before and after causes are joined.

The protocol, written before the run: the cases mnist, digits, eyes and eyes-open with seeds 1 to 3 of data, training
and study, up to the clusters; joining was made on seed 0 of mnist and eyes. Measures of metrics.py by the injected
causes, and whether the largest cause holds most errors of the commonest injected one. Asked is whether adjusted mutual
information is higher with joined causes: two-sided Wilcoxon signed-rank test over the twelve studies.

Added after the first run of this: the same of preset `moments-image`, whose map was weighed on seed 0 of eyes. Asked is
whether its causes by splits have as much adjusted mutual information as those of `moments`, by the same test. And rules
have changed since: conditions on images that fail no more often than all are left out.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import wilcoxon

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import harness
from metrics import quality

from hudd.clustering import find_causes
from hudd.demo import prepare
from hudd.evaluation import NATURAL
from hudd.study import Study

CASES, SEEDS = ("mnist", "digits", "eyes", "eyes-open"), (1, 2, 3)
PRESETS, WAYS = ("moments", "moments-image"), ("by splits", "joined")
SHOWN = ("information", "purity", "redundancy", "coverage", "groups", "largest_is_commonest")


def measures(label: np.ndarray, cause: np.ndarray) -> dict[str, float]:
    """Tell how far causes agree with the injected ones."""
    injected = np.where(cause == NATURAL, "natural", cause)
    found = quality(label, injected, ("",))
    names, counts = np.unique(injected[injected != "natural"], return_counts=True)
    commonest = injected == names[counts.argmax()]
    largest = label == np.bincount(label).argmax()
    told = {name: round(float(getattr(found, name)), 4) for name in SHOWN[:4]}
    return told | {
        "groups": float(len(np.unique(label))),
        "largest_is_commonest": float((largest & commonest).sum() > commonest.sum() / 2),
    }


def both(study: Study) -> dict[str, dict[str, float]]:
    """Return the measures of the causes by splits alone, and of those of the study."""
    layer, cause = study.layers[0], study.split("test").parameters["cause"][study.errors]
    found, rows = study.clustering_of(layer), study.heatmaps_of(layer)[...]
    alone = find_causes(found, study.distances_of(layer), rows)
    return {
        "by splits": measures(alone.of_cluster[found.labels - 1], cause),
        "joined": measures(study.causes.of_error, cause),
    }


def main() -> None:
    """Make the studies that are not there, and write what they show."""
    options = harness.parser((__doc__ or "").partition("\n")[0], "causes-joined")
    options.add_argument(
        "--folder", type=Path, required=True, help="of the studies; a run goes on where it stopped"
    )
    options.set_defaults(repeats=1)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    cells: list[dict[str, Any]] = []
    for seed in SEEDS:
        for case in CASES:
            study = prepare(case, chosen.folder / f"{case}-{seed}", seed=seed)
            for preset in PRESETS:
                found = both(study.configure(preset=preset).run_step("cluster"))
                cells += [
                    {"case": case, "seed": seed, "preset": preset, "way": way} | found[way] for way in WAYS
                ]
            print(
                case,
                seed,
                {(cell["preset"], cell["way"]): cell["information"] for cell in cells[-4:]},
                flush=True,
            )

    def values(preset: str, way: str, name: str) -> np.ndarray:
        return np.array([c[name] for c in cells if (c["preset"], c["way"]) == (preset, way)])

    def tested(one: tuple[str, str], other: tuple[str, str]) -> dict[str, Any]:
        gained = values(*one, "information") - values(*other, "information")
        p = float(wilcoxon(gained).pvalue) if gained.any() else 1.0
        found = {"gain": round(float(gained.mean()), 4), "p": p}
        return found | {"higher": int((gained > 0).sum()), "lower": int((gained < 0).sum())}

    first, second = ((preset, WAYS[0]) for preset in PRESETS)
    record = {
        "machine": harness.machine(),
        "versions": harness.versions("torch", "numpy", "scikit-learn", "hudd"),
        "repeats": 1,
        "means": {
            f"{preset}, {way}": {name: round(float(values(preset, way, name).mean()), 4) for name in SHOWN}
            for preset in PRESETS
            for way in WAYS
        },
        "information_by_case": {
            case: {
                f"{preset}, {way}": round(
                    float(
                        np.mean(
                            [
                                c["information"]
                                for c in cells
                                if (c["case"], c["preset"], c["way"]) == (case, preset, way)
                            ]
                        )
                    ),
                    4,
                )
                for preset in PRESETS
                for way in WAYS
            }
            for case in CASES
        },
        "joined_against_splits": {preset: tested((preset, WAYS[1]), (preset, WAYS[0])) for preset in PRESETS},
        "moments_image_against_moments": tested(second, first),
        "cells": cells,
    }
    columns = {way: list(of.values()) for way, of in record["means"].items()}
    harness.table(f"{len(CASES) * len(SEEDS)} studies", SHOWN, columns)
    for key in ("information_by_case", "joined_against_splits", "moments_image_against_moments"):
        print(key, record[key])
    harness.write(chosen.out, record)


if __name__ == "__main__":
    main()
