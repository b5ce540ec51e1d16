"""What the settings cluster of an image: relevance, channel moments, activations, transfer features, pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch

from hudd.data import ImageSource, batches
from hudd.features import FEATURES, Extractor, Heatmaps, Subject
from hudd.lrp import LRP
from hudd.lrp.targets import Target
from hudd.study.fingerprint import digest_model, stable_repr
from hudd.study.results import Results
from hudd.study.settings import Settings

_REFERENCE_BATCH = 64  # whatever the settings' own, so that it makes no difference


class StudyFeatures:
    """The features of one study's images.

    Parameters
    ----------
    settings : Settings
        The choices.
    module : torch.nn.Module
        The DNN.
    device : torch.device
        Where it runs.
    source : callable
        From a split's name to its images.
    results : Results
        What was found so far: some features are relative to those of images that were tested.
    explain : callable
        From what is explained of images, (n,) int64, to the LRP target.

    Attributes
    ----------
    kind : str
        Name of the features, see :data:`hudd.features.FEATURES`.
    """

    def __init__(
        self,
        settings: Settings,
        module: torch.nn.Module,
        device: torch.device,
        source: Callable[[str], ImageSource],
        results: Results,
        explain: Callable[[torch.Tensor], Target],
    ) -> None:
        self._settings, self._module, self._device = settings, module, device
        self._source, self._results, self._explain = source, results, explain
        self.kind, self._class = settings.choices.features, settings.kind

    def _tested(self, most: int, *, right: bool) -> Iterator[tuple[torch.Tensor, Target]]:
        """Correctly or wrongly classified test images, evenly spaced, with what is explained of them."""
        split, errors = self._results.split("test"), self._results.errors
        rows = np.flatnonzero(split.correct) if right else errors
        at = np.round(np.linspace(0, len(rows) - 1, min(len(rows), most))).astype(np.int64)
        source, workers, device = self._source("test"), self._settings.workers, self._device
        explained = self._results.explained("test")
        for part, images in batches(source, rows[at], _REFERENCE_BATCH, workers=workers):
            yield images.to(device), self._explain(torch.from_numpy(explained[part]).to(device))

    def _subject(self, layers: list[str] | None) -> Subject:
        settings = self._settings
        return Subject(
            self._module,
            self._device,
            rules=settings.effective_rules,
            bias=settings.bias,
            layers=settings.layers if layers is None else layers,
            pool=settings.effective_pool,
            arithmetic=settings.arithmetic,
            dtype=settings.dtype,
            backbone=settings.backbone,
            failures=partial(self._tested, right=False),
            normal=partial(self._tested, right=True),
        )

    def lrp(self, layers: list[str] | None = None) -> LRP:
        """Return the relevance engine for the settings' rules, at the settings' layers or at those given."""
        return Heatmaps.of(self._subject(layers))

    @cached_property
    def _whole(self) -> Extractor:
        """What makes features that are not those of layers, once: it may have seen reference images."""
        return self._made(None)

    def _made(self, layers: list[str] | None) -> Extractor:
        with FEATURES.attributing_errors(self.kind):
            return self._class.of(self._subject(layers))

    def extractor(self, layers: list[str] | None = None) -> Extractor:
        """Return what makes the features, at the settings' layers or at those given."""
        return self._made(layers) if self._class.layered else self._whole

    def source(self, split: str) -> ImageSource:
        """Return the images of a split as the extractor takes them in."""
        transform = getattr(self._whole, "transform", None) if self._class.own_network else None
        own = self._source(split)
        if transform is None:
            return own
        seen = copy(own)
        seen.transform = transform
        return seen

    def mark(self) -> list[Any]:
        """Return what the features depend on besides DNN, rules and layers; nothing for the DNN's own relevance."""
        if self._class is Heatmaps:
            return []
        found: list[Any] = [self.kind]
        if self._class.own_network:
            network: Any = self._whole
            found += [digest_model(network.module), stable_repr(network.transform)]
        if (mark := FEATURES.mark(self.kind)) is not None:
            found.append(mark)
        return found

    def about(self, layer: str) -> tuple[str, str]:
        """Return a layer's description and units."""
        pool, backbone = self._settings.effective_pool, self._settings.backbone
        return self._class.description.format(layer=layer, pool=pool, backbone=backbone), self._class.units
