"""The images themselves as features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hudd.features.base import Extractor, Features, FeatureValues, Subject
from hudd.language import marked

if TYPE_CHECKING:
    from torch import Tensor


class Pixels(Features):
    """The images as the network takes them in, as layer ``pixels``."""

    description = "the image as the DNN takes it in"
    alike = marked("pixels")

    @classmethod
    def of(cls, subject: Subject) -> Extractor:
        """Return what makes the features of a study's images."""
        return cls()

    def prepare(self, example: Tensor) -> tuple[str, ...]:
        """Return the layer's name."""
        return ("pixels",)

    def attribute(self, inputs: Tensor, target: Any = None) -> FeatureValues:
        """Return the images themselves; `target` makes no difference."""
        return FeatureValues({"pixels": inputs})
