"""What a classifier's outputs are, told by its head: logits, probabilities, or something between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hudd.capture.export import capture
from hudd.capture.samples import places
from hudd.errors import UsageError
from hudd.lrp.classification import classify
from hudd.lrp.heads.walk import Head, find_head

OutputScale = Literal[
    "logits",
    "probabilities",
    "log-probabilities",
    "independent probabilities",
    "independent log-probabilities",
    "positive scores",
]
OUTPUT_SCALES: tuple[OutputScale, ...] = get_args(OutputScale)
_SUM = 1e-3  # how far probabilities may be from 1 together: a clamp takes some away
_LEAST = 1e-12  # a probability whose logarithm is taken


@torch.no_grad()
def output_scale(model: nn.Module, examples: Tensor) -> OutputScale:
    """What the outputs of a classifier are.

    Logits may be of both signs, so that a model whose outputs are is not captured to look for a head.

    Parameters
    ----------
    model : torch.nn.Module
        Any model; run in evaluation mode and left as it was.
    examples : Tensor
        (N, ...) inputs; a few will do.

    Returns
    -------
    str
        One of :data:`OUTPUT_SCALES`. "independent": each class for itself, by a sigmoid; "positive scores": in
        proportion to the probabilities, such as odds or evidence. Outputs that are neither (N,) nor (N, K) count as
        logits.
    """
    training = [module for module in model.modules() if module.training]
    try:
        for module in training:
            module.training = False
        output = model(examples)
    finally:
        for module in training:
            module.training = True
    if not isinstance(output, Tensor) or output.ndim not in (1, 2) or not output.is_floating_point():
        return "logits"
    output = output.double().reshape(len(output), -1)
    if not (bool((output >= 0).all()) or bool((output <= 0).all())):
        return "logits"
    try:
        captured = capture(model, examples)
        head = find_head(classify(captured), captured.outputs[0], places(captured))
    except UsageError:  # what comes of it is said where relevance is asked for
        return "logits"
    return "logits" if head is None else _scale_of(head, output)


def _scale_of(head: Head, output: Tensor) -> OutputScale:
    nonnegative = bool((output >= 0).all())
    several = output.shape[1] > 1
    if several and nonnegative and bool(((output.sum(1) - 1).abs() < _SUM).all()):
        return "probabilities"
    if several and not nonnegative and bool(((output.exp().sum(1) - 1).abs() < _SUM).all()):
        return "log-probabilities"
    if head.low >= 0:
        return "independent probabilities" if head.high <= 1 else "positive scores"
    logarithm = head.operations[0].startswith("log")
    return "independent log-probabilities" if head.high <= 0 and logarithm else "logits"


def probabilities(output: np.ndarray, scale: OutputScale = "logits") -> np.ndarray:
    """The probabilities that outputs stand for.

    Parameters
    ----------
    output : np.ndarray
        (N, K) outputs of a model.
    scale : str
        What they are.

    Returns
    -------
    np.ndarray
        (N, K) float64; of independent classes each for itself, else with sum 1.
    """
    if scale == "independent probabilities":
        return output.astype(np.float64)
    if scale == "independent log-probabilities":
        return np.exp(output.astype(np.float64))
    if scale in ("probabilities", "positive scores"):
        shares = np.maximum(output.astype(np.float64), 0)
        total = shares.sum(axis=1, keepdims=True)
        normalised: np.ndarray = np.divide(
            shares, total, out=np.full_like(shares, 1 / shares.shape[1]), where=total > 0
        )
        return normalised
    shifted = np.exp(output.astype(np.float64) - output.max(axis=1, keepdims=True))
    softmax: np.ndarray = shifted / shifted.sum(axis=1, keepdims=True)
    return softmax


def entropies(output: np.ndarray, scale: OutputScale = "logits") -> np.ndarray:
    """Shannon entropy of each image's probabilities in nats, (N,) float64; of independent classes the sum of theirs."""
    p = probabilities(output, scale)
    entropy: np.ndarray = -_times_logarithm(p).sum(axis=1)
    if scale.startswith("independent"):
        entropy -= _times_logarithm(1 - p).sum(axis=1)
    return entropy


def _times_logarithm(p: np.ndarray) -> np.ndarray:
    shares: np.ndarray = p * np.log(np.where(p > 0, p, 1))
    return shares


def cross_entropy(scale: OutputScale) -> Callable[[Tensor, Tensor], Tensor]:
    """The negative log-likelihood of integer labels for outputs of this scale, a mean over the batch.

    Of independent classes it is the binary cross-entropy, a mean over the classes too.
    """
    return functional.cross_entropy if scale == "logits" else _LOSSES[scale]


def binary_cross_entropy(scale: OutputScale) -> Callable[[Tensor, Tensor], Tensor]:
    """The negative log-likelihood of labels that each are there or not, for outputs of this scale.

    Labels are 1, 0, or NaN where unknown; the loss is a mean over those that are known.
    """

    def loss(output: Tensor, labels: Tensor) -> Tensor:
        labels = labels.reshape(len(labels), -1)
        output = output.float().reshape(labels.shape)
        known = torch.isfinite(labels)
        true = torch.where(known, labels, 0.0)
        if scale == "logits":
            each = functional.binary_cross_entropy_with_logits(output, true, reduction="none")
        else:
            p = output.exp() if scale == "independent log-probabilities" else output
            each = -torch.where(true > 0.5, p, 1 - p).clamp(min=_LEAST).log()
        return (each * known).sum() / known.sum().clamp(min=1)

    return loss


def _of_probabilities(output: Tensor, labels: Tensor) -> Tensor:
    shares = output.float().clamp(min=_LEAST)
    return functional.nll_loss((shares / shares.sum(1, keepdim=True)).log(), labels)


def _of_log_probabilities(output: Tensor, labels: Tensor) -> Tensor:
    return functional.nll_loss(output.float(), labels)


def _of_independent(output: Tensor, labels: Tensor) -> Tensor:
    true = functional.one_hot(labels, output.shape[1])
    p = torch.where(true > 0, output.float(), 1 - output.float())
    return -p.clamp(min=_LEAST).log().mean()


def _of_independent_logarithms(output: Tensor, labels: Tensor) -> Tensor:
    return _of_independent(output.float().exp(), labels)


_LOSSES: dict[OutputScale, Callable[[Tensor, Tensor], Tensor]] = {
    "probabilities": _of_probabilities,
    "log-probabilities": _of_log_probabilities,
    "independent probabilities": _of_independent,
    "independent log-probabilities": _of_independent_logarithms,
    "positive scores": _of_probabilities,
}
