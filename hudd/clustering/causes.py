"""Root causes above clusters: which splits of a dendrogram are more than chance.

A dendrogram always splits, whether or not there is anything to tell apart. So every split above the clusters is
compared with what the same linkage makes of a single Gaussian with the covariance of the errors below it (P. Kimes,
Y. Liu, N. Hayes, J. Marron, "Statistical significance for hierarchical clustering", Biometrics 73(3), 2017). Unlike in
their procedure, two figures are compared: the share of the variance that lies between the sides, which hardly depends
on a small group, and how many of the errors' nearest neighbours are on the other side (compare M. Schilling,
"Multivariate two-sample tests based on nearest neighbors", JASA 81, 1986), which are few in any split of a narrow
Gaussian. And a split that is not significant is kept where one below it is: many causes that are equally far apart look
like one Gaussian from above. docs/root-cause-quality.md has what that finds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hudd.clustering.linkage import Method
from hudd.clustering.pairs import Pairs, as_pairs
from hudd.clustering.result import Clustering
from hudd.clustering.wicd import medoids
from hudd.distances.threads import one_blas_thread
from hudd.lazy import distance, hierarchy, linalg, special

LEVEL = 0.001  # of each test; docs/root-cause-quality.md says how it was chosen
COMMON = 0.4  # of the deviation, below which errors have nothing in common; as above
_DRAWS = 30  # Gaussian samples of a test
_TESTED = 300  # errors of a node that a test looks at; more cost time and change little
_FEWEST = 4  # errors that can be two groups of two
_NEIGHBOURS = 5  # of an error; a quarter of the others where these are fewer than 20
_NOTHING = 1e-9  # variance, as a share of all, that is rounding
_ROUNDING = 1e-12  # deviation of a share
_SEED = 25


@dataclass(frozen=True)
class CauseSplit:
    """Causes as unions of clusters, from 1: those with something in common first, larger ones before smaller ones.

    Attributes
    ----------
    of_cluster : ndarray, (k,) int64
        Cause of each cluster.
    medoid : ndarray, (c,) int64
        Row of each cause with the smallest sum of distances to its members.
    shared : ndarray, (c,) float64
        Share of their deviation from normal that errors of one cluster have in common, see :func:`shared_deviation`.
    p_apart : ndarray, (c,) float64
        How often a single Gaussian is split as clearly as the cause and its sibling in the dendrogram; NaN for an only
        cause and where there is no dendrogram. May exceed the level where a split below the sibling does not.
    p_inside : ndarray, (c,) float64
        The smallest such p of the splits inside the cause: above the level. NaN for a cause of one cluster.
    """

    of_cluster: np.ndarray
    medoid: np.ndarray
    shared: np.ndarray
    p_apart: np.ndarray
    p_inside: np.ndarray

    @property
    def common(self) -> np.ndarray:
        """(c,) bool: whether the errors have something in common; True where that cannot be told."""
        return ~(self.shared < COMMON)


def find_causes(
    found: Clustering,
    distances: np.ndarray | Pairs,
    deviations: np.ndarray | None = None,
    *,
    level: float = LEVEL,
    method: Method = "ward",
) -> CauseSplit:
    """Join clusters that no significant split of their dendrogram sets apart.

    Parameters
    ----------
    found : Clustering
        Clusters of N errors. Without a dendrogram that they are a cut of, every cluster is a cause.
    distances : ndarray or Pairs, (N (N - 1) / 2,)
        Distances of the errors, condensed; or where to take them from.
    deviations : ndarray, (N, ...), optional
        Features of the errors whose origin is the mean of correctly classified images.
    level : float
        Largest p of a split that counts; p is not corrected for the number of splits.
    method : str
        How the dendrogram was linked.

    Returns
    -------
    CauseSplit
        The same for the same input, whatever the number of threads.
    """
    labels, z, pairs = found.labels, found.linkage, as_pairs(distances)
    tree = _Tree.above(z, labels) if len(z) == len(labels) - 1 else None
    of_cluster = np.arange(1, found.k + 1)
    evidence = np.full((found.k, 2), np.nan)
    medoid = found.medoids
    if tree is not None and found.k > 1:
        with one_blas_thread():
            of_cluster, evidence = _tested(tree, _Tests(pairs, labels, tree, method), level)
        cause = of_cluster[labels - 1]
        medoid = medoids(pairs.cluster_sums(cause)[0], cause)
    return _described(of_cluster, medoid, evidence, labels, deviations)


def join_causes(
    causes: CauseSplit,
    into: np.ndarray,
    found: Clustering,
    distances: np.ndarray | Pairs,
    deviations: np.ndarray | None = None,
) -> CauseSplit:
    """Join causes for a reason other than the tests of splits.

    Parameters
    ----------
    causes : CauseSplit
        What :func:`find_causes` returned.
    into : ndarray, (c,) int64
        For each cause the number of the one that it becomes a part of, or its own.
    found, distances, deviations
        As given to :func:`find_causes`.

    Returns
    -------
    CauseSplit
        `causes` itself if all stay. Of a joined cause, `p_apart` is the largest of its parts, and `p_inside` the
        smallest of theirs and of what set them apart.
    """
    numbers, part_of = np.unique(into, return_inverse=True)
    if len(numbers) == len(into):
        return causes
    of_cluster = part_of[causes.of_cluster - 1] + 1
    cause = of_cluster[found.labels - 1]
    evidence = []
    for at in range(len(numbers)):
        parts = part_of == at
        apart, inside = causes.p_apart[parts], causes.p_inside[parts]
        if len(apart) > 1:
            inside = np.append(inside, apart)
        evidence.append((np.fmax.reduce(apart), np.fmin.reduce(inside)))
    medoid = medoids(as_pairs(distances).cluster_sums(cause)[0], cause)
    return _described(of_cluster, medoid, np.array(evidence), found.labels, deviations)


def _described(
    of_cluster: np.ndarray,
    medoid: np.ndarray,
    evidence: np.ndarray,
    labels: np.ndarray,
    deviations: np.ndarray | None,
) -> CauseSplit:
    """Number causes, (c,) each, in their order."""
    shared = np.full(len(medoid), np.nan)
    if deviations is not None:
        shared = shared_deviation(deviations, labels, of_cluster)
    sizes = np.bincount(of_cluster[labels - 1])[1:]
    order = np.lexsort((medoid, -sizes, shared < COMMON))
    new = np.empty(len(order), np.int64)
    new[order] = np.arange(1, len(order) + 1)
    return CauseSplit(new[of_cluster - 1], medoid[order], shared[order], *evidence[order].T)


def _tested(tree: _Tree, tests: _Tests, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Cause of each cluster, (k,), and the p of its parent's split and the smallest inside, (c, 2)."""
    split: dict[int, bool] = {}
    for node in sorted(tree.children):  # children come before their parents
        below = any(split.get(child, False) for child in tree.children[node])
        split[node] = below or tests.p(node) <= level
    of_cluster, evidence = np.zeros(len(tree.clusters[tree.root]), np.int64), []
    for number, (node, parent) in enumerate(_regions(tree, split), start=1):
        of_cluster[tree.clusters[node] - 1] = number
        inside = [tests.p(one) for one in _inner(tree, node)]
        evidence.append((np.nan if parent is None else tests.p(parent), min(inside, default=np.nan)))
    return of_cluster, np.array(evidence)


