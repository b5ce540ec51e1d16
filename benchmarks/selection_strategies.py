"""Each strategy on 100,000 improvement images and 2,000 errors: seconds beyond the passes over the images, and memory.

With as many labels as the default asks for (0.6 an error), in a process of its own. What a pass over the images leaves
is drawn: distances to 60 clusters, entropies, and of the last layer 512 features and 43 probabilities. The failure
rates that `hybrid` goes by are counted among 5,000 test images. How long distances take is in selection.py.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import harness
import numpy as np
from selection import blocks, members_of

from hudd.data.prints import Prints
from hudd.data.split import groups_alike
from hudd.selection import (
    Candidates,
    ClosestMembers,
    Embedding,
    failure_rate,
    unsafe_set,
)

_CAUSES, _CLASSES, _FEATURES, _TESTED, _FACTOR = 12, 43, 512, 5_000, 0.6
STRATEGIES = (
    "random", "entropy", "margin", "class-balanced-entropy", "entropy-kmeans", "badge", "core-set", "typiclust",
    "hudd", "hybrid", "by-cause", "cause",
)  # fmt: skip


def _candidates(count: int, errors: int) -> Candidates:
    """What passes over the images leave, drawn."""
    rng, (_, labels) = np.random.default_rng(3), members_of(errors, 8)
    clusters = np.unique(labels)
    distance = rng.gamma(4, 0.25, (count, len(clusters))).astype(np.float32)
    member = rng.integers(errors, size=distance.shape, dtype=np.int32)
    sizes, reach = np.bincount(labels)[clusters], np.full(len(clusters), 0.5)
    closest = ClosestMembers(clusters=clusters, size=sizes, distance=distance, member=member, reach=reach)
    features = rng.standard_normal((count, _FEATURES), np.float32)
    probability = rng.dirichlet(np.full(_CLASSES, 0.05), count).astype(np.float32)
    prediction, ordered = probability.argmax(1), np.sort(probability, axis=1)
    entropy = -(probability * np.log(probability.clip(1e-30))).sum(1).astype(np.float64)
    residual = probability
    residual[np.arange(count), prediction] -= 1
    smooth = rng.integers(0, 256, (count, 8, 9), dtype=np.uint8)
    prints = Prints(rng.integers(0, 2**63, (count, 2)).astype(np.uint64), smooth)
    embedding = Embedding(features, residual, (ordered[:, -1] - ordered[:, -2]))
    return Candidates(
        closest, labels, entropy, prediction=prediction, embed=lambda: embedding, cause=labels % _CAUSES + 1,
        estimate=lambda: _failure_rates(count), target=1,
        alike=lambda rows: groups_alike(Prints(prints.pixels[rows], prints.thumbnail[rows])),
    )  # fmt: skip


def _failure_rates(count: int, units: int = 256) -> np.ndarray:
    tested = np.concatenate(list(blocks(_TESTED, units)))
    correct = np.random.default_rng(4).random(_TESTED) < 0.75
    return failure_rate(blocks(count, units), tested, correct, unit_norm=True)


def measure_strategy(name: str, count: int, errors: int) -> dict[str, Any]:
    """Seconds and peak memory of one strategy."""
    candidates = _candidates(count, errors)
    before, started, working = harness.memory("VmHWM"), time.perf_counter(), time.process_time()
    found = unsafe_set(name, candidates, round(_FACTOR * errors), seed=0)
    return {
        "strategy": name,
        "images": count,
        "errors": errors,
        "labels": len(found),
        "seconds": round(time.perf_counter() - started, 2),
        "processor_seconds": round(time.process_time() - working, 2),
        "peak_memory_mib": harness.memory("VmHWM") >> 20,
        "beyond_inputs_mib": (harness.memory("VmHWM") - before) >> 20,
    }


def _alone(*given: Any) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(measure_strategy, *given).result()


def main() -> None:
    """Measure a tenth of the images first, so that peak memory shows what grows with their number."""
    options = harness.parser((__doc__ or "").partition("\n")[0], "selection_strategies")
    options.add_argument("--images", type=int, default=100_000)
    options.add_argument("--errors", type=int, default=2_000)
    options.add_argument("--strategies", default=",".join(STRATEGIES))
    chosen: argparse.Namespace = options.parse_args()
    rows = []
    for name in chosen.strategies.split(","):
        for count in (chosen.images // 10, chosen.images):
            rows.append(_alone(name, count, chosen.errors))
            print(rows[-1], flush=True)
    record = {
        "machine": harness.machine(),
        "versions": harness.versions("numpy", "numba", "scikit-learn", "hudd"),
        "strategies": rows,
    }
    harness.write(chosen.out, record)


if __name__ == "__main__":
    main()
