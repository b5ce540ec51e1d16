"""The explanations that are compared, each a function of images and the classes explained, to one map an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec

import torch
from families import Network
from flipping import blurred
from torch import Tensor, nn
from torch.nn import functional

from hudd import LRP
from hudd.lrp import Baseline, Composite, Epsilon, Flat, Gamma, ZBox, composite_of, gradient
from hudd.lrp.baseline import inputs_of

Explanation = Callable[[Tensor, Tensor], Tensor]  # (N, C, H, W) and (N,) to (N, H, W)
STEPS = 20  # of integrated gradients and SmoothGrad
NOISE = 0.15  # of the range of pixels, as Smilkov et al. 2017

# Composites that may become the recommended one of a network.
NAMED = (
    "epsilon", "epsilon-plus", "epsilon-plus-flat", "epsilon-gamma", "epsilon-gamma-box", "z-plus", "hudd-2021",
)  # fmt: skip
BASELINES = (
    "mean",
    "blur",
    "noise",
    "mean and blur",
    "mean and blur and noise",
)  # that relevance by the epsilon rule, and integrated gradients, are against
CANDIDATES = (
    Composite("gamma", Gamma(), Gamma()),
    Composite("gamma-flat", Gamma(), Gamma(), first=Flat()),
    Composite("epsilon-gamma-flat", Gamma(), Epsilon(), first=Flat()),
    Composite("epsilon-flat", Epsilon(), Epsilon(), first=Flat()),
)


def composites(network: Network) -> dict[str, Composite]:
    """The composites of hudd, by name."""
    named = {name: composite_of(name) for name in (*NAMED, *network.also)}
    named["epsilon-gamma-box"] = replace(named["epsilon-gamma-box"], first=ZBox(*network.box))
    return named | ({found.name: found for found in CANDIDATES} if network.candidates else {})


def explanations(network: Network, images: Tensor) -> dict[str, Explanation]:
    """Every explanation that can be had; captum's are left out where it is not installed.

    `images` are all that are to be explained: their mean colour is one of the baselines of integrated gradients.
    """
    model, colour = network.model, images.mean((0, 2, 3), keepdim=True)
    found = {f"hudd {name}": _lrp(model, composite) for name, composite in composites(network).items()}
    spread = images.std((0, 2, 3), keepdim=True)
    drawn = torch.randn(images.shape[1:], generator=torch.Generator().manual_seed(1))  # not as the filling
    given: dict[str, Baseline] = {"mean": colour, "blur": blurred, "noise": colour + spread * drawn}
    for name in BASELINES:
        baseline = [given[one] for one in name.split(" and ")]
        found[f"hudd epsilon, {name}"] = _lrp(model, composite_of("epsilon"), baseline)
    found["gradient x input"] = lambda images, classes: _gradient(
        model, images, classes, times_input=True
    ).sum(1)
    found["SmoothGrad"] = lambda images, classes: _smooth(network, images, classes)
    if find_spec("captum"):
        found["integrated gradients"] = _integrated(network, torch.zeros_like)
        for name in BASELINES:
            found[f"integrated gradients, {name}"] = _sum(
                [_integrated(network, partial(_baseline, given[one])) for one in name.split(" and ")]
            )
        if network.space:
            found["Grad-CAM"] = _grad_cam(network, network.space)
    return found | {"random": _random(), "centre": _centre}


def _lrp(model: nn.Module, composite: Composite, baseline: list[Baseline] | None = None) -> Explanation:
    lrp = LRP(model, rules=composite, layers=["input"], baseline=baseline)

    def explain(images: Tensor, classes: Tensor) -> Tensor:
        relevance = lrp.attribute(images, classes).input
        assert relevance is not None
        return relevance.sum(1)

    return explain


def _gradient(model: nn.Module, images: Tensor, classes: Tensor, *, times_input: bool = False) -> Tensor:
    found = gradient(model, images, classes, times_input=times_input)
    assert isinstance(found, Tensor)
    return found


def _smooth(network: Network, images: Tensor, classes: Tensor) -> Tensor:
    """The size of the mean gradient of images with noise (Smilkov et al. 2017); it has no sign."""
    draw = torch.Generator().manual_seed(0)
    spread = NOISE * (network.box[1] - network.box[0])
    noisy = (images + spread * torch.randn(images.shape, generator=draw) for _ in range(STEPS))
    mean = sum(_gradient(network.model, image, classes) for image in noisy)
    return torch.as_tensor(mean).abs().sum(1)


def _integrated(network: Network, baseline: Callable[[Tensor], Tensor]) -> Explanation:
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(network.model)

    def explain(images: Tensor, classes: Tensor) -> Tensor:
        found = method.attribute(
            images, baseline(images), classes, n_steps=STEPS, internal_batch_size=network.batch
        )
        return found.detach().float().sum(1)

    return explain


def _baseline(given: Baseline, images: Tensor) -> Tensor:
    (found,) = inputs_of(given, (images,))
    return found


def _sum(several: Sequence[Explanation]) -> Explanation:
    def explain(images: Tensor, classes: Tensor) -> Tensor:
        return torch.stack([each(images, classes) for each in several]).sum(0)

    return explain


def _grad_cam(network: Network, space: str) -> Explanation:
    """Of the map that the network pools or flattens."""
    from captum.attr import LayerGradCam

    method = LayerGradCam(network.model, network.model.get_submodule(space))

    def explain(images: Tensor, classes: Tensor) -> Tensor:
        found = method.attribute(
            images, target=classes, attribute_to_layer_input=True, relu_attributions=True
        )
        return functional.interpolate(found.detach(), images.shape[2:], mode="bilinear")[:, 0]

    return explain


def _random() -> Explanation:
    draw = torch.Generator().manual_seed(0)
    return lambda images, classes: torch.rand(len(images), *images.shape[2:], generator=draw)


def _centre(images: Tensor, classes: Tensor) -> Tensor:
    rows, columns = (torch.linspace(-1, 1, side) for side in images.shape[2:])
    return 2 - (rows[:, None] ** 2 + columns**2).expand(len(images), -1, -1)