def shared_deviation(rows: np.ndarray, labels: np.ndarray, of_cluster: np.ndarray) -> np.ndarray:
    """Tell how much of their deviation from normal the errors of a cause share with others of their cluster.

    Within clusters, since a cause may show in several ways: images turned to the left and to the right.

    Parameters
    ----------
    rows : ndarray, (N, d)
        Features whose origin is the mean of correctly classified images.
    labels : ndarray, (N,) int64
        Clusters, 1 to k.
    of_cluster : ndarray, (k,) int64
        Causes, 1 to c.

    Returns
    -------
    ndarray, (c,) float64
        The mean scalar product of two errors of a cluster over the mean squared norm, mean over the cause's clusters by
        size: 1 where all deviate alike, 0 where each deviates in a direction of its own. NaN where all clusters have
        one error, and without deviation.
    """
    rows = rows.reshape(len(rows), -1)
    shared, weight = np.zeros(len(of_cluster)), np.zeros(len(of_cluster))
    for at in range(len(of_cluster)):
        group = rows[labels == at + 1].astype(np.float64)
        squares, n = float(np.square(group).sum()), len(group)
        if n > 1 and squares > 0:
            shared[at] = (np.square(group.sum(axis=0)).sum() - squares) / (n - 1) / squares
            weight[at] = n
    totals = np.bincount(of_cluster, weight)[1:]
    means = np.bincount(of_cluster, weight * shared)[1:] / np.where(totals > 0, totals, 1)
    found: np.ndarray = np.where(totals > 0, means, np.nan)
    return found


@dataclass(frozen=True)
class _Tree:
    """The nodes of a dendrogram that hold whole clusters.

    Attributes
    ----------
    children : dict of int to (int, int)
        Nodes with more than one cluster, by SciPy's number, and what they split into.
    clusters : dict of int to ndarray
        Clusters of every node, ascending.
    root : int
    """

    children: dict[int, tuple[int, int]]
    clusters: dict[int, np.ndarray]
    root: int

    @classmethod
    def above(cls, z: np.ndarray, labels: np.ndarray) -> _Tree | None:
        """Return the part above the clusters; None where these are no cut of the dendrogram."""
        n = len(labels)
        sizes = np.bincount(labels)
        alone = [frozenset((label,)) for label in range(len(sizes))]
        held = [alone[label] for label in labels.tolist()]
        children: dict[int, tuple[int, int]] = {}
        count = np.concatenate((np.ones(n, np.int64), z[:, 3].astype(np.int64)))
        for at, (left, right) in enumerate(z[:, :2].astype(np.int64).tolist()):
            both = held[left] if held[left] is held[right] else held[left] | held[right]
            held.append(both)
            if len(both) > 1:
                if any(count[side] != sizes[list(held[side])].sum() for side in (left, right)):
                    return None
                children[n + at] = (left, right)
        nodes = {side for pair in children.values() for side in pair} | {2 * n - 2}
        return cls(children, {node: np.array(sorted(held[node])) for node in nodes}, 2 * n - 2)


