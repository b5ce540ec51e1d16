"""What may be clustered in place of relevance: activations, features of another network, pixels.

Each is asked as :class:`hudd.LRP` is: ``prepare`` names the layers and ``attribute`` returns them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from hudd.capture.loading import load_model
from hudd.errors import UsageError
from hudd.lrp import LRP, Relevance

DEFAULT_BACKBONE = "torchvision:vgg16"


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
    """What makes features of images: :class:`hudd.LRP`, or one of this module."""

    def prepare(self, example: Tensor, /) -> tuple[str, ...]:
        """Return the names of the layers that will come for images like `example`, (N, C, H, W)."""

    def attribute(self, inputs: Tensor, /, target: Any = None) -> Features | Relevance:
        """Return the features of the images, (N, C, H, W)."""


class Pixels:
    """The images as the network takes them in, as layer ``pixels``."""

    def prepare(self, example: Tensor) -> tuple[str, ...]:
        """Return the layer's name."""
        return ("pixels",)

    def attribute(self, inputs: Tensor, target: Any = None) -> Features:
        """Return the images themselves; `target` makes no difference."""
        return Features({"pixels": inputs})


class Activations:
    """What enters a network's layers: the activations where :class:`hudd.LRP` shows the relevance.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode.
    layers : sequence of str, optional
        Module paths, globs allowed; None for every layer that relevance passes.
    pool : {"none", "channel", "space"}
        Keep activations whole, or sum them over space or over channels.

    Raises
    ------
    UsageError
        From :meth:`prepare`, if a layer is none of the model's modules.
    """

    def __init__(self, model: nn.Module, layers: Sequence[str] | None = None, pool: str = "none") -> None:
        self._model, self._pool, self._lrp = model, pool, LRP(model, layers=layers)
        self._modules: dict[str, nn.Module] = {}

    def prepare(self, example: Tensor) -> tuple[str, ...]:
        """Find the layers' modules for images like `example` and return their names."""
        known = dict(self._model.named_modules())
        names = self._lrp.prepare(example)
        missing = [name for name in names if name not in known]
        if missing:
            raise UsageError(
                f"layer '{missing[0]}' is no module, so its activations cannot be read; give the model as a "
                "factory of modules, or cluster relevance."
            )
        self._modules = {name: known[name] for name in names}
        return names

    @torch.inference_mode()
    def attribute(self, inputs: Tensor, target: Any = None) -> Features:
        """Run the network and return what entered the layers; `target` makes no difference."""
        if not self._modules:
            self.prepare(inputs)
        found: dict[str, Tensor] = {}
        hooks = [
            module.register_forward_pre_hook(_keeper(found, name), with_kwargs=True)
            for name, module in self._modules.items()
        ]
        try:
            self._model(inputs)
        finally:
            for hook in hooks:
                hook.remove()
        return Features({name: self._pooled(found[name], self.channels[name]) for name in self._modules})

    @property
    def channels(self) -> dict[str, int]:
        """The axis of the channels of each layer, from the end, as :attr:`hudd.LRP.channels`."""
        return self._lrp.channels

    def _pooled(self, values: Tensor, axis: int) -> Tensor:
        if self._pool == "none" or values.ndim < 3:
            return values
        return values.movedim(axis, 1).flatten(2).sum(2) if self._pool == "channel" else values.sum(axis)


class Backbone:
    """Transfer features: what another network, not trained for the task, makes of the images.

    Parameters
    ----------
    spec : str
        ``torchvision:NAME`` or ``timm:NAME``, a classifier with its published weights, whose last layer's
        input is taken; or a model SPEC (see :func:`hudd.capture.loading.load_model`), whose output is.

    Attributes
    ----------
    module : torch.nn.Module
        The network, in evaluation mode.
    transform : callable or None
        From an image to what the network takes in; None where the SPEC brings none.

    Raises
    ------
    UsageError
        If the package or its model is missing or the weights cannot be had.
    """

    def __init__(self, spec: str = DEFAULT_BACKBONE) -> None:
        package, _, name = spec.partition(":")
        self.spec = spec
        self.module: nn.Module
        self.transform: Callable[..., Tensor] | None
        if package in _PUBLISHED:
            self.module, self.transform = _published(package, name)
            linear = [part for part in self.module.modules() if isinstance(part, nn.Linear)]
            self._last = linear[-1] if package == "torchvision" and linear else None
        else:
            loaded = load_model(spec)
            self.module, self.transform, self._last = loaded.module, loaded.transform, None

    def prepare(self, example: Tensor) -> tuple[str, ...]:
        """Make sure that the network takes images like `example`; return the layer's name."""
        try:
            self.attribute(example)
        except UsageError:
            raise
        except Exception as error:
            shape, reason = "x".join(map(str, example.shape[1:])), (str(error) or repr(error)).splitlines()[0]
            raise UsageError(
                f"backbone '{self.spec}' cannot take an image of {shape} ({reason}); give its factory the "
                "attribute 'transform'."
            ) from error
        return ("transfer",)

    @torch.inference_mode()
    def attribute(self, inputs: Tensor, target: Any = None) -> Features:
        """Return the features as layer ``transfer``, (N, d); `target` makes no difference."""
        found: dict[str, Tensor] = {}
        hook = self._last and self._last.register_forward_pre_hook(_keeper(found, "last"), with_kwargs=True)
        try:
            output = self.module(inputs)
        finally:
            if hook:
                hook.remove()
        features = found.get("last", output)
        if not isinstance(features, Tensor) or features.shape[:1] != inputs.shape[:1]:
            raise UsageError(
                f"backbone '{self.spec}' returns no tensor with a row an image; return (N, ...)."
            )
        return Features({"transfer": features.flatten(1).float()})


def _keeper(found: dict[str, Tensor], name: str) -> Callable[..., None]:
    """Return a hook that keeps a copy of a module's first input, from its first call."""

    def keep(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        found.setdefault(name, (*inputs, *named.values())[0].clone())  # what follows may write over it

    return keep


def _torchvision(name: str) -> tuple[nn.Module, Callable[..., Tensor]]:
    from torchvision import models

    weights = models.get_model_weights(name).DEFAULT
    return models.get_model(name, weights=weights), weights.transforms()


def _timm(name: str) -> tuple[nn.Module, Callable[..., Tensor]]:
    import timm

    model = timm.create_model(name, pretrained=True, num_classes=0)
    return model, timm.data.create_transform(**timm.data.resolve_model_data_config(model))


_PUBLISHED = {"torchvision": _torchvision, "timm": _timm}


def _published(package: str, name: str) -> tuple[nn.Module, Callable[..., Tensor]]:
    """Return a package's model in evaluation mode, and its transform."""
    try:
        model, transform = _PUBLISHED[package](name)
    except ImportError as error:
        raise UsageError(
            f"backbone '{package}:{name}' needs the package {package}; install it, or give another backbone."
        ) from error
    except Exception as error:  # an unknown name, or no network: each version has errors of its own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise UsageError(
            f"backbone '{package}:{name}' cannot be had ({reason}); correct the name, make its weights "
            "available, or give a factory of your own as package.module:factory."
        ) from error
    return model.eval(), transform
