"""The nearest cluster of each of many, by Ward's distance: tiles of a matrix product, then exact differences.

``|x - y|^2 = |x|^2 + |y|^2 - 2 x.y`` is one product of rows with two more columns, ``(-2 x, |x|^2, 1)`` and
``(y, 1, |y|^2)``. Its rounding is bounded: a sum of n products errs by at most ``n u`` times the sum of their
magnitudes (N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1). Squared norms are
lowered by that bound, so a product is never above the distance, and all that may be nearest is kept. These candidates
are compared by differences in float64, added in one order on every device, so tiles decide nothing but time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch

from hudd.arithmetic import contracting
from hudd.clustering.centres import Centres

_BLOCK = 32  # clusters of which only the least bound is looked at first
_FEATURES = 512  # of one product: its bound grows with the number of terms
_CANDIDATES = 64  # a cluster with more of them is searched for in float64
_COMPARED = 1 << 21  # coordinates compared at a time


@dataclass(frozen=True)
class Tiling:
    """How many clusters are searched for at a time, and how many elements a tile has."""

    strip: int
    elements: int

    @classmethod
    def on(cls, device: torch.device) -> Tiling:
        """Return tiles that stay in the cache of a CPU, or that take an eighth of a GPU's free memory."""
        if device.type != "cuda":
            return cls(512, 1 << 20)
        elements = max(1 << 20, torch.cuda.mem_get_info(device)[0] // 64)
        return cls(max(256, min(8192, elements // 8192)), elements)


class _Level:
    """A precision of the products, and how far they may be off: `relative` to the norms, and `absolute`."""

    def __init__(self, dtype: torch.dtype, features: int) -> None:
        self.dtype = dtype
        self.block = _FEATURES if dtype == torch.float32 else features
        terms = min(features, self.block) + -(-features // max(self.block, 1))
        # Twice the terms, as products and norms are of the magnitude of the two norms each; the rest is rounding of
        # coordinates, norms and the division by sizes.
        self.relative = (2 * terms + 48) * torch.finfo(dtype).eps / 2
        self.absolute = (features + 16) * 8 * torch.finfo(dtype).tiny


class Search:
    """Clusters in a form in which the nearest ones are found fast.

    Parameters
    ----------
    centres : Centres
        Shared, not copied.
    tiling : Tiling
        Sizes of tiles; nothing found depends on them.
    """

    def __init__(self, centres: Centres, tiling: Tiling) -> None:
        self.centres, self.tiling, self._device = centres, tiling, centres.sizes.device
        n, features = len(centres), centres.features
        self.single, self.double = (_Level(dtype, features) for dtype in (torch.float32, torch.float64))
        # Clusters of one size side by side: so one factor holds for a block, or nearly.
        self._order = centres.sizes.argsort(stable=True)
        self._places = torch.empty_like(self._order)
        self._places[self._order] = torch.arange(n, device=self._device)
        padded = -(-n // _BLOCK) * _BLOCK
        # Of padding and of clusters that are gone: no norm, no size, and an infinite bound.
        self._norms = centres.sizes.new_zeros(padded)
        self._halves = centres.sizes.new_zeros(padded)  # 1 / (2 size)
        self._gone = torch.ones(padded, dtype=torch.bool, device=self._device)
        self._table = torch.zeros((padded, features + 2), device=self._device)
        self._table[n:, -1] = torch.inf
        step = max(1, _COMPARED // (features + 2))
        for first in range(0, n, step):
            self.put(self._order[first : first + step])

    def put(self, clusters: torch.Tensor) -> None:
        """Take over the centres and sizes of some clusters."""
        centres, at = self.centres.shifted(clusters), self._places[clusters]
        self._norms[at] = centres.square().sum(1)
        self._halves[at] = 0.5 / self.centres.sizes[clusters]
        self._gone[at] = False
        self._table[at] = self._rows(at, centres, self.single)

    def drop(self, clusters: torch.Tensor) -> None:
        """Leave out some clusters from now on."""
        at = self._places[clusters]
        self._norms[at], self._halves[at], self._gone[at] = 0.0, 0.0, True
        self._table[at, -1] = torch.inf

    def nearest(self, clusters: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the clusters nearest to some, (q,) int64, and Ward's squared distances to them, (q,) float64.

        The lowest of several at the same distance. There have to be two clusters.
        """
        found = torch.empty_like(clusters)
        squares = self._norms.new_empty(len(clusters))
        unclear = []
        with contracting("float32"):
            columns = _Columns(self._norms, self._halves, self._order, self.single)
            for first in range(0, len(clusters), self.tiling.strip):
                part = slice(first, first + self.tiling.strip)
                found[part], squares[part], crowded = self._strip(clusters[part], columns, _CANDIDATES)
                unclear.append(first + crowded)
            again = torch.cat(unclear)
            columns = _Columns(self._norms, self._halves, self._order, self.double)
            for first in range(0, len(again), self.tiling.strip):
                at = again[first : first + self.tiling.strip]
                found[at], squares[at], _ = self._strip(clusters[at], columns, None)
        return found, squares

    def _rows(self, at: torch.Tensor, centres: torch.Tensor, level: _Level) -> torch.Tensor:
        """Return ``(y, 1, |y|^2)`` of the centres at some places, the last lowered by the bound."""
        made = torch.empty((len(at), centres.shape[1] + 2), dtype=level.dtype, device=self._device)
        made[:, :-2] = centres
        made[:, -2] = 1.0
        made[:, -1] = self._norms[at] * (1 - level.relative) - level.absolute
        return made

    def _columns(self, first: int, last: int, level: _Level) -> torch.Tensor:
        if level is self.single:
            return self._table[first:last]
        at = torch.arange(first, last, device=self._device).clamp_(max=len(self.centres) - 1)
        made = self._rows(at, self.centres.shifted(self._order[at]), level)
        made[self._gone[first:last], -1] = torch.inf
        return made

    def _strip(
        self, clusters: torch.Tensor, columns: _Columns, limit: int | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the nearest of some clusters, the squares, and where there were more candidates than the limit."""
        level, places = columns.level, self._places[clusters]
        query = self._rows(places, self.centres.shifted(clusters), level)
        query[:, :-2] *= -2.0
        query[:, -2], query[:, -1] = query[:, -1].clone(), 1.0
        chosen = _Candidates(clusters, places, self.centres, columns, limit)
        width = self.tiling.elements // len(clusters)
        if level is self.double:
            width = min(width, _COMPARED // query.shape[1])
        width = max(1, width // _BLOCK) * _BLOCK
        for first in range(0, len(self._gone), width):
            last = min(len(self._gone), first + width)
            squares = _product(self._columns(first, last, level), query, level.block)
            own = ((places >= first) & (places < last)).nonzero()[:, 0]
            squares[places[own] - first, own] = torch.inf
            chosen.add(squares.view(-1, _BLOCK, len(clusters)), first // _BLOCK)
        return chosen.nearest()


def _product(columns: torch.Tensor, query: torch.Tensor, block: int) -> torch.Tensor:
    """Return ``columns @ query.T``, (c, q), as a sum of products of `block` features; two more join the last."""
    edges = [*range(0, max(query.shape[1] - 2, 1), block), query.shape[1]]
    total = columns[:, : edges[1]] @ query[:, : edges[1]].T
    for first, last in pairwise(edges[1:]):
        total += columns[:, first:last] @ query[:, first:last].T
    return total


class _Columns:
    """What bounds need of all clusters, in the order of the table: of each, and the extremes of each block."""

    def __init__(self, norms: torch.Tensor, halves: torch.Tensor, order: torch.Tensor, level: _Level) -> None:
        self.level, self.order = level, order
        self.norms, self.halves = norms.to(level.dtype), halves.to(level.dtype)
        by_block = self.halves.view(-1, _BLOCK)
        self.most_norms = self.norms.view(-1, _BLOCK).amax(1)[:, None]
        self.most_halves = by_block.amax(1)[:, None]
        self.least_halves = torch.where(by_block > 0, by_block, 0.5).amin(1)[:, None]

    def slack(self, norms: torch.Tensor) -> torch.Tensor:
        """Return how far a squared distance may lie above its bound, for a sum of two squared norms."""
        return norms.mul(2.1 * self.level.relative).add_(2.1 * self.level.absolute)


class _Candidates:
    """What may be nearest to each of some clusters, as tile after tile tells more."""

    def __init__(
        self,
        clusters: torch.Tensor,
        places: torch.Tensor,
        centres: Centres,
        columns: _Columns,
        limit: int | None,
    ) -> None:
        self.clusters, self.centres, self.columns, self.limit = clusters, centres, columns, limit
        self._norms, self._halves = columns.norms[places], columns.halves[places]
        # No more than Ward's squared distance of the nearest one.
        self._most = torch.full_like(self._norms, torch.finfo(columns.level.dtype).max)
        self._counts = torch.zeros_like(clusters)
        self._found = torch.full_like(clusters, len(centres))
        self._squares = centres.sizes.new_full((len(clusters),), torch.inf)
        self._waiting: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def add(self, squares: torch.Tensor, first: int) -> None:
        """Note who may be nearest by a tile of bounds of squared distances, (b, BLOCK, q), from block `first` on.

        Ward's distance is bounded by the extremes of a block first; elements are looked at only where that block may
        hold the nearest one.
        """
        all_of = self.columns
        part = slice(first, first + len(squares))
        lows = squares.amin(1)
        highs = lows + all_of.slack(all_of.most_norms[part] + self._norms)
        highs /= all_of.least_halves[part] + self._halves
        torch.minimum(self._most, highs.amin(0), out=self._most)
        lows /= all_of.most_halves[part] + self._halves  # one below 0 stays below any bound
        block, query = (lows <= self._most).nonzero(as_tuple=True)
        values, block = squares[block, :, query], block + first
        norms, halves = (x.view(-1, _BLOCK)[block] for x in (all_of.norms, all_of.halves))
        weights = halves + self._halves[query, None]
        highs = (values + all_of.slack(norms + self._norms[query, None])) / weights
        self._most.scatter_reduce_(0, query, highs.amin(1), "amin")
        values /= weights
        which, inside = (values <= self._most[query, None]).nonzero(as_tuple=True)
        query = query[which]
        self._waiting.append((query, block[which] * _BLOCK + inside, values[which, inside]))
        if self.limit is not None:
            self._counts.index_add_(0, query, torch.ones_like(query))
            self._most[self._counts > self.limit] = -torch.inf
        elif sum(len(query) for query, *_ in self._waiting) * self.centres.features > 16 * _COMPARED:
            self._compare()

    def nearest(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the nearest of all candidates, the squares, and where the limit was exceeded: neither counts there."""
        self._compare()
        crowded = torch.isneginf(self._most).nonzero()[:, 0]
        return self._found, self._squares, crowded

    def _compare(self) -> None:
        """Compare those that wait by their differences; the lowest of equals stays."""
        if not self._waiting:
            return
        query, column, bound = (torch.cat(parts) for parts in zip(*self._waiting))
        self._waiting = []
        kept = (bound <= self._most[query]).nonzero()[:, 0]
        query, column = query[kept], self.columns.order[column[kept]]
        step = max(1, _COMPARED // self.centres.features)
        for first in range(0, len(query), step):
            q, c = query[first : first + step], column[first : first + step]
            squares = self.centres.squares(self.clusters[q], c)
            before = self._squares.clone()
            self._squares.scatter_reduce_(0, q, squares, "amin")
            self._found[self._squares < before] = len(self.centres)
            equal = (squares == self._squares[q]).nonzero()[:, 0]
            self._found.scatter_reduce_(0, q[equal], c[equal], "amin")
