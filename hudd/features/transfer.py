"""What another network makes of the images, as features."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hudd.errors import UsageError
from hudd.features.base import Extractor, Features, FeatureValues, Subject, keeper
from hudd.language import marked
from hudd.lazy import nn, torch
from hudd.presets import DEFAULT_BACKBONE

if TYPE_CHECKING:
    from torch import Tensor


class Backbone(Features):
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

    description = "what the backbone '{backbone}' makes of the image"
    alike = marked("transfer features")
    unit_norm = False
    own_network = True

    @classmethod
    def of(cls, subject: Subject) -> Extractor:
        """Return what makes the features of a study's images."""
        backbone = cls(subject.backbone)
        backbone.module.to(subject.device)
        return backbone

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
            from hudd.capture.loading import load_model  # seconds, and results are read without it

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

    def attribute(self, inputs: Tensor, target: Any = None) -> FeatureValues:
        """Return the features as layer ``transfer``, (N, d); `target` makes no difference."""
        found: dict[str, Tensor] = {}
        hook = self._last and self._last.register_forward_pre_hook(keeper(found, "last"), with_kwargs=True)
        try:
            with torch.inference_mode():
                output = self.module(inputs)
        finally:
            if hook:
                hook.remove()
        features = found.get("last", output)
        if not isinstance(features, torch.Tensor) or features.shape[:1] != inputs.shape[:1]:
            raise UsageError(
                f"backbone '{self.spec}' returns no tensor with a row per image; return (N, ...)."
            )
        with torch.inference_mode():
            return FeatureValues({"transfer": features.flatten(1).float()})


def _torchvision(name: str) -> tuple[nn.Module, Callable[..., Tensor]]:
    from torchvision import models

    weights = models.get_model_weights(name).DEFAULT
    return models.get_model(name, weights=weights), weights.transforms()


def _timm(name: str) -> tuple[nn.Module, Callable[..., Tensor]]:
    import timm

    model = timm.create_model(name, pretrained=True, num_classes=0)
    data: Any = timm.data
    return model, data.create_transform(**data.resolve_model_data_config(model))


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
