"""Strategies by name: what is known of the improvement images becomes images to label and a bag to train on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hudd.errors import HuddError, UsageError
from hudd.parts import STRATEGIES
from hudd.selection.balance import balance
from hudd.selection.baselines import bootstrap, select_bl1, select_bl2, select_random
from hudd.selection.by_cause import select_by_cause, select_for_cause
from hudd.selection.candidates import Candidates, Drawn, Embedding
from hudd.selection.closest import ClosestMembers, over_reach
from hudd.selection.diverse import select_badge, select_core_set, select_entropy_kmeans, select_typical
from hudd.selection.doubt import sampled_doubt
from hudd.selection.uncertain import select_class_balanced, select_entropy, select_margin
from hudd.selection.unsafe import UnsafeSet, select_unsafe
from hudd.specs import is_factory

Strategy = Callable[[int], tuple[np.ndarray, np.ndarray]]


def select_none(candidates: Candidates, budget: int, *, seed: int) -> Drawn:
    """No image and an empty bag, which shows what training on does by itself."""
    return Drawn(np.empty(0, np.int64), np.empty(0, np.int64))


def closest_to_clusters(candidates: Candidates, budget: int, *, seed: int) -> UnsafeSet:
    """The unsafe set, see :func:`select_unsafe`."""
    return _unsafe(candidates, budget, seed)


def within_reach_by_doubt(candidates: Candidates, budget: int, *, seed: int) -> UnsafeSet:
    """The unsafe set, images within the clusters' reach drawn by doubt, see :func:`sampled_doubt`."""
    return _unsafe(candidates, budget, seed, uncertainty=sampled_doubt(candidates.doubt, seed=seed))


def at_random(candidates: Candidates, budget: int, *, seed: int) -> np.ndarray:
    """Distinct images, each as likely."""
    return select_random(len(candidates), budget, seed=seed)


def most_uncertain(candidates: Candidates, budget: int, *, seed: int) -> np.ndarray:
    """The images of the highest entropy."""
    return select_entropy(candidates.entropy, budget, seed=seed)


def least_margin(candidates: Candidates, budget: int, *, seed: int) -> np.ndarray:
    """The images whose two most probable classes are closest."""
    return select_margin(candidates.embedding.margin, budget, seed=seed)


def most_uncertain_of_each_class(candidates: Candidates, budget: int, *, seed: int) -> np.ndarray:
    """The images of the highest entropy, as many of every predicted class."""
    if candidates.prediction is None:
        raise UsageError("this strategy needs the predicted classes; give `prediction` with the candidates.")
    return select_class_balanced(candidates.entropy, candidates.prediction, budget, seed=seed)


def most_uncertain_spread(candidates: Candidates, budget: int, *, seed: int) -> np.ndarray:
    """Images of high entropy, one of each k-means cluster of their features."""
    return select_entropy_kmeans(candidates.entropy, candidates.embedding.features, budget, seed=seed)


def badge(candidates: Candidates, budget: int, *, seed: int) -> np.ndarray:
    """Images of long and unlike gradients of the last layer."""
    found = candidates.embedding
    return select_badge(found.features, found.residual, budget, seed=seed)


def core_set(candidates: Candidates, budget: int, *, seed: int) -> np.ndarray:
    """Images whose features cover those of the others."""
    return select_core_set(candidates.embedding.features, budget, seed=seed)


def typical(candidates: Candidates, budget: int, *, seed: int) -> np.ndarray:
    """The most typical image of each k-means cluster of the features."""
    return select_typical(candidates.embedding.features, budget, seed=seed)


def by_cause(candidates: Candidates, budget: int, *, seed: int) -> np.ndarray:
    """Doubtful and unlike images, for every cause in proportion to its errors."""
    return select_by_cause(candidates, budget, seed=seed)


def for_one_cause(candidates: Candidates, budget: int, *, seed: int) -> np.ndarray:
    """Of the images closest to one root cause those that are unlike."""
    if candidates.target is None:
        raise UsageError("strategy 'cause' selects for one root cause; give its number as `cause`.")
    return select_for_cause(candidates, candidates.target, budget, seed=seed)


