"""What becomes of the share of a bias: absorbed, left out of the denominators, or shared over what was read.

A constant summand of an output, such as a bias, has no input that could take its part of the relevance. With "absorb"
the part stays there. With "ignore" relevance is split in proportion to what the inputs contribute. With "distribute"
the part is shared over the inputs that the output reads, each by the magnitude of its contribution, and what exceeds
those contributions over all inputs of the layer; so no input gets many times its own value, and no quotient of small
numbers arises further down. (Bach et al. 2015, PLoS ONE 10(7), eq. 59, share equally.) Constants of operations without
weights (shifts of norms, class tokens, fillings) are distributed under both.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Literal, get_args

import torch
from torch import Tensor, fx

from hudd.capture.samples import Place
from hudd.lrp.contraction import Contraction
from hudd.lrp.message import Message
from hudd.lrp.operations import Sent, Values, attention
from hudd.lrp.operations.base import origin
from hudd.lrp.rules import Crossing, Rule

Bias = Literal["absorb", "ignore", "distribute"]
Places = Mapping[fx.Node, Place]
BIASES: tuple[Bias, ...] = get_args(Bias)

aten = torch.ops.aten
_BY_LAST = {aten.layer_norm.default, aten.rms_norm.default, attention.taylor_softmax}
_LEAST = 1e-6  # of contributions together; smaller ones share nothing


def cross(rule: Rule, crossing: Crossing, bias: Bias, place: Place | None) -> Message:
    """Send the relevance at a contraction's output to its input, in which the images are at `place`."""
    shift = crossing.contraction.shift
    if bias == "absorb" or shift is None or place is None:
        return rule.redistribute(crossing)
    return (_ignoring if bias == "ignore" else _distributing)(rule, crossing, shift, place)


def _distributing(rule: Rule, crossing: Crossing, shift: Tensor, place: Place) -> Message:
    kept: list[Tensor] = []
    crossing.message.kept = kept
    sent = rule.redistribute(crossing)
    if not kept:  # a rule without denominators that hold the bias
        return sent
    absorbed, x = _total(kept), crossing.x
    sizes = crossing.contraction.modified("magnitude", torch.abs, bias=False)
    contributed = sizes.forward(x.abs())
    share = absorbed / torch.maximum(contributed, shift.abs()).clamp(min=_LEAST)
    value = sizes.adjoint(share, x)
    found = Message(sent.value + x.sign() * value, x) if sent.factor is x else _plus(sent, x.abs() * value)
    return _over_all(found, x, absorbed - share * contributed, place)


def _ignoring(rule: Rule, crossing: Crossing, shift: Tensor, place: Place) -> Message:
    contraction, x, relevance = crossing.contraction, crossing.x, crossing.message.plain().value
    silent = contraction.modified("magnitude", torch.abs, bias=False).forward(x.abs()) <= _LEAST
    heard = Message(torch.where(silent, 0, relevance), None)
    sent = rule.redistribute(
        Crossing(unbiased(contraction), x, crossing.z - shift, crossing.nonnegative, rectified=False, message=heard,
                 both_signs=True)
    )  # fmt: skip
    return _over_all(sent, x, torch.where(silent, relevance, 0), place) if silent.any() else sent


def _over_all(sent: Message, x: Tensor, left: Tensor, place: Place) -> Message:
    """What was sent, and what is left at the outputs shared over all inputs of an image."""
    amount = place.first(left).double().flatten(1).sum(1)
    if place == Place():
        return _shared(sent, x, _column(amount, x), tuple(range(1, x.ndim)))
    first = place.first(x)
    whole = _shared(by_image(sent, place), first, _column(amount, first), tuple(range(1, first.ndim)))
    return Message(place.back(whole.plain().value), None, exclusive=False)


def _column(amount: Tensor, x: Tensor) -> Tensor:
    """(N,) as (N, 1, ...) for `x`."""
    return amount.to(x.dtype).view(-1, *[1] * (x.ndim - 1))


def _plus(message: Message, more: Tensor) -> Message:
    return Message(message.plain().value + more, None)


def _total(parts: list[Tensor]) -> Tensor:
    return functools.reduce(torch.add, parts)


def unbiased(contraction: Contraction) -> Contraction:
    """The contraction without its bias."""
    return contraction.modified("unbiased", _itself, bias=False)


def _itself(tensor: Tensor) -> Tensor:
    return tensor


def share_constants(
    node: fx.Node, arrived: Tensor | None, message: Message, sent: Sent, values: Values, places: Places
) -> Sent:
    """What was sent through an operation without weights, with the part of its constants shared over what it read.

    A part that belongs to a number read, as a norm's shift does, is shared over the features at that place; any other,
    such as that of a class token, over all that was read of the image. `arrived`, (N,), is the relevance of each image
    that came to an operation with constants of its own.
    """
    if message.kept and len(sent) == 1 and values[sent[0][0]].shape == values[node].shape:
        ((source, part),) = sent
        x = values[source]
        axis = -1 if origin(node).target in _BY_LAST or x.ndim == 3 else min(1, x.ndim - 1)
        absorbed = _total(message.kept).expand_as(x).sum(axis, keepdim=True)
        return [(source, _shared(part, x, absorbed, (axis,)))]
    if arrived is None or not all(source in places for source, _ in sent):
        return sent
    left = arrived - _total([by_image(part, places[source]).sample_totals() for source, part in sent])
    firsts = [places[source].first(values[source]) for source, _ in sent]
    sizes = [x.abs().flatten(1).double().sum(1) for x in firsts]
    size, shares = _total(sizes), []
    for (source, part), x, own in zip(sent, firsts, sizes):
        portion = torch.where(size > 0, own / size, 1 / len(sent))
        axes = tuple(range(1, x.ndim))
        whole = _shared(by_image(part, places[source]), x, _column(left * portion, x), axes).plain()
        shares.append((source, Message(places[source].back(whole.value), None, exclusive=False)))
    return shares


def _shared(part: Message, x: Tensor, absorbed: Tensor, axes: tuple[int, ...]) -> Message:
    """A message with what is absorbed shared over some axes of `x`, by magnitude, or equally where all are zero."""
    magnitude = x.abs().masked_fill(x.isinf(), 0)
    total = magnitude.sum(axes, keepdim=True)
    silent = total == 0
    share = torch.where(silent, 0, absorbed / total.masked_fill(silent, 1))
    count = x.numel() // total.numel()
    equal = torch.where(silent, absorbed / count, 0)
    if part.factor is x and not equal.any():
        return Message(part.value + x.sign() * share, x)
    return _plus(part, magnitude * share + equal)


def by_image(message: Message, place: Place) -> Message:
    """The same relevance with the images along the first axis."""
    if place == Place():
        return message
    factor = None if message.factor is None else place.first(message.factor)
    return Message(place.first(message.value), factor, exclusive=False)
