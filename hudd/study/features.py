"""What the settings cluster of an image: relevance, or activations, transfer features, pixels."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from hudd.clustering.features import Activations, Backbone, Extractor, Pixels
from hudd.data import ImageSource, open_source
from hudd.study.fingerprint import digest_model, stable_repr

if TYPE_CHECKING:
    from hudd.study.study import Study

ABOUT = {
    "relevance": "relevance at the input of '{layer}' for the predicted class, pooling {pool}",
    "activation": "activation at the input of '{layer}', pooling {pool}",
    "transfer": "what the backbone '{backbone}' makes of the image",
    "pixels": "the image as the DNN takes it in",
}


class StudyFeatures:
    """The features of one study's images.

    Attributes
    ----------
    kind : {"relevance", "activation", "transfer", "pixels"}
    """

    def __init__(self, study: Study) -> None:
        self._study, self.kind = study, study.settings.choices.features

    @cached_property
    def _backbone(self) -> Backbone:
        backbone = Backbone(self._study.settings.backbone)
        backbone.module.to(self._study.device)
        return backbone

    def extractor(self, layers: list[str] | None = None) -> Extractor:
        """Return what makes the features, at the settings' layers or at those given."""
        study, settings = self._study, self._study.settings
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
