"""What of a failure is clustered: one row of numbers a failure, made once a problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from time import process_time

import numpy as np
import torch
from cases import Problem
from torch import nn
from transfer import Trunk, weights_file

from hudd.clustering import choose_layer, cluster
from hudd.clustering.features import Activations, Extractor
from hudd.distances import pairwise_distances, unit_norm_rows
from hudd.lrp import LRP

Rows = np.ndarray
_BATCH = 128


@dataclass
class Source:
    """What features are made of, computed when first asked for."""

    problem: Problem
    _found: dict[str, dict[str, Rows]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @cached_property
    def convolutions(self) -> list[str]:
        """Names of the convolutions, in their order."""
        named = self.problem.model.module.named_modules()
        return [name for name, module in named if isinstance(module, nn.Conv2d)]

    @cached_property
    def layers(self) -> list[str]:
        """Convolutions and linear layers."""
        named = self.problem.model.module.named_modules()
        return [name for name, module in named if isinstance(module, nn.Conv2d | nn.Linear)]

    @cached_property
    def transfer(self) -> Rows:
        """Another network's features, (N, 512)."""
        weights = weights_file()
        assert weights is not None  # else what is made of it is left out
        return Trunk(weights).features(self.problem.images)

    def of(self, kind: str) -> dict[str, Rows]:
        """What enters every layer: activations, or the relevance by the rules `kind`, (N, ...) each."""
        if kind not in self._found:
            started, model = process_time(), self.problem.model.module
            extractor: Extractor = (
                Activations(model, self.layers)
                if kind == "activation"
                else LRP(model, rules=kind, layers=self.layers)
            )
            parts: dict[str, list[Rows]] = {}
            for start in range(0, len(self.problem.label), _BATCH):
                rows = slice(start, start + _BATCH)
                target = torch.from_numpy(self.problem.prediction[rows])
                found = extractor.attribute(self.problem.inputs(rows), target=target)
                for name in self.layers:
                    parts.setdefault(name, []).append(found.layers[name].numpy())
            self._found[kind] = {name: np.concatenate(part) for name, part in parts.items()}
            self.seconds[kind] = process_time() - started
        return self._found[kind]


def isometric(rows: Rows) -> Rows:
    """Rows of at most N numbers with the same distances: coordinates in the space that the N rows span."""
    rows = rows.reshape(len(rows), -1).astype(np.float32)
    if rows.shape[1] <= len(rows):
        return rows
    left, sizes, _ = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    return np.ascontiguousarray(left * sizes)


def _unit(rows: Rows) -> Rows:
    return unit_norm_rows(rows.reshape(len(rows), -1).astype(np.float32))


def _shares(relevance: Rows) -> Rows:
    """Relevance over its image's total of magnitudes."""
    total = np.abs(relevance).sum(axis=tuple(range(1, relevance.ndim)), keepdims=True)
    return relevance / np.maximum(total, np.finfo(np.float32).tiny)


def _sums(values: Rows) -> Rows:
    return values.reshape(*values.shape[:2], -1).sum(axis=2)


def _moments(values: Rows, root: bool) -> Rows:
    """Mean and deviation of every channel over space, standardised over the failures; a layer counts as one."""
    flat = values.reshape(*values.shape[:2], -1).astype(np.float64)
    columns = np.hstack((flat.mean(axis=2), flat.std(axis=2)))
    if root:
        columns = np.sqrt(np.abs(columns))
    deviation = columns.std(axis=0)
    kept = deviation > 1e-6 * np.abs(columns).max(initial=0)
    standard = (columns[:, kept] - columns[:, kept].mean(axis=0)) / deviation[kept]
    return standard / np.sqrt(max(1, standard.shape[1]))


def _relevance_moments(source: Source) -> Rows:
    found = source.of("z-plus")
    return np.hstack([_moments(_shares(found[name]), root=True) for name in source.convolutions])


