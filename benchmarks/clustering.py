"""Clustering: Ward from a condensed matrix against SciPy and fastcluster, WICD of all cuts, and N = 50,000 whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import harness
import numpy as np

import hudd
from hudd.clustering import criteria_curve, linkage_vectors, stability
from hudd.clustering.wicd import wicd_curve

GROUPS = 40


def grouped(n: int, features: int) -> np.ndarray:
    """Rows in groups that overlap."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((GROUPS, features), dtype=np.float32)
    return centres[rng.integers(0, GROUPS, n)] + rng.standard_normal((n, features), dtype=np.float32)


def _status(name: str) -> int:
    """One field of this process's memory status, in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


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
    before = _status("VmRSS")
    matrix = np.load(distances, mmap_mode="r")
    matrix = np.array(matrix, dtype)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    start = perf_counter()
    z = run(matrix)
    seconds = perf_counter() - start
    np.save(out, z)
    peak = _status("VmHWM") - before
    print(json.dumps({"seconds": seconds, "peak_mib": peak / 2**20, "input_mib": matrix.nbytes / 2**20}))


def child_whole(rows: int, features: int) -> None:
    """Distances, linkage, WICD and labels of many rows; print each step's time and the peak memory."""
    data = grouped(rows, features)
    hudd.cluster(data[:200])  # compiles
    Path("/proc/self/clear_refs").write_text("5")
    seconds, start = {}, perf_counter()
    condensed = hudd.pairwise_distances(data, condensed=True, unit_norm=True)
    seconds["distances"] = perf_counter() - start
    start = perf_counter()
    z = hudd.linkage(condensed, overwrite=True)
    seconds["linkage"] = perf_counter() - start
    peak = _status("VmHWM")
    print(json.dumps({"seconds": seconds, "peak_rss_gib": peak / 2**30, "highest": float(z[-1, 2])}))


def _child(*arguments: str) -> dict[str, Any]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, __file__, "--child", *arguments]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def ward(n: int, repeats: int) -> dict[str, Any]:
    """Time and memory of every peer, each run in a process of its own, in turns; and agreement with SciPy."""
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        matrix = Path(folder, "distances.npy")
        np.save(matrix, hudd.pairwise_distances(grouped(n, 256), condensed=True, unit_norm=True))
        for _ in range(repeats):
            for name in _linkages():
                run = _child("ward", name, str(matrix), str(Path(folder, f"{name}.npy")))
                best = found.setdefault(name, run)
                best["seconds"] = min(best["seconds"], run["seconds"])
        reference = np.load(Path(folder, "SciPy.npy"))
        for name, run in found.items():
            z = np.load(Path(folder, f"{name}.npy"))
            run["largest_relative_error"] = float((np.abs(z[:, 2] - reference[:, 2]) / reference[:, 2]).max())
            run["merges_as_scipy"] = float((z[:, [0, 1, 3]] == reference[:, [0, 1, 3]]).all(axis=1).mean())
            print(f"  {name:26s} {run}")
    return {"rows": n, "runs": found}


def cuts(n: int, repeats: int) -> dict[str, Any]:
    """WICD for k = 2 to 500 after linkage, the other criteria, and stability."""
    condensed = hudd.pairwise_distances(grouped(n, 256), condensed=True, unit_norm=True)
    z, ks = hudd.linkage(condensed), np.arange(2, 501)
    seconds = harness.best_times({"WICD of every cut": lambda: wicd_curve(condensed, z, ks)}, repeats)
    labels = hudd.cluster(condensed).labels
    seconds |= harness.best_times(
        {
            "all criteria of every cut": lambda: criteria_curve(condensed, z, ks),
            "stability, 10 samples": lambda: stability(condensed, labels, seed=0, resamples=10),
            "cluster, from distances to labels": lambda: hudd.cluster(condensed),
        },
        1,
    )
    for name, time in seconds.items():
        print(f"  {name:34s} {time:8.3f} s")
    return {"rows": n, "ks": [2, 500], "seconds": seconds}


def vectors(n: int) -> dict[str, Any]:
    """Ward on vectors beside distances and Ward on the matrix."""
    rows = grouped(n, 256)
    linkage_vectors(rows[:10])
    start = perf_counter()
    z = linkage_vectors(rows)
    seconds = {"vectors": perf_counter() - start}
    start = perf_counter()
    wanted = hudd.linkage(hudd.pairwise_distances(rows, condensed=True), overwrite=True)
    seconds["distances and matrix"] = perf_counter() - start
    error = float((np.abs(z[:, 2] - wanted[:, 2]) / wanted[:, 2]).max())
    print(f"  {seconds}, largest relative difference of the heights {error:.1e}")
    return {"rows": n, "features": 256, "seconds": seconds, "largest_relative_difference": error}


def main() -> None:
    """Run the parts asked for and write the table."""
    if sys.argv[1:2] == ["--child"]:
        if sys.argv[2] == "ward":
            child_ward(*sys.argv[3:])
        else:
            child_whole(int(sys.argv[3]), int(sys.argv[4]))
        return
    options = harness.parser(__doc__ or "", "clustering")
    options.add_argument("--rows", type=int, default=10_000, help="of ward and cuts")
    options.add_argument("--large", type=int, default=50_000, help="of the whole")
    options.add_argument("--part", choices=("ward", "cuts", "vectors", "large"), action="append")
    chosen = options.parse_args()
    record = json.loads(chosen.out.read_text()) if chosen.out.exists() and chosen.part else {}
    record |= {
        "versions": harness.versions("numpy", "scipy", "numba", "fastcluster", "hudd"),
        "repeats": chosen.repeats,
    }
    for part in chosen.part or ["ward", "cuts", "vectors", "large"]:
        machine = harness.machine()
        print(f"{part}: {machine}")
        if part == "ward":
            found = ward(chosen.rows, chosen.repeats)
        elif part == "cuts":
            found = cuts(chosen.rows, chosen.repeats)
        elif part == "vectors":
            found = vectors(chosen.rows)
        else:
            found = {"rows": chosen.large, "features": 256, **_child("whole", str(chosen.large), "256")}
            print(f"  {found}")
        record[part] = {"machine": machine, "figures": found}
    harness.write(chosen.out, record)


if __name__ == "__main__":
    main()
