"""What features of images are, and what makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn

from hudd.lrp import Relevance


@dataclass
class Features:
    """The features of N images.

    Attributes
    ----------
    layers : dict of str to Tensor
        Name to (N, ...) float32.
    conservation : dict of str to Tensor
        Name to (N,) share of the explained output that was lost, where relevance is in the features; else empty.
    """

    layers: dict[str, Tensor]
    conservation: dict[str, Tensor] = field(default_factory=dict)


class Extractor(Protocol):
    """What makes features of images: :class:`hudd.LRP`, or one of this package."""

    def prepare(self, example: Tensor, /) -> tuple[str, ...]:
        """Return the names of the layers that will come for images like `example`, (N, C, H, W)."""

    def attribute(self, inputs: Tensor, /, target: Any = None) -> Features | Relevance:
        """Return the features of the images, (N, C, H, W)."""


def keeper(found: dict[str, Tensor], name: str) -> Callable[..., None]:
    """Return a hook that keeps a copy of a module's first input, from its first call."""

    def keep(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        found.setdefault(name, (*inputs, *named.values())[0].clone())  # what follows may write over it

    return keep
