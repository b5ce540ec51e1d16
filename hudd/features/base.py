"""What features of images are, and what makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from hudd.language import marked
from hudd.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hudd.lrp import Bias, Relevance
    from hudd.lrp.targets import Target

    Batches = Callable[[int], Iterable[tuple[Tensor, Target]]]


@dataclass
class FeatureValues:
    """The features of N images.

    Attributes
    ----------
    layers : dict of str to Tensor
        Name to (N, ...) float32.
    conservation : dict of str to Tensor
        Name to (N,) share of the explained output that was lost, where relevance is in the features; else empty.
    cumulative : dict of str to Tensor
        Name to (N,) what was lost (below zero) or added from the output on, as of :class:`hudd.lrp.Relevance`; may be
        empty.
    """

    layers: dict[str, Tensor]
    conservation: dict[str, Tensor] = field(default_factory=dict)
    cumulative: dict[str, Tensor] = field(default_factory=dict)


class Extractor(Protocol):
    """What makes features of images: :class:`hudd.LRP`, or an object of a :class:`Features` class."""

    def prepare(self, example: Tensor, /) -> tuple[str, ...]:
        """Return the names of the layers that will come for images like `example`, (N, C, H, W)."""

    def attribute(self, inputs: Tensor, /, target: Any = None) -> FeatureValues | Relevance:
        """Return the features of the images, (N, C, H, W)."""


def _none(most: int) -> Iterable[tuple[Tensor, Target]]:
    return ()


@dataclass(frozen=True)
class Subject:
    """What features may be made of: a study's DNN and tested images, and the choices of its settings.

    Attributes
    ----------
    model : torch.nn.Module
        The DNN, in evaluation mode, on its device.
    device : torch.device
        Where images are and features are to be.
    rules : str or mapping
        LRP rules, as for :class:`hudd.LRP`.
    bias : {"absorb", "ignore", "distribute"}
        What becomes of the share of a bias, as for :class:`hudd.LRP`.
    layers : sequence of str or None
        Layers that were asked for, globs allowed; None for all.
    pool : {"none", "channel", "space"}
        Reduction of a layer's values.
    arithmetic : {"float32", "tf32", "bfloat16"}
        Of convolutions and matrix products, see :func:`hudd.arithmetic.contracting`.
    dtype : {"float32", "float16"}
        How values are stored.
    backbone : str
        SPEC of another network, see :class:`hudd.features.Backbone`.
    failures, normal : callable
        Given a number, return batches of at most so many test images that the DNN gets wrong, or right: images,
        (n, C, H, W), and what is explained of them: the predicted classes, (n,), or another LRP target.
    """

    model: nn.Module
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    rules: str | dict[str, str] = "epsilon-plus"
    bias: Bias = "absorb"
    layers: Sequence[str] | None = None
    pool: str = "none"
    arithmetic: str = "float32"
    dtype: str = "float32"
    backbone: str = "torchvision:vgg16"
    failures: Batches = _none
    normal: Batches = _none


class Features:
    """Base class of the kinds of features that images are clustered by.

    A kind is a class that is made with a :class:`Subject`; :meth:`prepare` is called once, :meth:`attribute` batch by
    batch. What is true of all its features stands in class attributes.

    Attributes
    ----------
    description : str
        What the values are, for the study's file; ``{layer}``, ``{pool}`` and ``{backbone}`` are filled in.
    units : str
        Units of the values; "1" for none.
    alike : str
        What failures of one cluster have alike, in words: "heatmaps".
    layered : bool
        The values are those of layers, one of which is chosen; they are pooled as the settings say.
    drawn : bool
        The values of a layer are relevance that can be drawn over the image.
    conserves : bool
        :meth:`attribute` returns how much of the explained output is lost.
    unit_norm : bool
        Distances are taken between rows of unit norm; False where the length of a row means something.
    own_network : bool
        An object has the attributes ``module``, a network other than the DNN, and ``transform``, which reads images
        in place of the DNN's; None for the DNN's.
    contrasted : bool
        Rows are deviations from correctly classified images, whose mean is the origin.
    """

    description = "features of another package"
    units = "1"
    alike = marked("features")
    layered = False
    drawn = False
    conserves = False
    unit_norm = True
    own_network = False
    contrasted = False

    @classmethod
    def of(cls, subject: Subject) -> Extractor:
        """Return what makes the features of a study's images."""
        return cls(subject)  # type: ignore[call-arg]

    @property
    def channels(self) -> dict[str, int]:
        """The axis of the channels of each layer, from the end, where there is one."""
        return {}

    def prepare(self, example: Tensor, /) -> tuple[str, ...]:
        """Return the names of the layers that will come for images like `example`, (N, C, H, W); one at least."""
        raise NotImplementedError

    def attribute(self, inputs: Tensor, /, target: Any = None) -> FeatureValues:
        """Return the features of the images, (N, C, H, W), for the predicted classes `target`, (N,) int64.

        Where a task explains something else, `target` is a callable, see :class:`hudd.LRP`. Every image's must depend
        on that image alone, not on the others in its batch.
        """
        raise NotImplementedError


def keeper(found: dict[str, Tensor], name: str) -> Callable[..., None]:
    """Return a hook that keeps a copy of a module's first input, from its first call."""

    def keep(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        found.setdefault(name, (*inputs, *named.values())[0].clone())  # what follows may write over it

    return keep
