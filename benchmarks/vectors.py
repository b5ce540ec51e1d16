"""Ward's method on rows without a matrix: against fastcluster's, against the matrix form, and by processes."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

import harness
import numpy as np
import torch

import hudd
from hudd.ranks import Ranks, join

PARTS = ("wide", "narrow", "many", "large", "processes")
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
    found = {"rows": n, "features": features, **harness.child(__file__, "large", n, features)}
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


def sharing(n: int, features: int) -> None:
    """Cluster rows together with the other processes, on a thread each; the first prints everybody's time."""
    join()
    ranks = Ranks.current()
    torch.set_num_threads(1)
    hudd.linkage_vectors(rows("groups", 5000, 4))
    data = rows("groups", n, features)
    ranks.wait()
    wall, processor = perf_counter(), process_time()
    z = hudd.linkage_vectors(data, distributed=True)
    spent = perf_counter() - wall, process_time() - processor, hashlib.sha256(z).hexdigest()
    seconds, processors, bits = zip(*ranks.each(lambda: spent))
    if ranks.first:
        found = {"seconds": max(seconds), "processor_seconds": max(processors), "bits": sorted(set(bits))}
        print(json.dumps(found))


def processes(n: int, features: int, repeats: int) -> dict[str, Any]:
    """Time one process, then two that share the searches, in turns: of the slower one, the best."""
    found: dict[str, dict[str, Any]] = {}
    bits = set()
    for _ in range(repeats):
        for count in (1, 2):
            spent = harness.child(__file__, "sharing", n, features, processes=count)
            bits |= set(spent.pop("bits"))
            best = found.setdefault(str(count), spent)
            best.update({unit: min(best[unit], spent[unit]) for unit in spent})
    shares = {unit: found["2"][unit] / found["1"][unit] for unit in found["1"]}
    harness.table(
        f"Ward of {n:,} rows of {features}, by processes of a thread each",
        ("seconds", "processor seconds of the one that took most"),
        {
            "1": tuple(found["1"].values()),
            "2": tuple(found["2"].values()),
            "2, as a share of 1": tuple(shares.values()),
        },
    )
    return {"rows": n, "features": features, "runs": found, "shares": shares, "same_bits": len(bits) == 1}


def main() -> None:
    """Run the parts asked for and write the table."""
    if sys.argv[1:2] == ["--child"]:
        kind, *size = sys.argv[2:]
        {"large": child, "sharing": sharing}[kind](*map(int, size))
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
        elif part == "large":
            found = large(int(200_000 * scale), 64)
        else:
            found = processes(int(50_000 * scale), 64, chosen.repeats)
        record[part] = {"machine": machine, "figures": found}
    harness.write(chosen.out, record)


if __name__ == "__main__":
    main()
