"""Ward's method and single linkage on vectors: N x D memory where a distance matrix would not fit."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from hudd.clustering import chain, chains
from hudd.clustering.linkage import LONG, Method
from hudd.clustering.precomputed import as_array, refuse_distances
from hudd.errors import HuddError, UsageError
from hudd.lazy import distance
from hudd.progress import progress

_WHOLE = 4096  # rows that are clustered on a matrix of 128 MiB
_REST = 2048  # clusters that are, when rounds are done
_PAIRS = 10**9  # pairs times features that a matrix takes at most
_READ = 1 << 22  # coordinates read at a time
_STEP = 1 << 30  # coordinates compared before a bar advances
_SAMPLE = 1025  # rows whose median is taken off
_COMPACT_AT = 0.7


@dataclass
class _Clusters:
    """Centres, see :class:`hudd.clustering.centres.Centres`, sizes and heights."""

    names: np.ndarray
    offsets: np.ndarray | None
    sizes: np.ndarray
    heights: np.ndarray

    @classmethod
    def rows(cls, n: int) -> _Clusters:
        """Return every row as a cluster."""
        return cls(np.arange(n), None, np.ones(n), np.zeros(n))

    def keep(self, which: np.ndarray) -> None:
        """Forget all clusters but some."""
        for name, values in vars(self).items():
            setattr(self, name, values[which])


def linkage_vectors(
    X: Any,
    method: Literal["ward", "single"] = "ward",
    *,
    unit_norm: bool = False,
    device: Any = None,
    checkpoint: str | Path | None = None,
    distributed: bool = False,
) -> np.ndarray:
    """Cluster rows without a distance matrix, for more of them than :func:`linkage` has memory for.

    Ward's method: all reciprocal nearest neighbours merge at once, round by round, found by matrix products and
    compared in float64: O(N D) memory, and the same result with any number of threads and on any device. Up to 4,096
    rows, and the last 2,048 clusters of more (fewer, of more than 119 and 476 features), are merged on a matrix by
    SciPy's own algorithm. Single linkage: a minimum spanning tree by Prim's algorithm, in float64 and O(N D) memory.

    Parameters
    ----------
    X : array_like or h5py.Dataset, shape (N, ...)
        One item a row; trailing axes are flattened.
    method : {"ward", "single"}
        The distance of two clusters by other methods depends on all distances of their rows, which only a matrix holds:
        ``average``, ``complete`` and ``weighted`` are for :func:`linkage`.
    unit_norm : bool
        Divide each row by its Euclidean norm first; zero rows stay zero.
    device : str or torch.device, optional
        ``"cpu"`` or ``"cuda"``; by default the CPU, on which a spanning tree is always made.
    checkpoint : path, optional
        A file to which each round is written as it is done, 16 bytes for a search. A call that was killed goes on
        from it when it is made again and loses a round at most, also on another device or with another number of
        processes. It is left when all is done. A few thousand rows need none, and single linkage takes none.
    distributed : bool
        Share the searches among the processes of torch.distributed's default group, as torchrun starts them. Each of
        them calls this with the same arguments and gets the same result, bit for bit that of one process. All of them
        hold all rows; the last clusters are merged, and a spanning tree is made, by the first.

    Returns
    -------
    ndarray, (N - 1, 4) float64
        SciPy's Z. Heights are within 1e-9 relative of those in exact arithmetic, and the merges SciPy's, where
        no two distances that are compared are equal. Of more rows than are clustered on a matrix, the lowest of
        equally near ones merge first, which may give other heights than SciPy's order.

    Raises
    ------
    UsageError
        If the method is another one, there are no rows, they are not real numbers, or a value is NaN or infinite; the
        message names the row; if the checkpoint is of other rows, or the processes were given different ones.
    HuddError
        If a height exceeds float64, the checkpoint is damaged or cannot be written, or another process was lost.
    """
    _check_method(method, device, checkpoint)
    if device is not None:
        from hudd.distances.device import usable  # brings torch

        device = usable(device)
    data, shift, exponent = _load(X, unit_norm)
    n, features = data.shape
    with progress("linkage", n - 1, "merges") if n >= LONG else nullcontext(lambda count: None) as advance:
        if method == "single":
            merges = [_spanning_tree(data, distributed, advance)]
        elif n <= _fitting(_WHOLE, features):
            merges = [_on_matrix(data, _Clusters.rows(n))]
            advance(n - 1)
        else:
            merges = _merges(data, shift, device, checkpoint, distributed, advance)
    return _tree(np.concatenate(merges), exponent)


def _check_method(method: str, device: Any, checkpoint: Any) -> None:
    """Refuse methods that need all distances, and what a spanning tree makes no use of."""
    if method not in ("ward", "single"):
        if method not in get_args(Method):
            raise UsageError(
                f"linkage method {method!r} is unknown; choose one of: {', '.join(get_args(Method))}."
            )
        raise UsageError(
            f"method {method!r} needs all distances: hudd.linkage(hudd.pairwise_distances(X, condensed=True), "
            f"{method!r}), or choose 'ward' or 'single' for rows."
        )
    if method == "single" and device is not None and str(device) != "cpu":
        raise UsageError(f"method 'single' runs on the CPU, and device is '{device}'; leave it out.")
    if method == "single" and checkpoint is not None:
        raise UsageError("method 'single' writes no checkpoint; leave it out.")


def _fitting(limit: int, features: int) -> int:
    """Return how many clusters of so many features are worth a matrix, at most the limit."""
    return min(limit, max(2, math.isqrt(2 * _PAIRS // features)))


def _merges(
    data: np.ndarray,
    shift: np.ndarray,
    device: Any,
    checkpoint: str | Path | None,
    distributed: bool,
    advance: Callable[[int], None],
) -> list[np.ndarray]:
    """Merge equal rows, then in rounds, by a chain where rounds merge few, and the last ones on a matrix."""
    from hudd.clustering.centres import Centres  # these bring torch
    from hudd.clustering.record import Record
    from hudd.clustering.rounds import Rounds
    from hudd.ranks import Ranks

    ranks = Ranks.current() if distributed else Ranks(0, 1)
    identity = _identity(data, ranks) if checkpoint is not None or ranks.world > 1 else b""
    rest = _fitting(_REST, data.shape[1])
    equal, names, sizes = _equal_rows(data)
    advance(len(equal))
    centres = Centres(data, shift, names, sizes, device or "cpu")
    with Record(Path(checkpoint) if checkpoint is not None else None, identity, ranks) as record:
        rounds = Rounds(centres, record=record, ranks=ranks)
        rounds.run(rest, advance)
    state = (centres.names, centres.offsets, centres.sizes, rounds.heights)
    left = _Clusters(*(tensor.cpu().numpy() for tensor in state))
    last = ranks.lead(lambda: _last(data, left, rest, advance))
    return [equal, *rounds.merges, *last]


def _last(data: np.ndarray, left: _Clusters, rest: int, advance: Callable[[int], None]) -> list[np.ndarray]:
    """Merge what is left, by a chain down to what a matrix takes."""
    merges = [_chain(data, left, rest, advance)] if len(left.names) > rest else []
    merges.append(_on_matrix(data, left))
    advance(len(merges[-1]))
    return merges


def _identity(data: np.ndarray, ranks: Any) -> bytes:
    """Return the SHA-256 of the rows, which every process has to have the same of."""
    found = hashlib.sha256(repr(data.shape).encode())
    found.update(data.data)
    digests: list[bytes] = ranks.each(found.digest)
    other = next((rank for rank, digest in enumerate(digests) if digest != digests[0]), None)
    if other is not None:
        raise UsageError(
            f"process {other} was given other rows than process 0; give all processes of a group the same rows."
        )
    return digests[0]


def _spanning_tree(data: np.ndarray, distributed: bool, advance: Callable[[int], None]) -> np.ndarray:
    """Return the edges of a minimum spanning tree, made by the first process, as merges."""

    def make() -> np.ndarray:
        n = len(data)
        reach, done, merges = np.full(n, np.inf), np.zeros(n, np.bool_), np.empty((n - 1, 3))
        x, step = 0, max(1, _STEP // (n * data.shape[1]))
        for first in range(0, n - 1, step):
            last = min(n - 1, first + step)
            x = chains.spanning_tree(data, reach, done, merges, x, first, last)
            advance(last - first)
        return merges

    if not distributed:
        return make()
    from hudd.ranks import Ranks  # brings torch

    return Ranks.current().lead(make)


def _load(rows: Any, unit_norm: bool) -> tuple[np.ndarray, np.ndarray, int]:
    """Return rows in float64, (N, D), a point among them, and the exponent of their unit.

    That is near the largest distance from the point in a coordinate: squares neither overflow nor vanish.
    """
    rows = as_array(rows)
    if len(rows.shape) < 2 or not rows.shape[0]:
        raise UsageError(
            f"rows have shape {tuple(rows.shape)}; give one row of features an item, shape (N, ...)."
        )
    if rows.dtype.kind not in "fiub":
        raise UsageError(f"rows have dtype {rows.dtype}; give real numbers, such as float32.")
    refuse_distances(rows, "give them condensed to hudd.linkage")
    n, features = int(rows.shape[0]), math.prod(rows.shape[1:])
    made = np.zeros((n, max(features, 1)))
    step = max(1, _READ // max(features, 1))
    for first in range(0, n, step):
        block = made[first : first + step]
        with np.errstate(over="ignore"):  # of wider types: found below
            block[:, :features] = np.asarray(rows[first : first + step]).reshape(len(block), -1)
        bad = ~np.isfinite(block).all(axis=1)
        if bad.any():
            row = first + int(np.flatnonzero(bad)[0])
            raise UsageError(f"row {row} holds NaN or an infinite value; fix or leave out that row.")
        if unit_norm:
            largest = np.abs(block).max(axis=1, keepdims=True)
            block /= np.where(largest > 0, largest, 1.0)
            norms = np.sqrt(np.einsum("ij,ij->i", block, block))[:, None]
            block /= np.where(norms > 0, norms, 1.0)
    exponent = _rescale(made, float(max(made.max(), -made.min())))
    sample = min(_SAMPLE, max(1, _READ // made.shape[1]))
    shift = np.quantile(made[:: -(-n // sample)], 0.5, axis=0, method="lower")
    widest = float(max((made.max(axis=0) - shift).max(), (shift - made.min(axis=0)).max()))
    exponent += _rescale(made, widest)
    return made, np.ldexp(shift, -int(np.frexp(widest)[1])), exponent


def _rescale(rows: np.ndarray, largest: float) -> int:
    """Scale rows by a power of two near the largest value; return its exponent."""
    exponent = int(np.frexp(largest)[1])
    np.ldexp(rows, -exponent, out=rows)
    rows += 0.0  # equal rows have equal bits
    return exponent


def _equal_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Merge equal rows: return the merges, (m, 3), the highest of each group, ascending, and the groups' sizes."""
    factors = np.random.default_rng(0).integers(0, 2**63, rows.shape[1], np.uint64) | np.uint64(1)
    prints, same = np.empty(len(rows), np.uint64), np.zeros(len(rows), np.bool_)
    step = max(1, _READ // rows.shape[1])
    for first in range(0, len(rows), step):
        bits = rows[first : first + step].view(np.uint64)
        mixed = (bits ^ (bits >> np.uint64(32))) * factors
        prints[first : first + step] = (mixed ^ (mixed >> np.uint64(29))).sum(axis=1)
    order = np.argsort(prints, kind="stable")
    pairs = np.flatnonzero(prints[order[1:]] == prints[order[:-1]])
    for first in range(0, len(pairs), step):
        part = pairs[first : first + step]
        same[part] = (rows[order[part]] == rows[order[part + 1]]).all(axis=1)  # as the next one in this order
    merged = np.flatnonzero(same)
    merges = np.column_stack([order[merged], order[merged + 1], np.zeros(len(merged))])
    last = np.flatnonzero(~same)
    sizes = np.diff(last, prepend=-1)
    kept = order[last]
    ascending = np.argsort(kept)
    return merges, kept[ascending], sizes[ascending].astype(np.float64)


def _chain(data: np.ndarray, left: _Clusters, until: int, advance: Callable[[int], None]) -> np.ndarray:
    """Run a chain on the centres until so many clusters are left; return the merges."""
    merges, done = np.empty((len(left.names) - until, 3)), 0
    links, length, step = np.empty(len(left.names), np.int64), 0, max(1000, len(merges) // 100)
    while done < len(merges):
        last = min(len(merges), done + step)
        state = (left.names, left.offsets, left.sizes, left.heights)
        length = chains.on_centres(data, *state, links, length, merges, done, last)
        advance(last - done)
        done = last
        kept = np.flatnonzero(left.sizes)
        if len(kept) < _COMPACT_AT * len(left.names) or done == len(merges):
            links[:length] = np.searchsorted(kept, links[:length])
            left.keep(kept)
    return merges


def _on_matrix(data: np.ndarray, left: _Clusters) -> np.ndarray:
    """Merge all that are left; return the merges."""
    n = len(left.names)
    merges = np.empty((n - 1, 3))
    if n > 1:
        if left.offsets is None:
            distances = distance.squareform(distance.pdist(data), checks=False)
        else:
            distances = np.empty((n, n))
            chains.matrix(data, left.names, left.offsets, left.sizes, distances)
        chains.on_matrix(distances, left.sizes, left.heights, left.names, merges)
    return merges


def _tree(merges: np.ndarray, exponent: int) -> np.ndarray:
    """Return SciPy's Z from merges named by their rows, in units of a power of two."""
    merges = merges[np.argsort(merges[:, 2], kind="stable")]
    with np.errstate(over="ignore"):
        merges[:, 2] = np.ldexp(merges[:, 2], exponent)
    if not np.isfinite(merges[:, 2]).all():
        raise HuddError("a height exceeds the largest float64; scale the rows down.")
    z = np.empty((len(merges), 4))
    chain.label(merges, z)
    return z
