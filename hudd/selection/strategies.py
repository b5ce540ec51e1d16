"""Strategies by name, ready to be compared: a seed becomes labels to pay for and a bag to train on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hudd.errors import UsageError
from hudd.selection.balance import balance
from hudd.selection.baselines import bootstrap, select_bl1, select_bl2, select_entropy, select_random
from hudd.selection.closest import ClosestMembers
from hudd.selection.doubt import sampled_doubt
from hudd.selection.unsafe import UnsafeSet, select_unsafe

Strategy = Callable[[int], tuple[np.ndarray, np.ndarray]]
STRATEGIES = ("none", "hudd", "random", "entropy", "bl1", "bl2", "hybrid")


def strategies(
    names: Sequence[str],
    closest: ClosestMembers,
    labels: np.ndarray,
    *,
    budget: int,
    entropy: np.ndarray,
    correct: np.ndarray,
    failure: np.ndarray | None = None,
    size: int | None = None,
) -> dict[str, Strategy]:
    """Make strategies that all pay for the same number of labels and fill bags of the same size.

    ``hudd``: the unsafe set, balanced over the clusters. ``hybrid``: the same, images within the clusters' reach
    drawn by doubt, see :func:`select_unsafe` and :func:`sampled_doubt`. ``random``, ``entropy``: distinct images,
    filled up by bootstrap. ``bl1``, ``bl2``: the paper's, drawn with replacement, so that they pay for no more
    than the budget; BL1 keeps the errors alone. ``none``: no label and an empty bag, which shows what training
    on does by itself.

    Parameters
    ----------
    names : sequence of str
        Any of :data:`STRATEGIES`.
    closest : ClosestMembers
        Distances of the M improvement images to the clusters.
    labels : np.ndarray
        (N_errors,) int clusters from 1.
    budget : int
        Labels to pay for.
    entropy : np.ndarray
        (M,) entropy of the DNN's output.
    correct : np.ndarray
        (M,) bool, whether the DNN is right; read by BL1 for the images that it draws.
    failure : np.ndarray, optional
        (M,) estimated probability of failure, see :func:`failure_rate`; the hybrid's doubt is then its product
        with the entropy.
    size : int, optional
        Images in each bag; by default what ``hudd``'s balanced bag has.

    Returns
    -------
    dict of str to callable
        Name to ``strategy(seed) -> (labelled, bag)``, both int64 rows of the improvement set.

    Raises
    ------
    UsageError
        If a name is unknown.
    """
    if unknown := [name for name in names if name not in STRATEGIES]:
        raise UsageError(f"strategies {unknown} are unknown; choose any of: {', '.join(STRATEGIES)}.")

    def bag_size(seed: int) -> int:
        return (
            len(balance(select_unsafe(closest, labels, budget=budget, seed=seed))) if size is None else size
        )

    def balanced(unsafe: UnsafeSet, seed: int) -> tuple[np.ndarray, np.ndarray]:
        return unsafe.image, balance(unsafe, seed=seed, size=bag_size(seed))

    def filled(rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        return rows, bootstrap(rows, bag_size(seed), seed=seed)

    def bl1(seed: int) -> tuple[np.ndarray, np.ndarray]:
        drawn = select_bl2(len(entropy), budget, seed=seed)
        wrong = select_bl1(correct, budget, seed=seed)
        return drawn, bootstrap(wrong, bag_size(seed), seed=seed)

    doubt = entropy if failure is None else failure * entropy
    nothing = np.empty(0, np.int64)
    known: dict[str, Strategy] = {
        "none": lambda seed: (nothing, nothing),
        "hudd": lambda seed: balanced(select_unsafe(closest, labels, budget=budget, seed=seed), seed),
        "random": lambda seed: filled(select_random(len(entropy), budget, seed=seed), seed),
        "entropy": lambda seed: filled(select_entropy(entropy, budget, seed=seed), seed),
        "bl1": bl1,
        "bl2": lambda seed: filled(select_bl2(len(entropy), budget, seed=seed), seed),
        "hybrid": lambda seed: balanced(
            select_unsafe(
                closest, labels, budget=budget, uncertainty=sampled_doubt(doubt, seed=seed), seed=seed
            ),
            seed,
        ),
    }
    return {name: known[name] for name in names}
