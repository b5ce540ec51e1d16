"""The engine in float64, the yardstick of `precision.py`: the same plan and rules, every kernel a formula in torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional

import hudd.lrp.engine
from hudd.lrp import kernels


def quotient(
    message: Tensor, factor: Tensor | None, z: Tensor, *, epsilon: float, stabilizer: str = "sign",
    scale: float = 1.0, gate: Tensor | None = None, passes: str = "open", in_place: bool = False,
) -> Tensor:  # fmt: skip
    """``scale * message * factor / (z + eps)`` where the gate lets it pass."""
    relevance = message if factor is None else message * factor
    shift = torch.where((z < 0) & (stabilizer == "sign"), -epsilon, epsilon)
    s = scale * relevance / (z if stabilizer == "none" else z + shift)
    if stabilizer == "none":
        s = torch.where(z == 0, 0.0, s)
    if gate is not None:
        s = torch.where(gate > 0 if passes == "positive" else gate < 0, s, 0.0)
    return s


def product(
    message: Tensor, factor: Tensor | None, *, dtype: torch.dtype = torch.float32, total: bool = False
) -> tuple[Tensor, Tensor | None]:
    """``message * factor`` whatever the storage asked for, and its sums."""
    out = message.clone() if factor is None else message * factor
    return out, out.flatten(1).sum(1) if total else None


def total(message: Tensor, factor: Tensor | None) -> Tensor:
    """The sum of ``message * factor`` over each sample."""
    return product(message, factor)[0].flatten(1).sum(1)


def split(inputs: Tensor, axis: int) -> Tensor:
    """The positive part, then the negative part."""
    return torch.cat([inputs.clamp(min=0), inputs.clamp(max=0)], axis)


def by_sign(inputs: Tensor, parts: Tensor, axis: int) -> Tensor:
    """The first half of `parts` where the input is greater than zero, the second elsewhere."""
    positive, negative = parts.chunk(2, axis)
    return torch.where(inputs > 0, positive, negative)


def box(inputs: Tensor, message: Tensor, plus: Tensor, minus: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """``inputs * message - low * plus - high * minus``."""
    return inputs * message - low * plus - high * minus


def max_pool(
    inputs: Tensor, message: Tensor, *, last_wins: bool = False, **geometry: Sequence[int]
) -> Tensor:
    """The gradient of max pooling; the authors' overwriting windows of 2021 are not here."""
    assert not last_wins
    axes = inputs.ndim - 2
    options: dict[str, Any] = {name: geometry[name] for name in ("stride", "padding", "dilation")}
    shape = message.shape[2:]
    with torch.enable_grad():
        leaf = inputs.detach().requires_grad_()
        pool = getattr(functional, f"max_pool{axes}d")
        pooled = pool(leaf, geometry["window"], **options)
        if pooled.shape[2:] != shape:
            pooled = pool(leaf, geometry["window"], **options, ceil_mode=True)
    return torch.autograd.grad(pooled, leaf, message)[0]


@contextmanager
def engine() -> Iterator[None]:
    """Within, `hudd.LRP` takes a model and inputs in float64 and computes in it throughout."""
    formulas: dict[str, Any] = {
        f.__name__: f for f in (quotient, product, total, split, by_sign, box, max_pool)
    }
    with (
        mock.patch.multiple(kernels, **formulas),
        mock.patch.object(hudd.lrp.engine, "check_batch"),
    ):
        yield
