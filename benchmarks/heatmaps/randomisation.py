"""Whether a map depends on the weights: they are lost layer by layer, from the output to the input.

Cascading randomisation (Adebayo et al. 2018, arXiv 1810.03292). Adebayo et al. draw new weights; here the values of
each parameter are shuffled, which keeps the scale of every layer and needs no rule for its first values. What is left
of a map when the upper layers are shuffled is in part the image itself, filtered by the lower ones (Binder et al. 2023,
arXiv 2211.12486), so that this is a check and no ranking.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

SHARES = {"last layer": 0.0, "a quarter": 0.25, "half": 0.5, "three quarters": 0.75, "all layers": 1.0}


def layers(model: nn.Module, image: Tensor) -> list[str]:
    """Modules with parameters of their own, the last that an image (1, C, H, W) calls first."""
    called: list[str] = []
    hooks = [
        module.register_forward_pre_hook(lambda *_, name=name: called.append(name))
        for name, module in model.named_modules()
        if next(module.parameters(recurse=False), None) is not None
    ]
    try:
        with torch.inference_mode():
            model(image)
    finally:
        for hook in hooks:
            hook.remove()
    return list(dict.fromkeys(called))[::-1]


def depths(count: int) -> dict[str, int]:
    """How many of so many layers are shuffled, by what is said of it; never the same number twice."""
    found = {name: max(1, round(share * count)) for name, share in SHARES.items()}
    named = {number: name for name, number in found.items()} | {1: "last layer"}
    return {name: number for number, name in sorted(named.items())}


def shuffled(model: nn.Module, names: Sequence[str]) -> nn.Module:
    """A copy in which the values of each parameter of the named modules are in an order drawn once."""
    copy, draw = deepcopy(model), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name in names:
            for parameter in copy.get_submodule(name).parameters(recurse=False):
                values = parameter.flatten()
                parameter.copy_(values[torch.randperm(len(values), generator=draw)].view(parameter.shape))
    return copy


def agreement(maps: Tensor, others: Tensor) -> np.ndarray:
    """Spearman's rank correlation of each map, (N, H, W), with the other one, (N,); 0 where one is constant."""
    ranks = (stats.rankdata(each.flatten(1).numpy(), axis=1) for each in (maps, others))
    a, b = (each - each.mean(1, keepdims=True) for each in ranks)
    sizes = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    found: np.ndarray = (a * b).sum(1) / np.where(sizes > 0, sizes, 1)
    return found
