"""The images themselves as features."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from hudd.features.base import Features


class Pixels:
    """The images as the network takes them in, as layer ``pixels``."""

    def prepare(self, example: Tensor) -> tuple[str, ...]:
        """Return the layer's name."""
        return ("pixels",)

    def attribute(self, inputs: Tensor, target: Any = None) -> Features:
        """Return the images themselves; `target` makes no difference."""
        return Features({"pixels": inputs})
