"""Pairwise distances: hudd against plain BLAS (the floor), torch.cdist, scikit-learn, faiss and SciPy, in turns."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import h5py
import harness
import numpy as np
import torch
from scipy import sparse
from scipy.linalg.blas import ssyrk
from scipy.spatial.distance import pdist
from sklearn.metrics import pairwise_distances as sklearn_distances

import hudd

PARTS = ("speed", "sparsity", "out-of-core")
PACKAGES = ("numpy", "scipy", "numba", "torch", "scikit-learn", "faiss-cpu", "h5py", "hudd")
PLANTED = np.logspace(-4, -6, 9)  # relative distances of the near-duplicates


def planted(n: int, features: int) -> np.ndarray:
    """Random rows; the last few are near-duplicates of the first few."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((n, features), dtype=np.float32)
    for row, distance in enumerate(PLANTED):
        rows[n - 1 - row] = rows[row] * (
            1 + np.float32(distance) * rng.standard_normal(features, dtype=np.float32)
        )
    return rows


def speed(n: int, features: int, repeats: int) -> dict[str, Any]:
    """Time every peer on the same rows, and compare what they return with float64 by differences."""
    rows = planted(n, features)
    tensor = torch.from_numpy(rows)
    results: dict[str, np.ndarray] = {}

    def keep(name: str, run: Callable[[], np.ndarray]) -> Callable[[], None]:
        def timed() -> None:
            results[name] = run()

        return timed

    contenders: dict[str, Callable[[], object]] = {
        "pause": lambda: sleep(0.5),  # the threads of the peer before spin on for a while
        "hudd": keep("hudd", lambda: hudd.pairwise_distances(rows)),
        "hudd, condensed": lambda: hudd.pairwise_distances(rows, condensed=True),
        "ssyrk": lambda: ssyrk(1.0, rows.T, trans=1),
        "torch.cdist": keep("torch.cdist", lambda: torch.cdist(tensor, tensor).numpy()),
        "scikit-learn": keep("scikit-learn", lambda: sklearn_distances(rows)),
    }
    try:
        import faiss
    except ImportError:
        pass
    else:
        squares = keep("faiss", lambda: faiss.pairwise_distances(rows, rows))
        contenders["faiss, squared"] = squares
    seconds = harness.best_times(contenders, repeats)
    del seconds["pause"]
    seconds |= harness.best_times({"hudd, direct": lambda: hudd.pairwise_distances(rows, method="direct")}, 1)
    start = perf_counter()
    exact = pdist(rows)  # float64, by differences: the reference, and a peer
    seconds["SciPy pdist"] = perf_counter() - start
    if "faiss" in results:
        results["faiss"] = np.sqrt(np.maximum(results["faiss"], 0))
    upper = np.triu_indices(n, 1)
    errors = {name: float((np.abs(found[upper] - exact) / exact).max()) for name, found in results.items()}
    near = {
        f"{distance:.1e}": {
            "exact": float(np.linalg.norm(rows[row].astype(np.float64) - rows[n - 1 - row])),
            **{name: float(found[row, n - 1 - row]) for name, found in results.items()},
        }
        for row, distance in enumerate(PLANTED)
    }
    work = n * (n - 1) / 2 * features
    harness.table(
        f"{n:,} x {features:,}, float32",
        ("seconds", "G pair-dimensions/s", "times hudd", "largest relative error"),
        {
            name: (time, f"{work / time / 1e9:.1f}", f"{time / seconds['hudd']:.2f}", _error(errors, name))
            for name, time in seconds.items()
        },
    )
    harness.table(
        "Near-duplicates, planted at a relative distance",
        ("exact", *results),
        {distance: tuple(f"{value:.6f}" for value in row.values()) for distance, row in near.items()},
    )
    return {
        "rows": n,
        "features": features,
        "seconds": seconds,
        "giga_pair_dimensions_per_second": {name: work / time / 1e9 for name, time in seconds.items()},
        "ratio_to_hudd": {name: time / seconds["hudd"] for name, time in seconds.items()},
        "share_of_ssyrk_rate": seconds["ssyrk"] / seconds["hudd"],
        "largest_relative_error": errors,
        "near_duplicates": near,
    }


def _error(errors: dict[str, float], name: str) -> str:
    found = errors.get(name.partition(",")[0])
    return "" if found is None else f"{found:.1e}"


