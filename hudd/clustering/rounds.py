"""Ward's method on the rows themselves, by rounds in which all reciprocal nearest neighbours merge at once.

Ward's method is reducible: no union is nearer to a third cluster than the nearer of its parts was. So two clusters
that are each other's nearest neighbours merge in any order with the same result, and a cluster's nearest neighbour
stays it until one of the two merges (F. Murtagh, "A survey of recent advances in hierarchical clustering
algorithms", Computer Journal 26, 1983). A cluster that merged, or whose neighbour did, is searched for again when it
is the nearest neighbour of another one. Until then its old distance is a lower bound of its next one; those with
the lowest bounds are searched for where a round has few others.

Where there are several processes, each searches for its share of the clusters among all of them, and is told what the
others have found; everything else all of them do. So what is merged does not depend on their number.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import numpy as np
import torch

from hudd.clustering.centres import Centres
from hudd.clustering.nearest import Search, Tiling
from hudd.clustering.record import Record
from hudd.progress import progress
from hudd.ranks import Ranks

_COMPACT_AT = 0.9  # share of clusters that are left
_BATCH = 512  # clusters searched for in a round, or a 64th of all
_PIECE = 1 << 33  # pairs that are searched before what was found is recorded
_LONG = 2 * 10**10  # pairs from which on a bar is worth its line
_FEW = 0.01  # merges of a round, of the clusters; with fewer, a chain may be faster
_RECENT = 16  # rounds that this is told by
# Seconds, about: of a round however little it does, and of a chain by pair of clusters, and by feature of those.
_ROUND, _PAIR, _FEATURE = 1e-3, 4e-9, 2.4e-9


class Rounds:
    """Clusters on their way to one.

    Parameters
    ----------
    centres : Centres
        Where they are; updated in place. The merges do not depend on the device.
    tiling : Tiling, optional
        Sizes of tiles; no result depends on them.
    record : Record, optional
        Of what was found by an earlier call, and for what is found by this one.
    ranks : Ranks, optional
        The processes that share the searches, each with the same centres; by default this one alone.
    """

    def __init__(
        self,
        centres: Centres,
        tiling: Tiling | None = None,
        record: Record | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        device = centres.sizes.device
        self.centres, self.tiling = centres, tiling or Tiling.on(device)
        self._ranks = ranks or Ranks(0, 1)
        self._record = record or Record(None, b"", self._ranks)
        self.heights = torch.zeros_like(centres.sizes)
        self.merges: list[np.ndarray] = []  # (m, 3) float64: two rows and a height each
        n = self.count = len(centres)
        self._nearest = torch.zeros(n, dtype=torch.int64, device=device)
        self._squares = torch.zeros_like(self.heights)
        self._alive = torch.ones(n, dtype=torch.bool, device=device)
        self._known = torch.zeros(n, dtype=torch.bool, device=device)
        self._search: Search | None = None  # made when one is needed

    def run(self, until: int, advance: Callable[[int], None]) -> None:
        """Merge until at most so many clusters are left, or until a chain would be faster."""
        recent: list[int] = []
        while self.count > max(until, 1):
            rows = self._to_search()
            if len(rows):
                self._find(rows)
            merged = self._merge()
            advance(merged)
            recent = [*recent[1 - _RECENT :], merged]
            if len(recent) == _RECENT and self._chain_is_faster(sum(recent) / _RECENT):
                break
        self._compact()

    def _to_search(self) -> torch.Tensor:
        """Return the clusters whose nearest neighbour has to be known next, and the most promising others."""
        waiting = self._alive & ~self._known
        wanted = torch.zeros_like(waiting)
        wanted[self._nearest[self._known]] = True
        rows, others = (waiting & wanted).nonzero()[:, 0], (waiting & ~wanted).nonzero()[:, 0]
        more = max(_BATCH, self.count // 64) - len(rows)
        if more > 0 and len(others):
            lowest = others[self._squares[others].argsort(stable=True)[:more]]
            rows = torch.cat([rows, lowest]).sort().values
        return rows

    def _find(self, rows: torch.Tensor) -> None:
        """Find the nearest of some clusters, piece by piece, so that little is lost by a kill."""
        step = max(_BATCH, _PIECE // self.count)
        long = len(rows) * self.count > _LONG
        bar = progress("nearest neighbours", len(rows), "clusters") if long else nullcontext(lambda n: None)
        with bar as advance:
            for first in range(0, len(rows), step):
                part = rows[first : first + step]
                found = self._record.next(partial(self._searched, part), 2 * len(part))
                nearest, squares = torch.from_numpy(found).to(rows.device).view(2, -1)
                if not bool(((nearest >= 0) & (nearest < len(self.heights))).all()):
                    raise self._record.unfit()
                self._nearest[part], self._squares[part] = nearest.long(), squares
                advance(len(part))
        self._known[rows] = True

    def _searched(self, rows: torch.Tensor) -> np.ndarray:
        """Return the nearest of some clusters, then their squares, (2 q,) float64: each process finds its share."""
        if self._search is None:
            self._search = Search(self.centres, self.tiling)
            self._search.drop((~self._alive).nonzero()[:, 0])
        world, last = self._ranks.world, len(rows) - 1
        share = torch.arange(last // world + 1, device=rows.device) * world + self._ranks.rank
        nearest, squares = self._search.nearest(rows[share.clamp_(max=last)])
        parts = self._ranks.gather(torch.stack([nearest.double(), squares]))
        found: np.ndarray = torch.stack(parts, 2).flatten(1)[:, : len(rows)].flatten().cpu().numpy()
        return found

    def _merge(self) -> int:
        """Merge all that are each other's nearest; return how many pairs."""
        own = torch.arange(len(self.heights), device=self.heights.device)
        mutual = self._known & self._known[self._nearest] & (self._nearest[self._nearest] == own)
        low = (mutual & (own < self._nearest)).nonzero()[:, 0]
        if not len(low):
            # Neighbours kept among equal distances may form a ring: who is the lowest of equals is decided again.
            if not bool((self._alive & ~self._known).any()):
                self._known[:] = False
            return 0
        high = self._nearest[low]
        heights = torch.maximum(
            self._squares[low].sqrt(), torch.maximum(self.heights[low], self.heights[high])
        )
        names = self.centres.names.double()
        self.merges.append(torch.stack([names[low], names[high], heights], 1).cpu().numpy())
        self.centres.merge(low, high)
        self.heights[high] = heights
        if self._search is not None:
            self._search.drop(low)
            self._search.put(high)
        self._alive[low] = False
        gone = torch.zeros_like(self._alive)
        gone[low] = gone[high] = True
        self._known &= ~(gone | gone[self._nearest])
        self.count -= len(low)
        if self.count < _COMPACT_AT * len(own):
            self._compact()
        return len(low)

    def _compact(self) -> None:
        kept = self._alive.nonzero()[:, 0]
        if len(kept) == len(self.heights):
            return
        places = self._alive.cumsum(0) - 1
        self._nearest = places[self._nearest[kept]]
        self.centres.keep(kept)
        for name in ("heights", "_squares", "_known", "_alive"):
            setattr(self, name, getattr(self, name)[kept])
        self._search = None

    def _chain_is_faster(self, merged: float) -> bool:
        """Whether a chain on one core would be done sooner than rounds that merge so few."""
        if merged >= _FEW * self.count:
            return False
        chain = self.count**2 * (_PAIR + _FEATURE * self.centres.features)
        return chain < _ROUND * self.count / max(merged, 1.0)