def given_images(candidates: Candidates, budget: int, *, seed: int) -> np.ndarray:
    """The first images of a list that was made elsewhere."""
    if candidates.given is None:
        raise UsageError("strategy 'given' selects the images of a list; give its file as `images`.")
    return candidates.given[:budget]


def drawn_errors(candidates: Candidates, budget: int, *, seed: int) -> Drawn:
    """BL1 of the paper: draws with replacement, of which the bag takes the errors."""
    if candidates.correct is None:
        raise UsageError(
            "strategy 'bl1' knows which images the DNN gets wrong; use it to compare, not to select."
        )
    drawn = select_bl2(len(candidates), budget, seed=seed)
    return Drawn(drawn, select_bl1(candidates.correct, budget, seed=seed))


def draw_with_replacement(candidates: Candidates, budget: int, *, seed: int) -> Drawn:
    """BL2 of the paper: draws with replacement."""
    rows = select_bl2(len(candidates), budget, seed=seed)
    return Drawn(rows, rows)


def _unsafe(
    candidates: Candidates, budget: int, seed: int, uncertainty: np.ndarray | None = None
) -> UnsafeSet:
    return select_unsafe(
        candidates.closest,
        candidates.labels,
        preset=candidates.preset,
        budget=budget if candidates.shares is None else candidates.shares,
        uncertainty=uncertainty,
        seed=seed,
    )


def selected(name: str, candidates: Candidates, budget: int, *, seed: int) -> UnsafeSet | Drawn:
    """Let the strategy called `name`, or of the spec ``package.module:function``, select images.

    Returns
    -------
    UnsafeSet or Drawn
        What the strategy returned; rows as draws.

    Raises
    ------
    UsageError
        If there is no such strategy.
    HuddError
        If it fails, or returns something else than distinct rows of the improvement set within the budget.
    """
    strategy: Any = STRATEGIES.find(name)
    with STRATEGIES.attributing_errors(name):
        strategy = strategy() if isinstance(strategy, type) else strategy
        found: Any = strategy(candidates, budget, seed=seed)
    if isinstance(found, (UnsafeSet, Drawn)):
        _check_rows(name, found.image if isinstance(found, UnsafeSet) else found.labelled, candidates)
        return found
    rows = np.asarray(found)
    _check_rows(name, rows, candidates)
    if len(rows) > budget or len(np.unique(rows)) < len(rows):
        raise HuddError(
            f"strategy '{name}' returned {len(rows)} rows, {len(np.unique(rows))} of them different; it must return at "
            f"most {budget} different ones."
        )
    rows = rows.astype(np.int64)
    return Drawn(rows, rows)


def unsafe_set(name: str, candidates: Candidates, budget: int, *, seed: int) -> UnsafeSet:
    """Select images and list each with a cluster, see :func:`selected` and :func:`with_clusters`."""
    return with_clusters(selected(name, candidates, budget, seed=seed), name, candidates)


def with_clusters(found: UnsafeSet | Drawn, name: str, candidates: Candidates) -> UnsafeSet:
    """List each image that the strategy called `name` selected with a cluster: its own, or else the closest.

    Raises
    ------
    UsageError
        If the strategy pays for one image more than once: such strategies are there to be compared.
    """
    if isinstance(found, UnsafeSet):
        return found
    rows = found.labelled
    if len(np.unique(rows)) < len(rows) or not len(found.bag):
        raise UsageError(
            f"strategy '{name}' does not select different images to label; use it to compare (`modes`), and another "
            "one to select."
        )
    closest = candidates.closest
    column = closest.distance[rows].argmin(axis=1)
    distance, reach = closest.distance[rows, column].astype(np.float64), closest.reach[column]
    ratio = over_reach(distance, reach)
    return UnsafeSet(
        rows, closest.clusters[column], distance, np.zeros(len(rows), np.int64), ratio, distance > reach
    )