def sparsity(n: int, features: int, repeats: int) -> list[dict[str, Any]]:
    """A sparse matrix product in place of the dense one, at several shares of non-zeros."""
    found = []
    rng = np.random.default_rng(0)
    for density in (0.5, 0.1, 0.03, 0.01):
        rows = rng.standard_normal((n, features), dtype=np.float32)
        rows[rng.random(rows.shape, dtype=np.float32) >= density] = 0
        compressed = sparse.csr_array(rows)
        seconds = harness.best_times(
            {
                "hudd": lambda rows=rows: hudd.pairwise_distances(rows, condensed=True),
                "sparse product": lambda compressed=compressed: (compressed @ compressed.T).toarray(),
            },
            repeats,
        )
        found.append({"density": density, "rows": n, "features": features, "seconds": seconds})
    harness.table(
        f"{n:,} x {features:,}, mostly zero",
        tuple(found[0]["seconds"]),
        {f"{part['density']:.0%} non-zero": tuple(part["seconds"].values()) for part in found},
    )
    return found


def child(path: str, budget: int, out: str) -> None:
    """Take the distances of a file's rows and print time and peak memory above the result."""
    with h5py.File(path) as file:
        rows = file["rows"]
        hudd.pairwise_distances(rows[:300], condensed=True)  # compiles, and fills the BLAS's buffers
        hudd.pairwise_distances(rows[:300], condensed=True, method="direct")
        source = rows if budget else rows[:]
        harness.forget_peak()
        before = harness.memory("VmRSS")
        options = {"max_memory": budget} if budget else {}
        start = perf_counter()
        found = hudd.pairwise_distances(source, condensed=True, **options)
        seconds = perf_counter() - start
        above = harness.memory("VmHWM") - before - found.nbytes
    np.save(out, found)
    print(
        json.dumps(
            {"seconds": seconds, "result_mib": found.nbytes / 2**20, "peak_above_result_mib": above / 2**20}
        )
    )


def out_of_core(n: int, features: int, budget: int) -> dict[str, Any]:
    """Distances of an HDF5 file's rows within a budget, and those of the rows in memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.h5")
        with h5py.File(path, "w") as file:
            stored = file.create_dataset("rows", (n, features), np.float32)
            rng = np.random.default_rng(0)
            for start in range(0, n, 1000):
                stored[start : start + 1000] = rng.standard_normal(
                    (min(1000, n - start), features), np.float32
                )
            stored[n - 50 :] = stored[:50] * np.float32(1 + 1e-5)
        record: dict[str, Any] = {"rows": n, "features": features, "budget_mib": budget / 2**20}
        for name, memory in (("from the file", budget), ("in memory", 0)):
            out = Path(folder, f"{memory}.npy")
            record[name] = harness.child(__file__, path, memory, out)
        streamed, whole = np.load(Path(folder, f"{budget}.npy")), np.load(Path(folder, "0.npy"))
        record["largest_relative_difference"] = float(
            (np.abs(streamed - whole) / np.maximum(whole, 1e-30)).max()
        )
    harness.table(
        f"{n:,} x {features:,} from an HDF5 file, budget {budget >> 20} MiB",
        ("seconds", "MiB of the result", "peak MiB above it"),
        {name: tuple(record[name].values()) for name in ("from the file", "in memory")},
    )
    print(f"  largest relative difference: {record['largest_relative_difference']:.1e}")
    return record


def plot(path: Path, record: dict[str, Any]) -> None:
    """Draw how fast every peer is."""
    found = record["speed"]["figures"]
    title = f"Euclidean distances of {found['rows']:,} rows of {found['features']:,} float32"
    rates = found["giga_pair_dimensions_per_second"]
    harness.bars(
        path,
        title,
        "billion pair-dimensions a second",
        {f"{record['speed']['machine']['cores']} cores": rates},
    )


def main() -> None:
    """Run the parts asked for and write the table."""
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], int(sys.argv[3]), sys.argv[4])
        return
    options = harness.parser(__doc__ or "", "distances")
    options.add_argument("--rows", type=int, default=2000)
    options.add_argument("--features", type=int, default=43264)
    options.add_argument("--stored", default="20000x20000", help="rows x features of the file, out of core")
    options.add_argument("--budget", type=int, default=512, help="memory out of core, in MiB")
    options.add_argument("--part", choices=PARTS, action="append")
    chosen = harness.parse(options, repeats=2, rows=1000, features=20_000, stored="4000x4000", budget=64)
    record = json.loads(chosen.out.read_text()) if chosen.out.exists() and chosen.part else {}
    record |= {"versions": harness.versions(*PACKAGES), "repeats": chosen.repeats}
    harness.left_out(record["versions"])
    for part in chosen.part or PARTS:
        machine = harness.machine()
        if part == "speed":
            found: Any = speed(chosen.rows, chosen.features, chosen.repeats)
        elif part == "sparsity":
            found = sparsity(chosen.rows, chosen.features // 4, 1)
        else:
            n, features = map(int, chosen.stored.split("x"))
            found = out_of_core(n, features, chosen.budget << 20)
        record[part] = {"machine": machine, "figures": found}
    harness.write(chosen.out, record)
    if not chosen.quick and "speed" in record:
        plot(chosen.out.with_suffix(".svg"), record)


if __name__ == "__main__":
    main()
