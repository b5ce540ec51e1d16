"""What the settings cluster of an image: relevance, channel moments, activations, transfer features, pixels."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hudd.data import ImageSource, batches, open_source
from hudd.features import Activations, Backbone, Extractor, Moments, Pixels
from hudd.study.fingerprint import digest_model, stable_repr

if TYPE_CHECKING:
    from hudd.study.study import Study

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

    Attributes
    ----------
    kind : {"relevance", "moments", "activation", "transfer", "pixels"}
    """

    def __init__(self, study: Study) -> None:
        self._study, self.kind = study, study.settings.choices.features

    @cached_property
    def _backbone(self) -> Backbone:
        backbone = Backbone(self._study.settings.backbone)
        backbone.module.to(self._study.device)
        return backbone

    @cached_property
    def _moments(self) -> Moments:
        study, settings = self._study, self._study.settings
        failures, normal = partial(self._tested, right=False), partial(self._tested, right=True)
        return Moments(study.model.module, failures, normal, settings.effective_rules, settings.layers)

    def _tested(self, most: int, *, right: bool) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Test images that the DNN gets right or wrong, evenly spaced, with what it takes them for."""
        study = self._study
        rows = np.flatnonzero(study.split("test").correct) if right else study.errors
        at = np.round(np.linspace(0, len(rows) - 1, min(len(rows), most))).astype(np.int64)
        prediction, workers = study.split("test").prediction, study.settings.workers
        for part, images in batches(study.source("test"), rows[at], _REFERENCE_BATCH, workers=workers):
            yield images.to(study.device), torch.from_numpy(prediction[part]).to(study.device)

    def extractor(self, layers: list[str] | None = None) -> Extractor:
        """Return what makes the features, at the settings' layers or at those given."""
        study, settings = self._study, self._study.settings
        if self.kind == "moments":
            return self._moments
        if self.kind == "transfer":
            return self._backbone
        if self.kind == "pixels":
            return Pixels()
        if self.kind == "activation":
            wanted = settings.layers if layers is None else layers
            return Activations(study.model.module, wanted, settings.effective_pool)
        return study.lrp(layers)

    def source(self, split: str) -> ImageSource:
        """Return the images of a split as the extractor takes them in."""
        study, spec = self._study, self._study.settings.data(split)
        if self.kind != "transfer" or self._backbone.transform is None or spec is None:
            return study.source(split)
        names = study.source(split).class_names
        return open_source(spec, transform=self._backbone.transform, class_names=names)

    def mark(self) -> list[Any]:
        """Return what the features depend on beside the DNN, its rules and layers."""
        if self.kind == "transfer":
            return [self.kind, digest_model(self._backbone.module), stable_repr(self._backbone.transform)]
        return [self.kind]

    def about(self, layer: str) -> tuple[str, str]:
        """Return a layer's description and units."""
        settings = self._study.settings
        text = ABOUT[self.kind].format(layer=layer, pool=settings.effective_pool, backbone=settings.backbone)
        return text, "logit" if self.kind == "relevance" else "1"
