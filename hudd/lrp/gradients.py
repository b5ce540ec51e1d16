"""Explanations to compare relevance with: the gradient, gradient times input, and integrated gradients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from hudd.capture.export import tensors_of
from hudd.errors import UsageError
from hudd.lrp.targets import Target, selection


def gradient(
    model: nn.Module, inputs: Tensor | Sequence[Tensor], target: Target = None, *, times_input: bool = False
) -> Tensor | tuple[Tensor, ...]:
    """Return the gradient of the explained output by the inputs (Simonyan et al. 2014).

    Parameters
    ----------
    model : nn.Module
        In evaluation mode, with an output (N, ...).
    inputs : Tensor or sequence of Tensor
        (N, ...) floating point, as the model takes them.
    target : None, int, Tensor, list, tuple or callable, optional
        What to explain, as in :meth:`LRP.attribute`; of a callable, the sum of what it returns.
    times_input : bool
        Multiply by the inputs (Shrikumar et al. 2017). In a network of layers without biases, rectifiers and max
        pooling that is what the epsilon rule gives.

    Returns
    -------
    Tensor or tuple of Tensor
        Of the shape of the inputs, a tuple where they are several.

    Raises
    ------
    UsageError
        If the target does not fit the output.
    """
    batch = tensors_of(inputs)
    slopes = _slopes(model, batch, target)
    found = tuple(slope * each for slope, each in zip(slopes, batch)) if times_input else slopes
    return found[0] if isinstance(inputs, Tensor) else found


def integrated_gradients(
    model: nn.Module,
    inputs: Tensor | Sequence[Tensor],
    target: Target = None,
    *,
    baseline: float | Tensor | Sequence[float | Tensor] = 0.0,
    steps: int = 50,
) -> Tensor | tuple[Tensor, ...]:
    """Return integrated gradients (Sundararajan et al. 2017), which sum to what sets inputs and baseline apart.

    The gradient is integrated along the line from the baseline to the inputs by Gauss-Legendre quadrature, as captum
    does by default; it takes as many passes as there are steps.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode, with an output (N, ...).
    inputs : Tensor or sequence of Tensor
        (N, ...) floating point, as the model takes them.
    target : None, int, Tensor, list, tuple or callable, optional
        What to explain, as in :func:`gradient`; None: the class that is predicted for the inputs, all along the line.
    baseline : float, Tensor or sequence of these
        Inputs that say nothing, such as black or the mean colour: one for all inputs or one for each, of its shape or
        one that is broadcast to it.
    steps : int
        Points on the line.

    Returns
    -------
    Tensor or tuple of Tensor
        Of the shape of the inputs, a tuple where they are several.

    Raises
    ------
    UsageError
        If there are no steps, or the baseline does not fit the inputs, or the target the output.
    """
    batch = tensors_of(inputs)
    if steps < 1:
        raise UsageError(f"steps is {steps}, but must be at least 1.")
    begin = _baselines(baseline, batch)
    if target is None:
        with torch.no_grad():
            output = _first(model(*batch))
            target = selection(output, None).flatten(1).argmax(1) if output.ndim == 2 else None
    places, weights = np.polynomial.legendre.leggauss(steps)
    total = [torch.zeros_like(each) for each in batch]
    for place, weight in zip((places + 1) / 2, weights / 2):
        at = tuple(first + float(place) * (each - first) for first, each in zip(begin, batch))
        for summed, slope in zip(total, _slopes(model, at, target)):
            summed += float(weight) * slope
    found = tuple(summed * (each - first) for summed, first, each in zip(total, begin, batch))
    return found[0] if isinstance(inputs, Tensor) else found


def _slopes(model: nn.Module, batch: tuple[Tensor, ...], target: Target) -> tuple[Tensor, ...]:
    """The gradient of the sum of all that is explained; images do not depend on each other."""
    with torch.enable_grad():
        leaves = tuple(each.detach().requires_grad_() for each in batch)
        outputs = model(*(leaf.clone() for leaf in leaves))  # which the model may write over
        found = torch.autograd.grad(_explained(outputs, target), leaves, allow_unused=True)
    return tuple(torch.zeros_like(each) if slope is None else slope for slope, each in zip(found, batch))


def _explained(outputs: Tensor | Sequence[Tensor], target: Target) -> Tensor:
    if not callable(target):
        output = _first(outputs)
        return (output * selection(output.detach(), target)).sum()
    returned = target(outputs)
    parts = [returned] if isinstance(returned, Tensor) else [part for part in returned if part is not None]
    return torch.stack([part.sum() for part in parts]).sum()


def _first(outputs: Tensor | Sequence[Tensor]) -> Tensor:
    return outputs if isinstance(outputs, Tensor) else outputs[0]


def _baselines(
    given: float | Tensor | Sequence[float | Tensor], batch: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """The baseline of each input, of its shape."""
    each = [given] * len(batch) if isinstance(given, (int, float, Tensor)) else list(given)
    if len(each) != len(batch):
        raise UsageError(
            f"there are {len(each)} baselines for {len(batch)} inputs; give one for all, or one each."
        )
    try:
        return tuple(
            torch.as_tensor(one, dtype=tensor.dtype, device=tensor.device).expand_as(tensor)
            for one, tensor in zip(each, batch)
        )
    except RuntimeError as error:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in batch)
        raise UsageError(
            f"the baseline does not fit inputs of shape {shapes}: {error}; give a number, or a tensor that can be "
            "broadcast to them."
        ) from error
