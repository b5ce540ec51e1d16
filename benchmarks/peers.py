"""The peers that hudd is measured against, each behind one call; none is needed to use hudd."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Runner = Callable[[Tensor], object]


def torchvision_models() -> object:
    """torchvision.models, also with a torch build that lacks torchvision's compiled operators."""
    try:
        torch.ops.torchvision.nms  # noqa: B018
    except (AttributeError, RuntimeError):
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor boxes, Tensor scores, float threshold) -> Tensor")
        library.define("qnms(Tensor boxes, Tensor scores, float threshold) -> Tensor")
        torchvision_models.library = library  # type: ignore[attr-defined]  # the definitions live as long as this object
    import torchvision.models

    return torchvision.models


def gradient(model: nn.Module) -> Runner:
    """The floor: forward and gradient of the winning class with respect to the input, by autograd."""

    def run(images: Tensor) -> Tensor:
        leaf = images.clone().requires_grad_()
        output = model(leaf)
        output.gather(1, output.argmax(1, keepdim=True)).sum().backward()
        assert leaf.grad is not None
        return leaf.grad

    return run


def forward(model: nn.Module) -> Runner:
    """One forward pass."""

    @torch.no_grad()
    def run(images: Tensor) -> Tensor:
        return model(images)

    return run


def zennit(model: nn.Module, rules: str) -> Runner:
    """LRP by zennit, the relevance of the input and of every convolution and linear layer, as hudd returns them."""
    torchvision_models()  # zennit imports torchvision
    from zennit.composites import COMPOSITES, LayerMapComposite, layer_map_base
    from zennit.rules import Epsilon
    from zennit.torchvision import ResNetCanonizer, SequentialMergeBatchNorm
    from zennit.types import Convolution, Linear

    canonizer = ResNetCanonizer if type(model).__name__ == "ResNet" else SequentialMergeBatchNorm
    if rules == "epsilon":
        layers = [*layer_map_base(), (Convolution, Epsilon()), (Linear, Epsilon())]
        composite = LayerMapComposite(layers, canonizers=[canonizer()])
    else:
        composite = COMPOSITES[rules.replace("-", "_")](canonizers=[canonizer()])

    def run(images: Tensor) -> Tensor:
        kept: list[Tensor] = []
        with composite.context(model) as modified:
            hooks = [
                module.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
                for module in modified.modules()
                if isinstance(module, (nn.Conv2d, nn.Linear))
            ]
            leaf = images.clone().requires_grad_()
            output = modified(leaf)
            seed = torch.zeros_like(output).scatter_(1, output.argmax(1, keepdim=True), 1) * output
            relevances = torch.autograd.grad(output, [leaf, *kept], seed.detach())
            for hook in hooks:
                hook.remove()
        return relevances[0]

    return run


def captum(model: nn.Module) -> Runner:
    """LRP of the input by captum, epsilon rule everywhere."""
    from captum.attr import LRP
    from captum.attr._utils.lrp_rules import EpsilonRule

    for module in model.modules():
        if not list(module.children()):
            module.rule = EpsilonRule()  # type: ignore[assignment]
    attribution = LRP(model)

    def run(images: Tensor) -> Tensor:
        with torch.no_grad():
            target = model(images).argmax(1)
        return attribution.attribute(images, target=target)

    return run