@dataclass
class _Tests:
    """The tests of splits, each made once and only where it is asked for."""

    pairs: Pairs
    labels: np.ndarray
    tree: _Tree
    method: Method
    known: dict[int, float] = field(default_factory=dict)

    def p(self, node: int) -> float:
        """Return how often one Gaussian is split as clearly as the node's errors are."""
        if node not in self.known:
            rows = np.flatnonzero(np.isin(self.labels, self.tree.clusters[node]))
            rng = np.random.default_rng([_SEED, node])
            if len(rows) > _TESTED:
                rows = np.sort(rng.choice(rows, _TESTED, replace=False))
            left = np.isin(self.labels[rows], self.tree.clusters[self.tree.children[node][0]])
            squares = _squares(self.pairs, rows)
            self.known[node] = _p_of_split(squares, left, rng, self.method)
        return self.known[node]


def _p_of_split(squares: np.ndarray, left: np.ndarray, rng: np.random.Generator, method: Method) -> float:
    """Compare how far two groups are apart with splits of one Gaussian.

    `squares` are the squared distances, (m, m). The two figures of :func:`_apart`, each over its deviation in the
    draws, are added. The tail is that of a normal distribution with mean and deviation of the draws, which tells
    smaller p apart than so few draws could.
    """
    m = len(left)
    if m < _FEWEST or not 0 < left.sum() < m:
        return 1.0
    centred = squares - squares.mean(axis=0)
    products = -0.5 * (centred - centred.mean(axis=1, keepdims=True))
    variances = linalg.eigvalsh(products)[::-1]
    variances = variances[variances > _NOTHING * max(float(variances[0]), np.finfo(np.float64).tiny)]
    if not len(variances):
        return 1.0
    scales = np.sqrt(variances)
    # As many numbers whatever the rank, which is a matter of rounding; the last directions count for nothing.
    drawn = (rng.standard_normal((m, m))[:, : len(scales)] * scales for _ in range(_DRAWS))
    by_chance = np.array([_apart_by_chance(rows, method) for rows in drawn])
    scale = np.maximum(by_chance.std(axis=0, ddof=1), _ROUNDING)
    sums = (by_chance / scale).sum(axis=1)
    deviation = max(float(sums.std(ddof=1)), _ROUNDING)
    return float(special.ndtr((sums.mean() - (_apart(squares, left) / scale).sum()) / deviation))


def _apart_by_chance(rows: np.ndarray, method: Method) -> np.ndarray:
    """What :func:`_apart` is of the two groups that a linkage makes of rows."""
    distances = distance.pdist(rows)
    left = hierarchy.fcluster(hierarchy.linkage(distances, method), 2, "maxclust") == 1
    return _apart(distance.squareform(distances) ** 2, left)


def _apart(squares: np.ndarray, left: np.ndarray) -> np.ndarray:
    """How far apart two groups are, the more the greater: (2,).

    Minus the share of the variance that lies within them; and minus the share of the nearest neighbours that are on
    the other side, over what it would be if sides did not matter.
    """
    m, others = len(left), squares.copy()
    within = sum(squares[np.ix_(side, side)].sum() / (2 * side.sum()) for side in (left, ~left))
    np.fill_diagonal(others, np.inf)
    count = min(_NEIGHBOURS, max(1, (m - 1) // 4))
    nearest = np.argpartition(others, count - 1, axis=1)[:, :count]
    expected = 2 * left.sum() * (~left).sum() / (m * (m - 1))
    return np.array(
        [-within / (squares.sum() / (2 * m)), -(left[nearest] != left[:, None]).mean() / expected]
    )


def _squares(pairs: Pairs, rows: np.ndarray) -> np.ndarray:
    """Squared distances of some rows, ascending: (m, m) float64."""
    first, second = np.triu_indices(len(rows), 1)
    found = np.zeros((len(rows), len(rows)))
    found[first, second] = found[second, first] = pairs.among(rows).astype(np.float64) ** 2
    return found


def _regions(tree: _Tree, split: dict[int, bool]) -> list[tuple[int, int | None]]:
    """The highest nodes that are not split, each with its parent."""
    found: list[tuple[int, int | None]] = []
    pending: list[tuple[int, int | None]] = [(tree.root, None)]
    while pending:
        node, parent = pending.pop()
        if split.get(node, False):
            pending += [(child, node) for child in tree.children[node]]
        else:
            found.append((node, parent))
    return found


def _inner(tree: _Tree, node: int) -> list[int]:
    """The splits inside a node, its own among them."""
    found, pending = [], [node]
    while pending:
        node = pending.pop()
        if node in tree.children:
            found.append(node)
            pending += tree.children[node]
    return found
