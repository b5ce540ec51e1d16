"""Channel moments: how much of the relevance each channel gets and how much it is used, wherever in the image.

Many root causes change what the channels of a network do more than where they do it. So each layer's input is kept as
mean and standard deviation of every channel over space, of the relevance and of the activation, and how rough the
activation is; all layers are joined. Other causes are a matter of where: the whole activation of the last layer's input
is added to them. What of all this varies among correctly classified images too says little about a failure: see
:mod:`hudd.features.contrast`.
docs/root-cause-quality.md has the measurements.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from hudd.errors import HuddWarning
from hudd.features.activations import Activations
from hudd.features.base import Extractor, Features, FeatureValues, Subject
from hudd.features.contrast import COMPONENTS, Contrast
from hudd.language import marked
from hudd.lazy import functional, linalg, nn, torch

if TYPE_CHECKING:
    from torch import Tensor

    from hudd.features.base import Batches
    from hudd.lrp import LRP, Bias
    from hudd.lrp.targets import Target

LAYER = "moments"

Shares = list[float | None]
"""Share of the variance of each group of columns; None, last, for the map, which has :attr:`Moments.map_deviation`."""
Block = tuple[Shares, int]
"""Shares of groups of columns that are contrasted together, and how many directions of them are kept."""

_EVEN = 1e-3  # differences over magnitude that are hardly a texture, so that rounding is none
_CONSTANT = 1e-6  # deviation over magnitude below which a column is rounding
_MAP = 1 << 14  # numbers of the last activation at most
_REFERENCE = 1000  # images of either kind that the features are made by


def channel_moments(values: Tensor) -> Tensor:
    """Return mean and standard deviation of every channel over space.

    Parameters
    ----------
    values : Tensor, (N, C, ...)
        Relevance or activations; without an axis of space the deviations are 0.

    Returns
    -------
    Tensor, (N, 2 C) float32
        The means, then the deviations (of the population).
    """
    flat = values.flatten(2).float() if values.ndim > 2 else values.unsqueeze(2).float()
    return torch.cat((flat.mean(2), flat.std(2, correction=0)), 1)


def roughness(values: Tensor) -> Tensor:
    """Return how much every channel differs between neighbouring places, against how much it does over all of space.

    Parameters
    ----------
    values : Tensor, (N, C, ...)
        Activations with at least one axis of space.

    Returns
    -------
    Tensor, (N, C axes) float32
        Per axis of space d / (d + s), of the mean difference d of neighbours and the deviation s, to which a thousandth
        of the mean magnitude is added: 0 for a constant channel and along an axis of length 1, over 1/2 for noise.
    """
    values = values.float()
    deviation = values.flatten(2).std(2, correction=0)
    deviation = deviation + _EVEN * values.flatten(2).abs().mean(2)
    found = []
    for axis in range(2, values.ndim):
        steps = values.diff(dim=axis).abs().flatten(2)
        step = steps.mean(2) if steps.shape[2] else torch.zeros_like(deviation)
        found.append(step / (step + deviation).clamp(min=torch.finfo(torch.float32).tiny))
    return torch.cat(found, 1)


def weighted_moments(values: Tensor, weights: Tensor) -> Tensor:
    """Return mean and standard deviation of every channel over space, where places count by their weight.

    Parameters
    ----------
    values : Tensor, (N, C, ...)
        Activations with at least one axis of space.
    weights : Tensor, (N, C', ...)
        Relevance at the same places; a place weighs the sum of its magnitudes. Where all are 0, so are the moments.

    Returns
    -------
    Tensor, (N, 2 C) float32
        The means, then the deviations.
    """
    share = weights.flatten(2).float().abs().sum(1, keepdim=True)
    share = share / share.sum(2, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    flat = values.flatten(2).float()
    mean = (share * flat).sum(2)
    variance = (share * (flat - mean.unsqueeze(2)).square()).sum(2)
    return torch.cat((mean, variance.sqrt()), 1)


class Moments(Features):
    """Channel moments at the inputs of the layers with weights, against normal images, as layer ``moments``.

    The layers are the convolutions and the linear layers that work place by place, as those of transformers do; all
    linear layers where there are no such; every layer that redistributes relevance where there are none either.

    Relevance is divided by the sum of its magnitudes in the image, so that the size of what is explained is left out,
    and the square root is taken of its moments, as distances of shares are (E. Hellinger, J. reine angew. Math. 136,
    1909). To the moments of an activation belongs its :func:`roughness`, where all layers have axes of space. Every
    column of moments is standardised over the failures; each layer weighs the same. The last activation,
    averaged to 16,384 numbers where it has more, has unit norm, and over the failures a quarter of the variance of all
    moments together. :class:`Contrast` makes 150 numbers an image of it all, by the three quarters of the normal images
    that are nearest to their mean. They are divided by the square root of their norm,
    so that strong failures do not rule mild ones of the same kind.

    Activations are read at the model's modules; of an exported program, which has none, only relevance is used.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode.
    failures : callable
        Given a number, returns batches of images, (n, C, H, W), each with what is explained of them: a class each,
        (n,), or another target of :class:`hudd.LRP`. Of those to be clustered so many at most, one at least. Called
        once, when the first features are asked for.
    normal : callable, optional
        The same of correctly classified images; there may be none.
    rules : str or mapping
        As for :class:`hudd.LRP`.
    layers : sequence of str, optional
        Module paths of layers with weights, globs allowed; None for all.
    precision : str, optional
        As for :class:`hudd.LRP`.
    bias : str, optional
        As for :class:`hudd.LRP`.
    """

    description = (
        "channel moments of relevance and activation and the last activation, against correctly classified "
        "images"
    )
    alike = marked("channel moments")
    conserves = True
    unit_norm = False
    contrasted = True

    map_deviation = 0.5  # of the last activation, over that of all moments together
    trimmed = 0.25  # share of the normal images that is left out
    rough = True  # whether the roughness of activations is one of the moments
    weighted = False  # whether moments of relevance give way to those of activations where the relevance is
    plain = (
        1.0  # share of the variance that moments of activations over all places have, over the other moments'
    )

    @classmethod
    def of(cls, subject: Subject) -> Extractor:
        """Return what makes the features of a study's images."""
        failures, normal = subject.failures, subject.normal
        return cls(
            subject.model, failures, normal, subject.rules, subject.layers, subject.arithmetic, subject.bias
        )

    def __init__(
        self,
        model: nn.Module,
        failures: Batches,
        normal: Batches = lambda most: (),
        rules: str | dict[str, str] = "z-plus",
        layers: Sequence[str] | None = None,
        precision: str = "float32",
        bias: Bias = "absorb",
    ) -> None:
        self._model, self._asked = model, layers
        from hudd.lrp import LRP  # seconds, and results are read without it

        self._of = partial(LRP, model, rules, precision=precision, bias=bias)
        self._failures, self._normal = failures, normal
        self._lrp: LRP | None = None
        self._activations: Activations | None = None
        self._reads = False  # whether the activations can be read

    def prepare(self, example: Tensor) -> tuple[str, ...]:
        """Find the layers that images like `example` pass; return the one name of the features."""
        passed = self._of(layers=self._asked).prepare(example)
        kinds = dict(self._model.named_modules())
        weighted = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
        layers = [name for name in passed if isinstance(kinds.get(name), weighted)] or list(passed)
        with warnings.catch_warnings(
            category=HuddWarning, action="ignore"
        ):  # shapes are all that is looked at
            relevance = self._of(layers=layers).attribute(example[:1], _all).layers
        if all(name in kinds for name in layers):
            activation = Activations(self._model, layers).attribute(example[:1]).layers
            # What a layer sees in windows of an image does not come image by image.
            alike = [name for name in layers if activation[name].shape == relevance[name].shape]
            layers, self._reads = alike or layers, bool(alike)
        layers = [name for name in layers if relevance[name].ndim > 2] or layers
        self._lrp = self._of(layers=layers)
        self._activations = Activations(self._model, layers) if self._reads else None
        return (LAYER,)

    @property
    def head(self) -> str:
        """What is explained where the model ends in a head, see :class:`hudd.LRP`."""
        return "" if self._lrp is None else self._lrp.head

    def attribute(self, inputs: Tensor, target: Target = None) -> FeatureValues:
        """Return the features, (N, q) float32, q at most 150, for the relevance of `target`, see :class:`hudd.LRP`.

        Conservation is that of the layer which loses or makes most relevance, image by image; cumulative that of the
        layer which least is left at.
        """
        if self._lrp is None:
            self.prepare(inputs)
        parts, lost, gone = self._parts(inputs, target)
        columns = torch.cat(parts, 1)
        origin, directions = (tensor.to(columns.device) for tensor in self._map)
        # In float64, so that what BLAS makes of the size of a batch does not show in the result.
        rows = (columns.double() - origin) @ directions
        length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        features = (rows / length.sqrt().clamp(min=_CONSTANT)).float()
        return FeatureValues({LAYER: features}, {LAYER: lost}, {LAYER: gone})

    def _parts(self, inputs: Tensor, target: Target) -> tuple[list[Tensor], Tensor, Tensor]:
        """Groups of columns, (N, columns) each, and the conservation and what is gone by then, (N,) each."""
        assert self._lrp is not None  # prepared
        found = self._lrp.attribute(inputs, target=target)
        leaks, gone = (torch.stack(list(of.values())) for of in (found.conservation, found.cumulative))
        lost = leaks.gather(0, leaks.abs().argmax(0, keepdim=True))[0]
        channels_second = {
            name: relevance.movedim(self._lrp.channels[name], 1) for name, relevance in found.layers.items()
        }
        groups = self._groups(inputs, channels_second)
        return groups, lost, gone.gather(0, (gone + 1).abs().argmin(0, keepdim=True))[0]

    def _groups(self, inputs: Tensor, relevance: dict[str, Tensor]) -> list[Tensor]:
        """Relevance moments layer by layer, (N, 2 C) each, activation moments, then the last activation, (N, d).

        Of the relevance at each layer, (N, C, ...).
        """

        def of_relevance() -> list[Tensor]:
            return [channel_moments(_shares(one)).abs().sqrt() for one in relevance.values()]

        if self._activations is None:
            return of_relevance()
        assert self._lrp is not None  # prepared
        activation = self._activations.attribute(inputs).layers
        values = [activation[name].float().movedim(self._lrp.channels[name], 1) for name in relevance]
        spatial = all(value.ndim > 2 for value in values)
        if self.weighted and spatial:
            groups = [weighted_moments(value, one) for value, one in zip(values, relevance.values())]
        else:
            groups = of_relevance()
        groups += [
            torch.cat((channel_moments(value), roughness(value)), 1)
            if self.rough and spatial
            else channel_moments(value)
            for value in values
        ]
        return [*groups, functional.normalize(_coarse(values[-1]).flatten(1))]

    @cached_property
    def _map(self) -> tuple[Tensor, Tensor]:
        """Origin, (d,), and directions, (d, q), both float64, of the map from columns to features."""
        failures, normal = self._collected(self._failures), self._collected(self._normal)
        normal = normal or [group[:0] for group in failures]
        origins, directions, at = [], [], 0
        for shares, components in self._blocks(len(failures)):
            some = slice(at, at := at + len(shares))
            origin, towards = self._fitted(failures[some], normal[some], shares, components)
            origins.append(origin)
            directions.append(towards)
        return torch.from_numpy(np.concatenate(origins)), torch.from_numpy(linalg.block_diag(*directions))

    def _blocks(self, groups: int) -> list[Block]:
        """What of so many groups of columns is contrasted together."""
        if self._activations is None:
            return [([1.0] * groups, COMPONENTS)]
        layers = (groups - 1) // 2
        return [([*[1.0] * layers, *[self.plain] * layers, None], COMPONENTS)]

    def _fitted(
        self, failures: list[np.ndarray], normal: list[np.ndarray], shares: Shares, components: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Origin, (d,), and directions, (d, q), of groups of columns, (n, columns) each, q at most `components`."""
        centres, factors, variance = [], [], 0.0
        for group, share in zip(failures, shares):
            centres.append(group.mean(axis=0, dtype=np.float64))
            if share is None:
                spread = np.square(group - centres[-1]).sum(axis=1).mean()
                factor = self.map_deviation * np.sqrt(variance / spread) if spread > _CONSTANT else 0.0
                factors.append(np.full(len(centres[-1]), factor))
                continue
            deviation = group.std(axis=0, dtype=np.float64)
            alive = deviation > _CONSTANT * np.abs(group).max(axis=0)
            scale = np.where(alive, 1 / np.where(alive, deviation, 1), 0)
            factors.append(scale * np.sqrt(share) / np.sqrt(max(alive.sum(), 1)))
            variance += share * alive.any()
        centre, factor = np.concatenate(centres), np.concatenate(factors)
        scaled = [
            ((np.concatenate(groups, 1) - centre) * factor).astype(np.float32)
            for groups in (failures, normal)
        ]
        contrast = Contrast.fit(scaled[0], scaled[1], trimmed=self.trimmed, components=components)
        origin = centre + np.divide(contrast.centre, factor, out=np.zeros_like(factor), where=factor > 0)
        return origin, factor[:, None] * contrast.directions

    def _collected(self, some: Batches) -> list[np.ndarray]:
        """The parts of as many images as may be held at a time, (n, columns) each."""
        found: list[list[np.ndarray]] = []
        for images, target in some(_REFERENCE):
            found.append([part.cpu().numpy() for part in self._parts(images, target)[0]])
        return [np.concatenate(group) for group in zip(*found)]


class Moments2026(Moments):
    """Channel moments as preset ``moments`` had them at first.

    The last activation has as much variance as all moments together, all normal images count, and roughness does not.
    """

    map_deviation = 1.0
    trimmed = 0.0
    rough = False


class MomentsWeighted(Moments):
    """Moments of activations with each place weighted by its relevance, and half as much over all places; no map.

    What is in the image but not used has little relevance, and what is around it counts as little: features for causes
    that are a matter of use, see docs/root-cause-quality.md. Where layers have no places, or activations cannot be
    read, the moments of relevance stay.
    """

    map_deviation = 0.0
    weighted = True
    plain = 0.5


def _all(output: Any) -> Any:
    """Explain the whole output, where only the shapes of what comes are asked for."""
    return output


def _shares(relevance: Tensor) -> Tensor:
    total = relevance.flatten(1).abs().sum(1).clamp(min=torch.finfo(torch.float32).tiny)
    return relevance / total.reshape(-1, *[1] * (relevance.ndim - 1))


def _coarse(values: Tensor) -> Tensor:
    """(N, C, ...) averaged over space until an image has few enough numbers."""
    pool: dict[int, Callable[[Tensor, Any], Tensor]] = {
        3: functional.adaptive_avg_pool1d,
        4: functional.adaptive_avg_pool2d,
        5: functional.adaptive_avg_pool3d,
    }
    while prod(values.shape[1:]) > _MAP and any(size > 1 for size in values.shape[2:]):
        values = pool[values.ndim](values, tuple(-(-size // 2) for size in values.shape[2:]))
    return values
