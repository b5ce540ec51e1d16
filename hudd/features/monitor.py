"""A DNN that watches itself: which cause of failures an image is near, by the moments of its activations.

Relevance needs a backward pass by hudd's own kernels, which no exported program holds. So images are described by what
is left of the moments without it: mean and standard deviation of each channel at the inputs of the layers with weights,
against those of correctly classified images, see :mod:`hudd.features.moments`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hudd.errors import UsageError
from hudd.features.base import keeper
from hudd.features.contrast import Contrast
from hudd.features.moments import channel_moments

_WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_CONSTANT = 1e-6  # deviation over magnitude below which a column is rounding
_TRIMMED = 0.25  # share of the correctly classified images that is left out, as preset moments does
_MOST = 1000  # images of either kind that the directions are found by


class ActivationMoments(nn.Module):
    """Channel moments of what enters a model's convolutions and linear layers.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode.
    example : Tensor
        (2, ...) images; layers that see them in windows or tokens of several images are left out.

    Raises
    ------
    UsageError
        If no layer with weights is left, as of an exported program, which has no modules.
    """

    def __init__(self, model: nn.Module, example: Tensor) -> None:
        super().__init__()
        self.model = model
        self.layers = [name for name, module in model.named_modules() if isinstance(module, _WEIGHTED)]
        with torch.inference_mode():
            seen = self._run(example)
        self.layers = [name for name in self.layers if name in seen and len(seen[name]) == len(example)]
        if not self.layers:
            raise UsageError(
                "the model has no convolution or linear layer among its modules whose input a monitor could read, as "
                "an exported program has none; give the model as a factory of modules."
            )
        with torch.inference_mode():
            self.widths = [part.shape[1] for part in self._parts(example)]

    def forward(self, images: Tensor) -> Tensor:
        """Return the columns, (n, d) float32, of images, (n, ...)."""
        return torch.cat(self._parts(images), 1)

    def _parts(self, images: Tensor) -> list[Tensor]:
        seen, parts = self._run(images), []
        for name in self.layers:
            values = seen[name].float()
            if values.ndim > 2 and isinstance(self.model.get_submodule(name), nn.Linear):
                values = values.movedim(-1, 1)
            parts.append(values if values.ndim == 2 else channel_moments(values))
        return parts

    def _run(self, images: Tensor) -> dict[str, Tensor]:
        seen: dict[str, Tensor] = {}
        hooks = [
            self.model.get_submodule(name).register_forward_pre_hook(keeper(seen, name), with_kwargs=True)
            for name in self.layers
        ]
        try:
            self.model(images)
        finally:
            for hook in hooks:
                hook.remove()
        return seen


@dataclass(frozen=True)
class Reference:
    """What images are compared with, in the directions that set failures apart from correctly classified images.

    Attributes
    ----------
    origin : np.ndarray
        (d,) float64, and `directions`, (d, q) float64: the map from columns to directions.
    normal : np.ndarray
        (q,) float64 centre of the correctly classified images.
    numbers : np.ndarray
        (k,) int64 numbers of the causes, and `centres`, (k, q) float64: their centres.
    """

    origin: np.ndarray
    directions: np.ndarray
    normal: np.ndarray
    numbers: np.ndarray
    centres: np.ndarray

    @classmethod
    def fit(
        cls, columns: np.ndarray, widths: Sequence[int], failed: np.ndarray, cause: np.ndarray
    ) -> Reference:
        """Find directions and centres.

        Parameters
        ----------
        columns : np.ndarray
            (N, d) float32 columns of images, see :class:`ActivationMoments`.
        widths : sequence of int
            Columns of each layer; each layer weighs the same.
        failed : np.ndarray
            (N,) bool.
        cause : np.ndarray
            (N,) int64 cause of each image that fails, 0 for none.
        """
        some = [_spread(np.flatnonzero(rows)) for rows in (failed, ~failed)]
        failures = columns[some[0]]
        deviation = failures.std(axis=0, dtype=np.float64)
        alive = deviation > _CONSTANT * np.abs(failures).max(axis=0)
        layer = np.repeat(np.arange(len(widths)), widths)
        weight = np.sqrt(np.maximum(np.bincount(layer[alive], minlength=len(widths)), 1))[layer]
        factor = np.where(alive, 1 / np.where(alive, deviation, 1), 0) / weight
        middle = failures.mean(axis=0, dtype=np.float64)
        scaled = [((columns[rows] - middle) * factor).astype(np.float32) for rows in some]
        contrast = Contrast.fit(scaled[0], scaled[1], trimmed=_TRIMMED)
        origin = middle + np.divide(contrast.centre, factor, out=np.zeros_like(factor), where=factor > 0)
        directions = factor[:, None] * contrast.directions
        placed = _placed(
            torch.from_numpy(columns).double(), *map(torch.from_numpy, (origin, directions))
        ).numpy()
        numbers = np.unique(cause[failed & (cause > 0)])
        centres = np.array([placed[failed & (cause == number)].mean(axis=0) for number in numbers])
        return cls(origin, directions, placed[~failed].mean(axis=0), numbers.astype(np.int64), centres)


class Monitor(nn.Module):
    """A model, and which cause of its failures an image is near.

    Parameters
    ----------
    moments : ActivationMoments
        What describes an image.
    reference : Reference
        What it is compared with.
    threshold : float
        Score above which there is an alarm.
    """

    def __init__(self, moments: ActivationMoments, reference: Reference, threshold: float = 0.0) -> None:
        super().__init__()
        self.moments = moments
        self.origin: Tensor
        self.directions: Tensor
        self.normal: Tensor
        self.centres: Tensor
        self.numbers: Tensor
        self.threshold: Tensor
        for name in ("origin", "directions", "normal", "centres"):
            self.register_buffer(name, torch.from_numpy(getattr(reference, name)).float())
        self.register_buffer("numbers", torch.from_numpy(reference.numbers))
        self.register_buffer("threshold", torch.tensor(threshold, dtype=torch.float32))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Say what images are near to.

        Parameters
        ----------
        images : Tensor
            (n, ...) as the model takes them in.

        Returns
        -------
        cause : Tensor
            (n,) int64 number of the nearest cause.
        distance : Tensor
            (n,) float32 distance to its centre.
        score : Tensor
            (n,) float32 squared distance to the centre of the correctly classified images less that to the cause: above
            0 the image is nearer to the cause.
        alarm : Tensor
            (n,) bool, whether the score is above the threshold.
        """
        return self.judge(self.moments(images))

    def judge(self, columns: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Say the same of columns, (n, d) float32."""
        placed = _placed(columns, self.origin, self.directions)
        squares = (placed[:, None] - self.centres).square().sum(2)
        nearest, at = squares.min(1)
        score = (placed - self.normal).square().sum(1) - nearest
        return self.numbers[at], nearest.sqrt(), score, score > self.threshold


def _placed(columns: Tensor, origin: Tensor, directions: Tensor) -> Tensor:
    """Columns, (n, d), in the directions, (n, q); divided by the square root of their norm, as preset moments does."""
    rows = (columns - origin) @ directions
    placed: Tensor = rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True).sqrt().clamp(min=_CONSTANT)
    return placed


def _spread(rows: np.ndarray) -> np.ndarray:
    """At most as many rows as are needed, evenly spaced."""
    at = np.round(np.linspace(0, len(rows) - 1, min(len(rows), _MOST))).astype(np.int64)
    return rows[at]
