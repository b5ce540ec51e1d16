"""Channel moments: how much of the relevance each channel gets and how much it is used, wherever in the image.

Many root causes change what the channels of a network do more than where they do it. So each convolution's input is
kept as mean and standard deviation of every channel over space, of the relevance and of the activation; all layers are
joined. Other causes are a matter of where: the whole activation of the last convolution's input stands beside them.
docs/root-cause-quality.md has the measurements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from hudd.clustering.features import Activations, Features
from hudd.errors import UsageError
from hudd.lrp import LRP

LAYER = "moments"
Batches = Callable[[], Iterable[tuple[Tensor, Tensor]]]


def channel_moments(values: Tensor) -> Tensor:
    """Return mean and standard deviation of every channel over space.

    Parameters
    ----------
    values : Tensor, (N, C, ...)
        Relevance or activations, one axis of space at least.

    Returns
    -------
    Tensor, (N, 2 C) float32
        The means, then the deviations (of the population).
    """
    flat = values.flatten(2).float()
    return torch.cat((flat.mean(2), flat.std(2, correction=0)), 1)


class Moments:
    """Channel moments at the inputs of all convolutions, and the last one's activation, as layer ``moments``.

    Relevance is divided by the sum of its magnitudes in the image, so that the size of what is explained does not
    count, and the square root is taken of its moments, as distances of shares are (E. Hellinger, J. reine angew. Math.
    136, 1909). Every column of moments is standardised over the reference images; each layer weighs the same. The last
    activation has unit norm, and over the reference images as much variance as all moments together.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode.
    reference : callable
        Returns batches of images, (n, C, H, W), and of the classes to explain, (n,), two images at least: those to be
        clustered. Called once, when the first features are asked for.
    rules : str or mapping
        As for :class:`hudd.LRP`.
    layers : sequence of str, optional
        Module paths of convolutions, globs allowed; None for all.

    Raises
    ------
    UsageError
        From :meth:`prepare`, if no convolution is among the layers.
    """

    def __init__(
        self,
        model: nn.Module,
        reference: Batches,
        rules: str | dict[str, str] = "z-plus",
        layers: Sequence[str] | None = None,
    ) -> None:
        self._model, self._rules, self._asked, self._reference = model, rules, layers, reference
        self._lrp: LRP | None = None
        self._activations: Activations | None = None
        self._names: list[str] = []
        self._scale: tuple[Tensor, Tensor] | None = None

    def prepare(self, example: Tensor) -> tuple[str, ...]:
        """Find the convolutions that images like `example` pass; return the one name of the features."""
        passed = LRP(self._model, rules=self._rules, layers=self._asked).prepare(example)
        kinds = dict(self._model.named_modules())
        self._names = [name for name in passed if isinstance(kinds.get(name), _CONVOLUTIONS)]
        if not self._names:
            raise UsageError(
                "channel moments are taken at convolutions, and there is none among the model's modules that were "
                "asked for; choose other layers, or features 'relevance'."
            )
        self._lrp = LRP(self._model, rules=self._rules, layers=self._names)
        self._activations = Activations(self._model, self._names)
        return (LAYER,)

    def attribute(self, inputs: Tensor, target: Tensor | None = None) -> Features:
        """Return the standardised moments, (N, d) float32, of the relevance of the classes `target`."""
        if self._lrp is None:
            self.prepare(inputs)
        if self._scale is None:
            self._scale = self._standard()
        centre, factor = self._scale
        return Features({LAYER: (torch.cat(self._parts(inputs, target), 1) - centre) * factor})

    def _parts(self, inputs: Tensor, target: Tensor | None) -> list[Tensor]:
        """Relevance and activation moments layer by layer, (N, 2 C) each, then the last activation, (N, d)."""
        assert self._lrp is not None  # prepared
        assert self._activations is not None
        relevance = self._lrp.attribute(inputs, target=target).layers
        activation = self._activations.attribute(inputs).layers
        shared = [channel_moments(_shares(relevance[name])).abs().sqrt() for name in self._names]
        last = normalize(activation[self._names[-1]].flatten(1).float())
        return [*shared, *(channel_moments(activation[name]) for name in self._names), last]

    def _standard(self) -> tuple[Tensor, Tensor]:
        """Centre and factor of every column: every layer's moments have variance 1, the last activation that of all."""
        moments, total, squares = [], torch.zeros(1, dtype=torch.float64), 0.0
        for images, target in self._reference():
            *columns, last = self._parts(images, target)
            moments.append(columns)
            total = total.to(last.device) + last.double().sum(0)
            squares += float(last.double().square().sum())
        centres, factors, variance = [], [], 0
        for parts in zip(*moments):
            group = torch.cat(parts).double()
            deviation = group.std(0, correction=0)
            alive = deviation > _CONSTANT * group.abs().amax(0)
            factors.append(torch.where(alive, 1 / deviation, 0.0) / alive.sum().clamp(min=1).sqrt())
            centres.append(group.mean(0))
            variance += int(alive.any())
        count = sum(len(columns[0]) for columns in moments)
        centres.append(total / count)
        spread = squares / count - float(centres[-1].square().sum())
        factors.append(torch.full_like(total, (variance / spread) ** 0.5 if spread > _CONSTANT else 0.0))
        return torch.cat(centres).float(), torch.cat(factors).float()


_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_CONSTANT = 1e-6  # deviation over magnitude below which a column is rounding


def _shares(relevance: Tensor) -> Tensor:
    total = relevance.flatten(1).abs().sum(1).clamp(min=torch.finfo(torch.float32).tiny)
    return relevance / total.reshape(-1, *[1] * (relevance.ndim - 1))
