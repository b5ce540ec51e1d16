"""Ward's method on rows without a matrix, against fastcluster's, and against distances and the matrix form."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

import harness
import numpy as np

import hudd

PARTS = ("wide", "narrow", "many", "large")
PACKAGES = ("numpy", "scipy", "numba", "torch", "fastcluster", "hudd")
GROUPS = 40


def rows(kind: str, n: int, features: int) -> np.ndarray:
    """Rows in groups that overlap, or of one normal distribution."""
    rng = np.random.default_rng(0)
    made = rng.standard_normal((n, features), dtype=np.float32)
    if kind == "groups":
        made += rng.standard_normal((GROUPS, features), dtype=np.float32)[rng.integers(0, GROUPS, n)]
    return made


def _contenders(names: tuple[str, ...]) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    found: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "hudd": hudd.linkage_vectors,
        "hudd, distances and matrix": lambda x: hudd.linkage(
            hudd.pairwise_distances(x, condensed=True), overwrite=True
        ),
    }
    try:
        import fastcluster
    except ImportError:
        pass
    else:
        found["fastcluster"] = lambda x: fastcluster.linkage_vector(x, "ward")
    return {name: run for name, run in found.items() if name in names}


def compare(kind: str, n: int, features: int, repeats: int, *names: str) -> dict[str, Any]:
    """Time each contender on the same rows in turns: wall and processor seconds, the best of each."""
    data, contenders = rows(kind, n, features), _contenders(("hudd", *names))
    found: dict[str, dict[str, float]] = {}
    heights: dict[str, np.ndarray] = {}
    for run in contenders.values():
        run(rows(kind, 5000, 4))  # compiles
    for _ in range(repeats):
        for name, run in contenders.items():
            wall, processor = perf_counter(), process_time()
            heights[name] = run(data)[:, 2]
            spent = {"seconds": perf_counter() - wall, "processor_seconds": process_time() - processor}
            best = found.setdefault(name, spent)
            best.update({unit: min(best[unit], spent[unit]) for unit in spent})
    ours = found["hudd"]
    for name, figures in found.items():
        figures["largest_relative_difference"] = float(
            (np.abs(heights[name] - heights["hudd"]) / heights["hudd"]).max()
        )
    harness.table(
        f"Ward of {n:,} rows of {features}, {kind}",
        ("seconds", "processor seconds", "times hudd", "heights differ by"),
        {
            name: (
                run["seconds"], run["processor_seconds"],
                f"{run['processor_seconds'] / ours['processor_seconds']:.1f}",
                f"{run['largest_relative_difference']:.1e}",
            )
            for name, run in found.items()
        },
    )  # fmt: skip
    return {"kind": kind, "rows": n, "features": features, "runs": found}


def child(n: int, features: int) -> None:
    """Cluster many rows and print time and peak memory."""
    hudd.linkage_vectors(rows("groups", 5000, 4))
    data = rows("groups", n, features)
    harness.forget_peak()
    wall, processor = perf_counter(), process_time()
    hudd.linkage_vectors(data)
    print(
        json.dumps(
            {
                "seconds": perf_counter() - wall,
                "processor_seconds": process_time() - processor,
                "peak_rss_mib": harness.memory("VmHWM") / 2**20,
                "input_mib": data.nbytes / 2**20,
            }
        )
    )


def large(n: int, features: int) -> dict[str, Any]:
    """Cluster many rows in a process of their own."""
    found = {"rows": n, "features": features, **harness.child(__file__, n, features)}
    harness.table(
        f"Ward of {n:,} rows of {features}",
        ("seconds", "processor seconds", "peak MiB", "MiB of the rows"),
        {
            "hudd": tuple(
                found[name] for name in ("seconds", "processor_seconds", "peak_rss_mib", "input_mib")
            )
        },
    )
    return found


def main() -> None:
    """Run the parts asked for and write the table."""
    if sys.argv[1:2] == ["--child"]:
        child(int(sys.argv[2]), int(sys.argv[3]))
        return
    options = harness.parser(__doc__ or "", "vectors")
    options.add_argument("--scale", type=float, default=1.0, help="of all numbers of rows")
    options.add_argument("--part", choices=PARTS, action="append")
    chosen = harness.parse(options, repeats=1, scale=0.2)
    record = json.loads(chosen.out.read_text()) if chosen.out.exists() and chosen.part else {}
    record |= {"versions": harness.versions(*PACKAGES), "repeats": chosen.repeats}
    harness.left_out(record["versions"])
    matrix = "hudd, distances and matrix"
    for part in chosen.part or PARTS:
        machine, scale = harness.machine(), chosen.scale
        found: Any
        if part == "wide":
            size = (int(12_000 * scale), 150, chosen.repeats)
            found = [compare(kind, *size, matrix, "fastcluster") for kind in ("groups", "normal")]
        elif part == "narrow":
            found = compare("groups", int(10_000 * scale), 16, chosen.repeats, matrix, "fastcluster")
        elif part == "many":
            found = compare("groups", int(50_000 * scale), 32, 1, "fastcluster")
        else:
            found = large(int(200_000 * scale), 64)
        record[part] = {"machine": machine, "figures": found}
    harness.write(chosen.out, record)


if __name__ == "__main__":
    main()
