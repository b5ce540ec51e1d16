"""What a user gives the engine, checked before any work."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from hudd.errors import UsageError
from hudd.lrp.composites import Composite


def check_options(
    cuda_graphs: object,
    bias: str,
    bias_share: bool,
    recompute: bool,
    baselines: tuple[object, ...],
    composite: Composite,
) -> None:
    """Refuse options that exclude each other.

    Raises
    ------
    UsageError
        Naming both.
    """
    if cuda_graphs is True and bias_share:
        raise UsageError(
            "bias shares are summed up image by image, unrecorded; leave out cuda_graphs or bias_share."
        )
    if cuda_graphs is True and bias != "absorb":
        raise UsageError(f"a pass with bias='{bias}' cannot be recorded; leave out cuda_graphs or bias.")
    if not baselines:
        return
    if composite.attention == "attnlrp":
        raise UsageError(
            f"against a baseline attention is exact by every composite, and '{composite.name}' treats it otherwise; "
            "choose another one, such as 'epsilon' or 'cp-lrp-gamma', or leave baseline out."
        )
    others = {"cuda_graphs": cuda_graphs is True, "bias": bias != "absorb", "bias_share": bias_share,
              "recompute": recompute}  # fmt: skip
    for name, given in others.items():
        if given:
            raise UsageError(
                f"{name} has no effect on relevance against a baseline; leave out {name} or baseline."
            )


def layer_paths(layers: Any) -> tuple[str, ...]:
    """The layers that a user names.

    Raises
    ------
    UsageError
        If they are no list of paths.
    """
    single = isinstance(layers, str) or not isinstance(layers, Iterable)
    paths = (layers,) if single else tuple(layers)
    if single or not all(isinstance(path, str) for path in paths):
        raise UsageError(
            f"layers must be a list of module paths, but it is {layers!r}; give {list(map(str, paths))}."
        )
    return paths


def check_batch(batch: tuple[Tensor, ...]) -> None:
    """Refuse inputs that are no batch of images.

    Raises
    ------
    UsageError
        Saying what is wrong.
    """
    for tensor in batch:
        if tensor.dtype != torch.float32 or tensor.ndim < 2:
            raise UsageError(
                f"inputs must be float32 tensors with a batch axis, but one is {tensor.dtype} of shape "
                f"{tuple(tensor.shape)}; use inputs.float(), and inputs.unsqueeze(0) for a single image."
            )
        if tensor.shape[0] == 0:
            raise UsageError("the batch is empty; give at least one image.")
    sizes = [len(tensor) for tensor in batch]
    if len(set(sizes)) > 1:
        raise UsageError(
            f"the inputs hold {', '.join(map(str, sizes))} images, but must hold equally many; give each image all "
            "of its inputs."
        )
