"""Which output is explained: captum's target grammar, or a callable on the output.

A callable gets the model's output and returns the relevance that enters there, of the same shape; :func:`contrast` and
:func:`worst_keypoint` make such callables. Of a model with several outputs it gets them all, and returns a list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from hudd.errors import UsageError

Index = int | tuple[int, ...]
Target = None | int | Tensor | Sequence[Index] | tuple[int, ...] | Callable[[Any], Any]


def selection(output: Tensor, target: Target) -> Tensor:
    """A one for every explained output, else zeros.

    Parameters
    ----------
    output : Tensor
        (N, ...) the model's output; of a model that has the images along another axis they have been brought to the
        first, so that (T, N, K) scores of T steps come as (N, T, K).
    target : None, int, Tensor, list or tuple
        None, the class with the greatest output of each sample, or its only output (N,); an int, one class for all; a
        tensor or list of N ints, a class a sample; a tuple, an index into the axes after the batch for all; a list of
        N tuples, one per sample.

    Returns
    -------
    Tensor
        Like `output`.

    Raises
    ------
    UsageError
        If the target does not fit the output.
    """
    return chosen(output, None if target is None else indices(target, output.shape))


def indices(target: Target, shape: Sequence[int]) -> Tensor:
    """The target as one row of indices a sample.

    Parameters
    ----------
    target : int, Tensor, list or tuple
        As for :func:`selection`; a tensor on a GPU is waited for.
    shape : sequence of int
        The output's, (N, ...).

    Returns
    -------
    Tensor
        (N, axes after the batch) int64, on the CPU.

    Raises
    ------
    UsageError
        If the target does not fit the shape.
    """
    rows = _rows(target, shape[0])
    if rows.shape[1] != len(shape) - 1:
        raise UsageError(
            f"a target of {rows.shape[1]} indices does not fit an output of shape {tuple(shape)}; "
            + (f"give {len(shape) - 1} a sample." if len(shape) > 1 else "give None for its only number.")
        )
    for axis, size in enumerate(shape[1:]):
        bad = (rows[:, axis] < 0) | (rows[:, axis] >= size)
        if bool(bad.any()):
            raise UsageError(
                f"target {int(rows[bad][0, axis])} is outside the {size} outputs of axis {axis + 1} (0 to {size - 1})."
            )
    return rows


def chosen(output: Tensor, rows: Tensor | None) -> Tensor:
    """A one for every output at these :func:`indices`, else zeros; None: at the predicted class.

    Raises
    ------
    UsageError
        If there is no predicted class.
    """
    if rows is None:
        if output.ndim == 1:
            return torch.ones_like(output)
        if output.ndim != 2:
            raise UsageError(
                f"the model's output has shape {tuple(output.shape)}, so there is no predicted class; "
                "give target as an index, a tuple of indices, or a callable on the output."
            )
        rows = output.argmax(1, keepdim=True)
    mask = torch.zeros_like(output)
    samples = torch.arange(output.shape[0], device=output.device)
    mask[(samples, *rows.to(output.device, non_blocking=True).T)] = 1
    return mask


def _rows(target: Target, samples: int) -> Tensor:
    """The target as one row of indices a sample, on the CPU."""
    if isinstance(target, Tensor):
        rows = target.detach().cpu()
        rows = rows.reshape(-1, 1) if rows.ndim <= 1 else rows
    else:
        try:
            listed = [target] if isinstance(target, (Integral, tuple)) else list(target)  # type: ignore[arg-type]
            rows = torch.tensor([index if isinstance(index, tuple) else (index,) for index in listed])
        except (TypeError, ValueError):
            rows = torch.empty(0)
    if rows.ndim != 2:
        raise UsageError(
            "target must be an index, a tuple of indices, one of them a sample (list or tensor), a callable or None, "
            f"but it is {target!r}."
        )
    if rows.dtype.is_floating_point or rows.dtype == torch.bool:
        raise UsageError(f"target must hold class indices (integers), but it is {rows.dtype}.")
    if rows.shape[0] == 1:
        rows = rows.expand(samples, -1)
    if rows.shape[0] != samples:
        raise UsageError(
            f"target has {rows.shape[0]} entries for a batch of {samples}; give one for all, or one per sample."
        )
    return rows.long()


@dataclass(frozen=True)
class _Multiples:
    """A target that explains each number of the output so many times."""

    multiples: Callable[[Tensor], Tensor]

    def __call__(self, output: Tensor) -> Tensor:
        """The relevance that enters at the output."""
        return output * self.multiples(output)


def contrast(target: Target, against: Target) -> Callable[[Tensor], Tensor]:
    """Explain one output against another: the relevance of `target` minus that of `against`, in one pass.

    What enters is +z at one output and -z at the other, so what is explained is their difference.

    Parameters
    ----------
    target, against : None, int, Tensor, list or tuple
        As for :func:`selection`; ``contrast(None, labels)`` asks why the predicted class and not the true one.

    Examples
    --------
    >>> lrp.attribute(images, contrast(None, labels))
    """

    def multiples(output: Tensor) -> Tensor:
        return selection(output, target) - selection(output, against)

    return _Multiples(multiples)


def times(multiples: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Explain each number of the output as many times as ``multiples(output)`` says, a tensor of its shape."""
    return _Multiples(multiples)


