"""What of a failure is clustered: one row of numbers per failure, made once per problem."""

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
from hudd.distances import pairwise_distances, unit_norm_rows
from hudd.features import Activations, Extractor
from hudd.features.contrast import Contrast
from hudd.lrp import LRP

Rows = np.ndarray
_BATCH = 128


@dataclass
class Source:
    """What features are made of, computed when first asked for.

    Attributes
    ----------
    problem : Problem
    right_too : bool
        Behind the failures there are correctly classified images. They do not count where columns are scaled.
    seconds : dict of str to float
        Processor seconds of what is computed, by kind.
    """

    problem: Problem
    right_too: bool = False
    _found: dict[str, dict[str, Rows]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """The number of failures."""
        return len(self.problem.label)

    @cached_property
    def beside_right(self) -> Source:
        """The same with the correctly classified images."""
        return Source(self.problem, right_too=True)

    @cached_property
    def images(self) -> np.ndarray:
        """(N, H, W, C) uint8."""
        given = self.problem
        return np.concatenate((given.images, given.right)) if self.right_too else given.images

    @cached_property
    def prediction(self) -> np.ndarray:
        """(N,) int64, what the DNN takes them for."""
        given = self.problem
        return np.concatenate((given.prediction, given.right_label)) if self.right_too else given.prediction

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
        return Trunk(weights).features(self.images)

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
            for start in range(0, len(self.images), _BATCH):
                rows = slice(start, start + _BATCH)
                target = torch.from_numpy(self.prediction[rows])
                found = extractor.attribute(self.problem.as_inputs(self.images[rows]), target=target)
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


def _moments(values: Rows, count: int, root: bool) -> Rows:
    """Mean and deviation of every channel over space, standardised over the failures; a layer counts as one."""
    flat = values.reshape(*values.shape[:2], -1).astype(np.float64)
    columns = np.hstack((flat.mean(axis=2), flat.std(axis=2)))
    if root:
        columns = np.sqrt(np.abs(columns))
    failures = columns[:count]
    deviation = failures.std(axis=0)
    kept = deviation > 1e-6 * np.abs(failures).max(axis=0, initial=0)
    standard = (columns[:, kept] - failures[:, kept].mean(axis=0)) / deviation[kept]
    return standard / np.sqrt(max(1, standard.shape[1]))


def _relevance_moments(source: Source) -> Rows:
    found = source.of("z-plus")
    return np.hstack(
        [_moments(_shares(found[name]), source.count, root=True) for name in source.convolutions]
    )


def _activation_moments(source: Source) -> Rows:
    found = source.of("activation")
    return np.hstack([_moments(found[name], source.count, root=False) for name in source.convolutions])


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
    """Channel moments with the activations that enter the last convolution, both of the same variance."""
    return _with_maps(_moments_of_both(source), source)


def _with_maps(moments: Rows, source: Source) -> Rows:
    maps, failures = _late("activation")(source), slice(source.count)
    ratio = moments[failures].var(axis=0).sum() / maps[failures].var(axis=0).sum()
    return np.hstack((moments, maps * np.sqrt(ratio)))


def _contrasted(make: Callable[[Source], Rows]) -> Callable[[Source], Rows]:
    """Against the correctly classified images, as preset ``moments`` does it; strong failures toned down."""

    def contrasted(source: Source) -> Rows:
        joint, count = make(source.beside_right).astype(np.float32), source.count
        failures = joint[:count]
        contrast = Contrast.fit(failures, joint[count:])
        found = (failures - contrast.centre) @ contrast.directions
        return (found / np.sqrt(np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6))).astype(
            np.float32
        )

    return contrasted


def _centred(make: Callable[[Source], Rows]) -> Callable[[Source], Rows]:
    """Less the mean of the failures that are taken for the same class."""

    def centred(source: Source) -> Rows:
        rows, prediction = make(source).copy(), source.prediction
        for number in np.unique(prediction):
            rows[prediction == number] -= rows[prediction == number].mean(axis=0)
        return rows

    return centred


FEATURES: dict[str, tuple[str, Callable[[Source], Rows]]] = {
    "pixels": ("", lambda source: _unit(source.images)),
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
    "moments and maps, contrast": ("", _contrasted(_moments_and_maps)),
    "relevance moments, contrast": ("", _contrasted(_relevance_moments)),
    "activation moments and maps, contrast": (
        "",
        _contrasted(lambda source: _with_maps(_activation_moments(source), source)),
    ),
    "z-plus late, contrast": ("", _contrasted(_late("z-plus"))),
    "activation late, contrast": ("", _contrasted(_late("activation"))),
    "pixels, contrast": ("", _contrasted(lambda source: _unit(source.images))),
    "transfer, contrast": ("", _contrasted(lambda source: source.transfer)),
}
