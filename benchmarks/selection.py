"""Selection from 100,000 improvement images for 2,000 errors: seconds beyond the relevance passes, and memory.

The DNN has the shape of examples/gtsrb, its chosen layer 256 or, one layer earlier, 512 or 1,024 units. The heatmaps
are drawn from one block of noise as they are asked for, shifted towards one of 60 prototypes, since neither the images
nor what the DNN makes of them changes what the selection does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import harness
import numpy as np

from hudd.selection import balance, closest_members, select_unsafe

CLUSTERS = 60


def _prototypes(units: int) -> np.ndarray:
    return np.random.default_rng(0).random((CLUSTERS, units), np.float32)


def blocks(count: int, units: int, size: int = 256) -> Iterator[np.ndarray]:
    """Heatmaps of `count` images, sparse and not negative."""
    noise, prototypes = np.random.default_rng(1).random((size, units), np.float32), _prototypes(units)
    for number, start in enumerate(range(0, count, size)):
        shift = 0.7 * prototypes[number % CLUSTERS] - 0.5
        yield np.maximum(np.roll(noise, number, axis=1) + shift, 0)[: count - start]


def members_of(errors: int, units: int) -> tuple[np.ndarray, np.ndarray]:
    """Heatmaps and clusters of the errors."""
    rng, prototypes = np.random.default_rng(2), _prototypes(units)
    labels = rng.integers(1, CLUSTERS + 1, errors)
    noise = rng.normal(0, 0.3, (errors, units))
    return np.maximum(prototypes[labels - 1] + noise - 0.4, 0).astype(np.float32), labels


def measure(count: int, errors: int, units: int) -> dict[str, float]:
    """Seconds and peak memory of one selection."""
    members, labels = members_of(errors, units)
    list(closest_members(blocks(64, units), members[:100], labels[:100], unit_norm=True).clusters)  # compile
    started = time.perf_counter()
    for _ in blocks(count, units):
        pass
    making, started = time.perf_counter() - started, time.perf_counter()
    closest = closest_members(blocks(count, units), members, labels, unit_norm=True)
    measured, started = time.perf_counter() - started, time.perf_counter()
    unsafe = select_unsafe(closest, labels)
    bag = balance(unsafe)
    return {
        "images": count,
        "errors": errors,
        "units": units,
        "seconds_distances": round(measured - making, 2),
        "seconds_selection": round(time.perf_counter() - started, 2),
        "selected": len(unsafe),
        "bag": len(bag),
        "result_mib": round((closest.distance.nbytes + closest.member.nbytes) / 2**20, 1),
        "peak_memory_mib": round(harness.peak_memory_mib()),
    }


def main() -> None:
    """Measure a tenth of the images first, so that peak memory shows what grows with their number."""
    options = harness.parser((__doc__ or "").partition("\n")[0], "selection")
    options.add_argument("--images", type=int, default=100_000)
    options.add_argument("--errors", type=int, default=2_000)
    chosen = options.parse_args()
    rows = []
    for units in (256, 1024):
        for count in (chosen.images // 10, chosen.images):
            rows.append(measure(count, chosen.errors, units))
            print(rows[-1], flush=True)
    record = {
        "machine": harness.machine(),
        "versions": harness.versions("numpy", "numba", "hudd"),
        "images": "generated as they are asked for",
        "measurements": rows,
    }
    harness.write(chosen.out, record)


if __name__ == "__main__":
    main()