def landmark_places(maps: Tensor, pixels: int = 64) -> Tensor:
    """Return x and y of every landmark, (N, K, 2) in pixels of the maps, (N, K, H, W).

    That is the centroid of a map's 64 greatest pixels, weighted by their values, and (-1, -1) where their mean is not
    positive (Fahmy et al. 2021, the authors' code).

    Parameters
    ----------
    maps : Tensor
        (N, K, H, W).
    pixels : int
        How many of a map's pixels are read.
    """
    width = maps.shape[3]
    values, places_of = maps.flatten(2).topk(min(pixels, maps[0, 0].numel()), dim=2)
    places = torch.stack([places_of % width, places_of // width], 3).to(maps.dtype)
    centroid = (places * values[..., None]).sum(2) / values.sum(2)[..., None]
    return torch.where(values.mean(2)[..., None] > 0, centroid, -1.0)


def worst_keypoint(truth: Tensor, landmarks: Sequence[int] | None = None) -> Callable[[Tensor], Tensor]:
    """Explain the heatmap of the landmark that is farthest from where it should be.

    A landmark is predicted where :func:`landmark_places` has it; a coordinate whose truth is not positive counts as
    predicted at 0 (Fahmy et al. 2021, the authors' code). Relevance enters at the whole map of the worst landmark, the
    first of equals.

    Parameters
    ----------
    truth : Tensor
        (N, K, 2) true landmarks, x and y in pixels of the output.
    landmarks : sequence of int, optional
        Those to choose from, such as the ones of one facial area; None: all K.

    Raises
    ------
    UsageError
        If `landmarks` is empty or holds one that `truth` has not; from the callable, if the output is not (N, K, H, W)
        for `truth`.
    """
    if landmarks is not None and truth.ndim == 3:  # else the truth itself is refused
        landmarks, count = list(landmarks), truth.shape[1]
        if not landmarks or not all(0 <= landmark < count for landmark in landmarks):
            raise UsageError(
                f"landmarks are {landmarks}, but must be one or more of 0 to {count - 1}; give None for all of them."
            )

    def multiples(output: Tensor) -> Tensor:
        if output.ndim != 4 or truth.shape != (*output.shape[:2], 2):
            raise UsageError(
                f"true landmarks of shape {tuple(truth.shape)} do not fit an output of shape {tuple(output.shape)}; "
                "give (N, K, 2) for heatmaps (N, K, H, W)."
            )
        found = landmark_places(output)
        true = truth.to(output, non_blocking=True)
        known = true > 1e-5
        errors = (found * known - true).norm(dim=2)
        if landmarks is not None:
            outside = torch.ones(output.shape[1], dtype=torch.bool)
            outside[landmarks] = False
            errors = errors.masked_fill(outside.to(output.device, non_blocking=True), -1.0)
        chosen = torch.nn.functional.one_hot(errors.argmax(1), output.shape[1])
        return chosen[:, :, None, None].to(output.dtype).expand_as(output).contiguous()

    return _Multiples(multiples)
