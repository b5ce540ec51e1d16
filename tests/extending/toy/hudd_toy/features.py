"""Features: how bright the parts of an image are."""

from torch import Tensor
from torch.nn import functional

from hudd.extend import Features, FeatureValues, Subject


class Brightness(Features):
    """Means over 4 x 4 fields of the DNN's input."""

    description = "brightness of 4 x 4 fields of the image as the DNN takes it in"
    alike = "brightness"
    unit_norm = False

    def __init__(self, subject: Subject) -> None:
        self.device = subject.device

    def prepare(self, example: Tensor) -> tuple[str, ...]:
        return ("brightness",)

    def attribute(self, inputs: Tensor, target: Tensor | None = None) -> FeatureValues:
        return FeatureValues({"brightness": functional.adaptive_avg_pool2d(inputs, 4).flatten(1)})