def _activation_moments(source: Source) -> Rows:
    found = source.of("activation")
    return np.hstack([_moments(found[name], root=False) for name in source.convolutions])


def _late(kind: str) -> Callable[[Source], Rows]:
    return lambda source: _unit(source.of(kind)[source.convolutions[-1]])


def _last(kind: str) -> Callable[[Source], Rows]:
    return lambda source: _unit(source.of(kind)[source.layers[-1]])


def _joined(kind: str) -> Callable[[Source], Rows]:
    """Channel sums of every convolution but the first."""
    return lambda source: np.hstack([_unit(_sums(source.of(kind)[name])) for name in source.convolutions[1:]])


def _chosen(source: Source) -> Rows:
    """Whole heatmaps at the layer whose clusters are tightest."""
    found = {name: _unit(rows) for name, rows in source.of("epsilon-plus").items()}
    return found[choose_layer({name: cluster(isometric(rows)) for name, rows in found.items()})]


def _raw(source: Source) -> Rows:
    """The same of heatmaps as they are, ruled by the size of what they explain."""
    found = source.of("epsilon-plus")
    condensed = {name: pairwise_distances(isometric(rows), condensed=True) for name, rows in found.items()}
    return found[choose_layer({name: cluster(distances) for name, distances in condensed.items()})]


def _moments_of_both(source: Source) -> Rows:
    return np.hstack((_relevance_moments(source), _activation_moments(source)))


def _moments_and_maps(source: Source) -> Rows:
    """Channel moments beside the activations that enter the last convolution, both of the same variance."""
    moments, maps = _moments_of_both(source), _late("activation")(source)
    return np.hstack((moments, maps * np.sqrt(moments.var(axis=0).sum() / maps.var(axis=0).sum())))


def _centred(make: Callable[[Source], Rows]) -> Callable[[Source], Rows]:
    """Less the mean of the failures that are taken for the same class."""

    def centred(source: Source) -> Rows:
        rows, prediction = make(source).copy(), source.problem.prediction
        for number in np.unique(prediction):
            rows[prediction == number] -= rows[prediction == number].mean(axis=0)
        return rows

    return centred


FEATURES: dict[str, tuple[str, Callable[[Source], Rows]]] = {
    "pixels": ("", lambda source: _unit(source.problem.images)),
    "transfer": ("", lambda source: source.transfer),
    "activation late": ("activation", _late("activation")),
    "activation late centred": ("activation", _centred(_late("activation"))),
    "activation last": ("activation", _last("activation")),
    "activation profile": ("activation", _joined("activation")),
    "activation moments": ("activation", _activation_moments),
    "relevance early": ("epsilon-plus", lambda s: _unit(s.of("epsilon-plus")[s.convolutions[1]])),
    "relevance late": ("epsilon-plus", _late("epsilon-plus")),
    "relevance last": ("epsilon-plus", _last("epsilon-plus")),
    "relevance chosen": ("epsilon-plus", _chosen),
    "relevance raw": ("epsilon-plus", _raw),
    "relevance profile": ("epsilon-plus", _joined("epsilon-plus")),
    "z-plus late": ("z-plus", _late("z-plus")),
    "z-plus late centred": ("z-plus", _centred(_late("z-plus"))),
    "z-plus last": ("z-plus", _last("z-plus")),
    "profile": ("z-plus", _joined("z-plus")),
    "profile root": (
        "z-plus",
        lambda s: np.hstack(
            [np.sqrt(np.abs(_shares(_sums(s.of("z-plus")[name])))) for name in s.convolutions[1:]]
        ),
    ),
    "relevance moments": ("z-plus", _relevance_moments),
    "moments": ("z-plus", _moments_of_both),
    "moments centred": ("z-plus", _centred(_moments_of_both)),
    "moments and maps": ("z-plus", _moments_and_maps),
    "moments and maps centred": ("z-plus", _centred(_moments_and_maps)),
}
