"""What the settings cluster of an image: relevance, channel moments, activations, transfer features, pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch

from hudd.data import ImageSource, batches, open_source
from hudd.features import Activations, Backbone, Extractor, Moments, Pixels
from hudd.lrp import LRP
from hudd.study.fingerprint import digest_model, stable_repr
from hudd.study.results import Results
from hudd.study.settings import Settings

_REFERENCE_BATCH = 64  # whatever the settings' own, so that it makes no difference

ABOUT = {
    "relevance": "relevance at the input of '{layer}' for the predicted class, pooling {pool}",
    "moments": "channel moments of relevance and activation and the last activation, against images answered rightly",
    "activation": "activation at the input of '{layer}', pooling {pool}",
    "transfer": "what the backbone '{backbone}' makes of the image",
    "pixels": "the image as the DNN takes it in",
}


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

    Attributes
    ----------
    kind : {"relevance", "moments", "activation", "transfer", "pixels"}
    """

    def __init__(
        self,
        settings: Settings,
        module: torch.nn.Module,
        device: torch.device,
        source: Callable[[str], ImageSource],
        results: Results,
    ) -> None:
        self._settings, self._module, self._device = settings, module, device
        self._source, self._results, self.kind = source, results, settings.choices.features

    @cached_property
    def _backbone(self) -> Backbone:
        backbone = Backbone(self._settings.backbone)
        backbone.module.to(self._device)
        return backbone

    @cached_property
    def _moments(self) -> Moments:
        failures, normal = partial(self._tested, right=False), partial(self._tested, right=True)
        rules, layers = self._settings.effective_rules, self._settings.layers
        return Moments(self._module, failures, normal, rules, layers)

    def _tested(self, most: int, *, right: bool) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Test images that the DNN gets right or wrong, evenly spaced, with what it takes them for."""
        split, errors = self._results.split("test"), self._results.errors
        rows = np.flatnonzero(split.correct) if right else errors
        at = np.round(np.linspace(0, len(rows) - 1, min(len(rows), most))).astype(np.int64)
        source, workers, device = self._source("test"), self._settings.workers, self._device
        for part, images in batches(source, rows[at], _REFERENCE_BATCH, workers=workers):
            yield images.to(device), torch.from_numpy(split.prediction[part]).to(device)

    def lrp(self, layers: list[str] | None = None) -> LRP:
        """Return the relevance engine for the settings' rules, at the settings' layers or at those given."""
        settings = self._settings
        wanted = settings.layers if layers is None else layers
        return LRP(
            self._module,
            rules=settings.effective_rules,
            layers=None if wanted is None else list(wanted),
            pool=settings.effective_pool,
            precision=settings.dtype,
        )

    def extractor(self, layers: list[str] | None = None) -> Extractor:
        """Return what makes the features, at the settings' layers or at those given."""
        if self.kind == "moments":
            return self._moments
        if self.kind == "transfer":
            return self._backbone
        if self.kind == "pixels":
            return Pixels()
        if self.kind == "activation":
            wanted = self._settings.layers if layers is None else layers
            return Activations(self._module, wanted, self._settings.effective_pool)
        return self.lrp(layers)

    def source(self, split: str) -> ImageSource:
        """Return the images of a split as the extractor takes them in."""
        spec = self._settings.data(split)
        if self.kind != "transfer" or self._backbone.transform is None or spec is None:
            return self._source(split)
        names = self._source(split).class_names
        return open_source(spec, transform=self._backbone.transform, class_names=names)

    def mark(self) -> list[Any]:
        """Return what the features depend on beside the DNN, its rules and layers."""
        if self.kind == "transfer":
            return [self.kind, digest_model(self._backbone.module), stable_repr(self._backbone.transform)]
        return [self.kind]

    def about(self, layer: str) -> tuple[str, str]:
        """Return a layer's description and units."""
        settings = self._settings
        text = ABOUT[self.kind].format(layer=layer, pool=settings.effective_pool, backbone=settings.backbone)
        return text, "logit" if self.kind == "relevance" else "1"
