"""Clusters' centres as a row of the data and what is to be added to it, on a torch device."""

from __future__ import annotations

import numpy as np
import torch

from hudd.clustering import chains


class Centres:
    """Centres of clusters, whose differences are exact to float64 however far from the origin they lie.

    A centre is one row of its cluster plus an offset, which is as small as the cluster. So two centres differ by the
    difference of two rows, which loses nothing, and that of two offsets.

    Parameters
    ----------
    rows : ndarray, (N, D) float64
        The data, in units of their largest distance from `shift` in any coordinate.
    shift : ndarray, (D,) float64
        Some point among the rows.
    names : ndarray, (n,) int64
        Where each cluster's row is.
    sizes : ndarray, (n,) float64
        Numbers of rows.
    device : str or torch.device
        Where to hold all of it.
    """

    def __init__(
        self,
        rows: np.ndarray,
        shift: np.ndarray,
        names: np.ndarray,
        sizes: np.ndarray,
        device: str | torch.device,
    ) -> None:
        self.rows, self.shift, self.names, self.sizes = (
            torch.from_numpy(array).to(device) for array in (rows, shift, names, sizes)
        )
        self.offsets = self.rows.new_zeros((len(names), self.features))

    def __len__(self) -> int:
        return len(self.names)

    @property
    def features(self) -> int:
        """D."""
        return self.rows.shape[1]

    def shifted(self, which: torch.Tensor) -> torch.Tensor:
        """Return some centres less the shift, (k, D) float64."""
        centres = self.rows[self.names[which]]
        centres -= self.shift
        centres += self.offsets[which]
        return centres

    def squares(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Return Ward's squared distances of clusters `a` to `b`, (p,) float64: the same bits on every device."""
        if self.rows.device.type == "cpu":
            out = torch.empty(len(a), dtype=torch.float64)
            arrays = (t.numpy() for t in (self.rows, self.names, self.offsets, a, b, out))
            chains.square_differences(*arrays)
        else:
            out = sum_in_halves(self._differences(a, b).square_())
        sizes = self.sizes[a] * self.sizes[b] / (self.sizes[a] + self.sizes[b])
        return out * (2.0 * sizes)

    def merge(self, low: torch.Tensor, high: torch.Tensor) -> None:
        """Make each of the clusters `high` the union of itself and one of the clusters `low`."""
        share = self.sizes[low] / (self.sizes[low] + self.sizes[high])
        step = self._differences(low, high)
        step *= share[:, None]
        self.offsets[high] = self.offsets[high] + step
        self.sizes[high] = self.sizes[high] + self.sizes[low]

    def keep(self, which: torch.Tensor) -> None:
        """Forget all clusters but some."""
        self.names, self.offsets, self.sizes = self.names[which], self.offsets[which], self.sizes[which]

    def _differences(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        between = self.rows[self.names[a]]
        between -= self.rows[self.names[b]]
        offset = self.offsets[a]
        offset -= self.offsets[b]
        between += offset
        return between


def sum_in_halves(terms: torch.Tensor) -> torch.Tensor:
    """Return the sum of each row of (p, D), overwriting it: the right half is added to the left one until one is left.

    Each step is one operation on elements, which no device fuses, so the bits are the same on all.
    """
    width = terms.shape[1]
    while width > 1:
        half = width // 2
        if width % 2:
            terms[:, 0] += terms[:, width - 1]
        terms[:, :half] += terms[:, half : 2 * half]
        width = half
    return terms[:, 0]
