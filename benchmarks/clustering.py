"""Clustering: Ward from a condensed matrix against SciPy and fastcluster, WICD of all cuts, and N = 50,000 whole."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import harness
import numpy as np

import hudd
from hudd.clustering import linkage_vectors, stability
from hudd.clustering.wicd import tree_sums, wicd_curve

PARTS = ("ward", "cuts", "vectors", "large")
PACKAGES = ("numpy", "scipy", "numba", "fastcluster", "hudd")
GROUPS = 40


def grouped(n: int, features: int) -> np.ndarray:
    """Rows in groups that overlap."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((GROUPS, features), dtype=np.float32)
    return centres[rng.integers(0, GROUPS, n)] + rng.standard_normal((n, features), dtype=np.float32)


def _linkages() -> dict[str, tuple[type, Callable[[np.ndarray], np.ndarray]]]:
    """Every peer: the type it takes and the call."""
    from scipy.cluster import hierarchy

    found: dict[str, tuple[type, Callable[[np.ndarray], np.ndarray]]] = {
        "hudd": (np.float32, hudd.linkage),
        "hudd, overwriting": (np.float32, lambda d: hudd.linkage(d, overwrite=True)),
        "SciPy": (np.float64, lambda d: hierarchy.linkage(d, "ward")),
    }
    try:
        import fastcluster
    except ImportError:
        return found
    return found | {
        "fastcluster": (np.float64, lambda d: fastcluster.linkage(d, "ward")),
        "fastcluster, overwriting": (
            np.float64,
            lambda d: fastcluster.linkage(d, "ward", preserve_input=False),
        ),
    }


def child_ward(name: str, distances: str, out: str) -> None:
    """Cluster a stored matrix and print time and peak memory, the matrix included."""
    dtype, run = _linkages()[name]
    warm = np.random.default_rng(0).random(45).astype(dtype)
    run(warm)
    before = harness.memory("VmRSS")
    matrix = np.load(distances, mmap_mode="r")
    matrix = np.array(matrix, dtype)
    harness.forget_peak()
    start = perf_counter()
    z = run(matrix)
    seconds = perf_counter() - start
    np.save(out, z)
    peak = harness.memory("VmHWM") - before
    print(json.dumps({"seconds": seconds, "peak_mib": peak / 2**20, "input_mib": matrix.nbytes / 2**20}))


def child_whole(rows: int, features: int) -> None:
    """Distances, linkage, WICD and labels of many rows; print each step's time and the peak memory."""
    data = grouped(rows, features)
    hudd.cluster(data[:200])  # compiles
    harness.forget_peak()
    seconds, start = {}, perf_counter()
    condensed = hudd.pairwise_distances(data, condensed=True, unit_norm=True)
    seconds["distances"] = perf_counter() - start
    start = perf_counter()
    z = hudd.linkage(condensed, overwrite=True)
    seconds["linkage"] = perf_counter() - start
    peak = harness.memory("VmHWM")
    print(json.dumps({"seconds": seconds, "peak_rss_gib": peak / 2**30, "highest": float(z[-1, 2])}))


def ward(n: int, repeats: int) -> dict[str, Any]:
    """Time and memory of every peer, each run in a process of its own, in turns; and agreement with SciPy."""
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        matrix = Path(folder, "distances.npy")
        np.save(matrix, hudd.pairwise_distances(grouped(n, 256), condensed=True, unit_norm=True))
        for _ in range(repeats):
            for name in _linkages():
                run = harness.child(__file__, "ward", name, matrix, Path(folder, f"{name}.npy"))
                best = found.setdefault(name, run)
                best["seconds"] = min(best["seconds"], run["seconds"])
        reference = np.load(Path(folder, "SciPy.npy"))
        for name, run in found.items():
            z = np.load(Path(folder, f"{name}.npy"))
            run["largest_relative_error"] = float((np.abs(z[:, 2] - reference[:, 2]) / reference[:, 2]).max())
            run["merges_as_scipy"] = float((z[:, [0, 1, 3]] == reference[:, [0, 1, 3]]).all(axis=1).mean())
    harness.table(
        f"Ward from the condensed matrix of {n:,} points",
        ("seconds", "times hudd", "peak MiB", "of it the matrix", "largest relative error", "merges as SciPy"),
        {
            name: (
                run["seconds"], f"{run['seconds'] / found['hudd']['seconds']:.2f}", f"{run['peak_mib']:.0f}",
                f"{run['input_mib']:.0f}", f"{run['largest_relative_error']:.1e}", f"{run['merges_as_scipy']:.2%}",
            )
            for name, run in found.items()
        },
    )  # fmt: skip
    return {"rows": n, "runs": found}