def _check_rows(name: str, rows: np.ndarray, candidates: Candidates) -> None:
    if rows.ndim != 1 or (len(rows) and rows.dtype.kind not in "iu"):
        raise HuddError(
            f"strategy '{name}' returned an array of shape {rows.shape} and dtype {rows.dtype}; it must return rows of "
            "the improvement set, (S,) int."
        )
    if len(rows) and not (rows.min() >= 0 and rows.max() < len(candidates)):
        raise HuddError(
            f"strategy '{name}' returned rows {rows.min()} to {rows.max()}; the improvement set has 0 to "
            f"{len(candidates) - 1}."
        )


def strategies(
    names: Sequence[str],
    closest: ClosestMembers,
    labels: np.ndarray,
    *,
    budget: int,
    entropy: np.ndarray,
    correct: np.ndarray,
    failure: np.ndarray | Callable[[], np.ndarray] | None = None,
    prediction: np.ndarray | None = None,
    embed: Callable[[], Embedding] | None = None,
    size: int | None = None,
) -> dict[str, Strategy]:
    """Make strategies that all pay for the same number of labels and fill bags of the same size.

    Unsafe sets fill bags that are balanced over the clusters, other rows are filled up by bootstrap. ``bl1`` and
    ``bl2`` draw with replacement, so that they pay for no more than the budget; BL1 keeps the errors alone.

    Parameters
    ----------
    names : sequence of str
        Any of :data:`hudd.extend.STRATEGIES`, or specs ``package.module:function``.
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
    failure : np.ndarray or callable, optional
        (M,) estimated probability of failure, see :func:`failure_rate`, or what returns it when it is needed; the
        hybrid's doubt is then its product with the entropy.
    prediction : np.ndarray, optional
        (M,) int64 predicted classes; read by the class-balanced entropy.
    embed : callable, optional
        Returns the :class:`Embedding` of the images, for the strategies that go by features of the last layer.
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
    estimate = failure if failure is None or callable(failure) else lambda: failure
    candidates = Candidates(
        closest, labels, entropy, correct=correct, estimate=estimate, prediction=prediction, embed=embed
    )
    return strategies_of(names, candidates, budget=budget, size=size)


def strategies_of(
    names: Sequence[str], candidates: Candidates, *, budget: int, size: int | None = None
) -> dict[str, Strategy]:
    """Make strategies as :func:`strategies` does, from candidates of which all is known that they need."""
    check_strategies(names)

    def size_of(seed: int) -> int:
        return bag_size(candidates.closest, candidates.labels, budget, seed=seed) if size is None else size

    def strategy(name: str) -> Strategy:
        def both(seed: int) -> tuple[np.ndarray, np.ndarray]:
            found = selected(name, candidates, budget, seed=seed)
            if isinstance(found, UnsafeSet):
                return found.image, balance(found, seed=seed, size=size_of(seed))
            if not len(found.labelled):
                return found.labelled, found.bag
            known = None if candidates.correct is None else candidates.correct[found.bag]
            return found.labelled, bootstrap(found.bag, size_of(seed), seed=seed, correct=known)

        return both

    return {name: strategy(name) for name in names}


def bag_size(closest: ClosestMembers, labels: np.ndarray, budget: int, *, seed: int) -> int:
    """Images in the bag of any strategy: as many as balance the clusters in the bag of strategy `hudd`."""
    return len(balance(select_unsafe(closest, labels, budget=budget, seed=seed)))


def check_strategies(names: Sequence[str]) -> None:
    """Refuse names of strategies that are neither registered nor specs.

    Raises
    ------
    UsageError
        Naming what is there.
    """
    unknown = [name for name in names if name not in STRATEGIES and not is_factory(name)]
    if unknown:
        raise UsageError(
            f"strategies {unknown} are unknown; choose any of: {', '.join(STRATEGIES)}; or give "
            "package.module:function."
        )