def cuts(n: int, repeats: int) -> dict[str, Any]:
    """WICD for k = 2 to 500 after linkage, and stability."""
    condensed = hudd.pairwise_distances(grouped(n, 256), condensed=True, unit_norm=True)
    z, ks = hudd.linkage(condensed), np.arange(2, 501)
    seconds = harness.best_times(
        {"WICD of every cut": lambda: wicd_curve(tree_sums(condensed, z), z, ks)}, repeats
    )
    labels = hudd.cluster(condensed).labels
    seconds |= harness.best_times(
        {
            "stability, 10 samples": lambda: stability(condensed, labels, seed=0, resamples=10),
            "cluster, from distances to labels": lambda: hudd.cluster(condensed),
        },
        1,
    )
    _print(f"Cuts of a dendrogram of {n:,} points, k = 2 to 500", seconds)
    return {"rows": n, "ks": [2, 500], "seconds": seconds}


def vectors(n: int) -> dict[str, Any]:
    """Ward on vectors, and distances and Ward on the matrix."""
    rows = grouped(n, 256)
    linkage_vectors(rows[:10])
    start = perf_counter()
    z = linkage_vectors(rows)
    seconds = {"vectors": perf_counter() - start}
    start = perf_counter()
    wanted = hudd.linkage(hudd.pairwise_distances(rows, condensed=True), overwrite=True)
    seconds["distances and matrix"] = perf_counter() - start
    error = float((np.abs(z[:, 2] - wanted[:, 2]) / wanted[:, 2]).max())
    _print(f"Ward on {n:,} vectors of 256, heights within {error:.1e} of the matrix's", seconds)
    return {"rows": n, "features": 256, "seconds": seconds, "largest_relative_difference": error}


def large(n: int) -> dict[str, Any]:
    """Distances and linkage of many rows, in a process of its own."""
    found = {"rows": n, "features": 256, **harness.child(__file__, "whole", n, 256)}
    _print(f"{n:,} rows of 256, peak {found['peak_rss_gib']:.1f} GiB", found["seconds"])
    return found


def _print(title: str, seconds: dict[str, float]) -> None:
    harness.table(title, ("seconds",), {name: (time,) for name, time in seconds.items()})


def plot(path: Path, record: dict[str, Any]) -> None:
    """Draw every peer's time and memory for Ward."""
    found = record["ward"]["figures"]
    runs = found["runs"]
    harness.bars(
        path,
        f"Ward's linkage of {found['rows']:,} points",
        "",
        {
            "seconds": {name: run["seconds"] for name, run in runs.items()},
            "peak memory, GiB": {name: run["peak_mib"] / 1024 for name, run in runs.items()},
        },
    )


def main() -> None:
    """Run the parts asked for and write the table."""
    if sys.argv[1:2] == ["--child"]:
        if sys.argv[2] == "ward":
            child_ward(*sys.argv[3:])
        else:
            child_whole(int(sys.argv[3]), int(sys.argv[4]))
        return
    options = harness.parser(__doc__ or "", "clustering")
    options.add_argument("--rows", type=int, default=10_000, help="of ward, cuts and vectors")
    options.add_argument("--large", type=int, default=50_000, help="of the whole")
    options.add_argument("--part", choices=PARTS, action="append")
    chosen = harness.parse(options, repeats=2, rows=4000, large=10_000)
    record = json.loads(chosen.out.read_text()) if chosen.out.exists() and chosen.part else {}
    record |= {"versions": harness.versions(*PACKAGES), "repeats": chosen.repeats}
    harness.left_out(record["versions"])
    for part in chosen.part or PARTS:
        machine = harness.machine()
        if part == "ward":
            found = ward(chosen.rows, chosen.repeats)
        elif part == "cuts":
            found = cuts(chosen.rows, chosen.repeats)
        else:
            found = vectors(chosen.rows) if part == "vectors" else large(chosen.large)
        record[part] = {"machine": machine, "figures": found}
    harness.write(chosen.out, record)
    if not chosen.quick and "ward" in record:
        plot(chosen.out.with_suffix(".svg"), record)


if __name__ == "__main__":
    main()
