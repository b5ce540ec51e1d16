"""How relevance crosses a contraction: the rules of layer-wise relevance propagation.

Notation: x input, z = xW + b output, w⁺ and w⁻ the positive and negative part, R relevance at the output. The rules for
signed inputs are those of zennit (Anders et al., arXiv 2106.13200), which coincide with the literature's where x >= 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any, ClassVar

import torch
from torch import Tensor

from hudd.errors import UsageError
from hudd.lrp import kernels
from hudd.lrp.contraction import BySign, Contraction
from hudd.lrp.message import Message


@dataclass(frozen=True)
class Crossing:
    """One contraction at the moment when relevance crosses it.

    Attributes
    ----------
    contraction : Contraction
        The operation.
    x, z : Tensor
        Its input and output; `z` may have been rectified in place if `rectified`.
    nonnegative : bool
        `x` is known to hold no negative number.
    rectified : bool
        Only a rectifier reads `z`, so the relevance is zero where `z` is not positive.
    message : Message
        Relevance at the output.
    both_signs : bool
        Allow for outputs without positive contributions.
    doubt : callable or None
        Takes a flag that tells whether ignoring them was wrong; None: look, before going on.
    """

    contraction: Contraction
    x: Tensor
    z: Tensor
    nonnegative: bool
    rectified: bool
    message: Message
    both_signs: bool = False
    doubt: Callable[[Tensor], None] | None = None

    def by_sign(self, for_positive: Contraction, for_negative: Contraction) -> Contraction | BySign:
        """The operation with one set of weights for positive inputs and another, bias-free, for negative ones."""
        return for_positive if self.nonnegative else BySign(for_positive, for_negative)

    def send(self, weights: Contraction | BySign, s: Tensor) -> Message:
        """The relevance at the input, x times the adjoint of `s`."""
        return Message(weights.adjoint(s, self.x), self.x)


@dataclass(frozen=True)
class Rule:
    """A redistribution rule.

    Parameters
    ----------
    epsilon : float
        Size of the stabilizer of the denominator, with the denominator's sign; not negative. By its name, so that a
        rule's own numbers come first; the epsilon rules have no other.

    Raises
    ------
    UsageError
        If a rule's number cannot be used.
    """

    epsilon: float = field(default=1e-6, kw_only=True)

    def __post_init__(self) -> None:
        _check_size("epsilon", self.epsilon)

    # Whether the relevance that the rule returns is x times something, so that it vanishes with x. Only then may what
    # reads x be written over x; a rule that says nothing is taken to send relevance to inputs of zero, too.
    proportional_to_input = False
    stabilizer = "sign"
    # What numbers after its name set, "name(0.5)", in order; None: all parameters that can be given by position.
    numbers: ClassVar[tuple[str, ...] | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Let a class that redistributes in a way of its own say again whether that is in proportion to the input."""
        super().__init_subclass__(**options)
        place = {
            name: next(at for at, part in enumerate(cls.__mro__) if name in vars(part))
            for name in ("redistribute", "proportional_to_input")
        }
        if place["redistribute"] < place["proportional_to_input"]:
            cls.proportional_to_input = False

    def redistribute(self, crossing: Crossing) -> Message:
        """Send the relevance at the output to the input."""
        raise NotImplementedError

    def _over(self, message: Message, z: Tensor, *, scale: float = 1.0, gate: Tensor | None = None,
              passes: str = "open", last: bool = True, shift: Tensor | None = None) -> Tensor:  # fmt: skip
        return message.over(
            z,
            epsilon=self.epsilon,
            stabilizer=self.stabilizer,
            scale=scale,
            gate=gate,
            passes=passes,
            last=last,
            shift=shift,
        )


def _check_size(name: str, value: float) -> None:
    if not (isfinite(value) and value >= 0):
        raise UsageError(f"{name} of an LRP rule is {value}; give a finite number that is not negative.")


@dataclass(frozen=True)
class Epsilon(Rule):
    """LRP-ε, ``R_j = x_j Σ_k w_jk R_k / (z_k + ε sign z_k)`` (Bach et al. 2015, eq. 58)."""

    epsilon: float = 1e-6
    proportional_to_input = True

    def redistribute(self, crossing: Crossing) -> Message:
        """Send the relevance at the output to the input."""
        s = self._over(crossing.message, crossing.z, shift=crossing.contraction.shift)
        return crossing.send(crossing.contraction, s)


@dataclass(frozen=True)
class Zero(Epsilon):
    """LRP-0, ``R_j = x_j Σ_k w_jk R_k / z_k``; an output of exactly zero passes nothing (Bach et al. 2015, eq. 56)."""

    epsilon: float = 0.0
    stabilizer = "none"
    numbers = ()


@dataclass(frozen=True)
class Epsilon2021(Epsilon):
    """LRP-ε with an unsigned stabilizer of 1e-9, as in the authors' 2021 code for convolutions."""

    epsilon: float = 1e-9
    stabilizer = "positive"


@dataclass(frozen=True)
class AlphaBeta(Rule):
    """LRP-αβ, positive and negative contributions weighted by α and β = α - 1 (Bach et al. 2015, eq. 60).

    Conserves where an output has contributions of both signs (bias included); an output with those of one sign alone
    passes on α, or -β, times its relevance. With β = 0 (z⁺) an output without positive contributions, which is never
    active in a rectified network, passes its relevance to the negative ones, so that it is not lost.
    """

    alpha: float = 2.0
    beta: float = 1.0

    proportional_to_input = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.alpha >= 1 and abs(self.alpha - self.beta - 1) < 1e-9):
            raise UsageError(
                f"LRP rule 'alpha-beta({self.alpha:g}, {self.beta:g})' does not conserve relevance: alpha - beta "
                "must be 1 and beta at least 0."
            )

    def redistribute(self, crossing: Crossing) -> Message:
        """Send the relevance at the output to the input."""
        message, above = crossing.message, self._contributions(crossing, positive=True)
        z_above = above.forward(crossing.x)
        # Where the output is rectified, it is greater than zero wherever there is relevance.
        lone = None if self.beta or crossing.rectified else self._missing(crossing, z_above)
        if not self.beta and lone is None:
            s = self._over(message, z_above, shift=above.shift)
            del z_above  # as large as the result
            return crossing.send(above, s)
        below = self._contributions(crossing, positive=False)
        z_below = below.forward(crossing.x)
        s_below = self._over(message, z_below, scale=-self.beta if self.beta else 1.0, last=False)
        s_above = self._over(message, z_above, scale=self.alpha)
        if lone is not None:  # each output's relevance goes one way, not both
            s_below.masked_fill_(~lone, 0.0)
            s_above.masked_fill_(lone, 0.0)
        sent = crossing.send(above, s_above)
        sent.value.add_(crossing.send(below, s_below).value)
        for part, s, z in ((above, s_above, z_above), (below, s_below, z_below)):
            if part.shift is not None:
                message.absorb(s, part.shift, z, self.epsilon)
        return sent

    def _contributions(self, crossing: Crossing, *, positive: bool) -> Contraction | BySign:
        """Those of one sign."""
        contraction = crossing.contraction
        if positive:
            return crossing.by_sign(contraction.positive(), contraction.negative(bias=False))
        return crossing.by_sign(contraction.negative(), contraction.positive(bias=False))

    def _missing(self, crossing: Crossing, z: Tensor) -> Tensor | None:
        """Where relevance meets no positive contribution (none above the stabilizer's size); None: nowhere."""
        if crossing.both_signs:
            return z <= self.epsilon
        if crossing.doubt is None and z.amin() > self.epsilon:
            return None
        missing, message = z <= self.epsilon, crossing.message
        relevant = missing & (message.value != 0)
        if message.factor is not None:
            relevant &= message.factor != 0
        if crossing.doubt is None:
            return missing if relevant.any() else None
        crossing.doubt(relevant.any())
        return None


@dataclass(frozen=True)
class ZPlus(AlphaBeta):
    """LRP-z⁺, only positive contributions: αβ with α = 1, β = 0 (Montavon et al. 2017, eq. 15)."""

    alpha: float = 1.0
    beta: float = 0.0
    numbers = ()


@dataclass(frozen=True)
class ZPlus2021(Rule):
    """z⁺ without bias, input not split by sign, unsigned stabilizer 1e-9: the authors' 2021 code for linear layers."""

    epsilon: float = 1e-9
    stabilizer = "positive"
    proportional_to_input = True

    def redistribute(self, crossing: Crossing) -> Message:
        """Send the relevance at the output to the input."""
        positive = crossing.contraction.positive(bias=False)
        s = self._over(crossing.message, positive.forward(crossing.x))
        return crossing.send(positive, s)


@dataclass(frozen=True)
class Gamma(Rule):
    """LRP-γ, favours contributions of the output's sign: w + γw⁺ where z > 0, w + γw⁻ where z < 0.

    Montavon et al. 2019, eq. 10.9, in the generalised form of Andéol et al. 2021 for signed inputs.
    """

    gamma: float = 0.25

    proportional_to_input = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_size("gamma", self.gamma)

    def redistribute(self, crossing: Crossing) -> Message:
        """Send the relevance at the output to the input."""
        message = self._share(crossing, above=True, last=crossing.rectified)
        if not crossing.rectified:
            message.value.add_(self._share(crossing, above=False, last=True).value)
        return message

    def _favouring(self, contraction: Contraction, *, positive: bool, bias: bool) -> Contraction:
        gamma, low, high = (self.gamma, 0.0, None) if positive else (self.gamma, None, 0.0)
        return contraction.modified(
            "gamma", lambda tensor: tensor + gamma * tensor.clamp(low, high), bias=bias
        )

    def _share(self, crossing: Crossing, *, above: bool, last: bool) -> Message:
        """The part of the outputs above (or below) zero."""
        favoured = crossing.by_sign(
            self._favouring(crossing.contraction, positive=above, bias=True),
            self._favouring(crossing.contraction, positive=not above, bias=False),
        )
        gate, passes = crossing.z, "positive" if above else "negative"
        z = favoured.forward(crossing.x)
        s = self._over(crossing.message, z, gate=gate, passes=passes, last=last, shift=favoured.shift)
        del z  # as large as the result
        return crossing.send(favoured, s)


@dataclass(frozen=True)
class ZBox(Rule):
    """LRP-z^B for inputs in a box, usually the first layer (Montavon et al. 2017, eq. 19).

    Parameters
    ----------
    low, high : float or tuple of float
        Smallest and largest value that an input can take; one number, or one per channel.
    """

    low: float | tuple[float, ...] = 0.0
    high: float | tuple[float, ...] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        lows, highs = (bound if isinstance(bound, tuple) else (bound,) for bound in (self.low, self.high))
        count = max(len(lows), len(highs))  # a single number is that of every channel
        lows, highs = (bound * count if len(bound) == 1 else bound for bound in (lows, highs))
        fit = 0 < count == len(lows) == len(highs)
        if not fit or not all(-inf < low < high < inf for low, high in zip(lows, highs)):
            raise UsageError(
                f"z-box has low {self.low} and high {self.high}; give finite numbers, one each or one per channel, "
                "low less than high."
            )

    def redistribute(self, crossing: Crossing) -> Message:
        """Send the relevance at the output to the input."""
        contraction, x = crossing.contraction, crossing.x
        plain = contraction.modified("plain", lambda tensor: tensor, bias=False)
        plus, minus = contraction.positive(bias=False), contraction.negative(bias=False)
        low, high = (_bound(bound, x, contraction.features_axis) for bound in (self.low, self.high))
        z = plain.forward(x).sub_(plus.forward(low)).sub_(minus.forward(high))
        s = self._over(crossing.message, z)
        relevance = kernels.box(x, plain.adjoint(s, x), plus.adjoint(s, x), minus.adjoint(s, x), low, high)
        return Message(relevance, None)


def _bound(bound: float | tuple[float, ...], x: Tensor, channel_axis: int) -> Tensor:
    if not isinstance(bound, tuple):
        return torch.full_like(x, bound)
    channels = x.shape[channel_axis]
    if len(bound) not in (1, channels):
        raise UsageError(
            f"z-box has bounds for {len(bound)} channels, but its layer reads {channels}; give one number, or one a "
            "channel."
        )
    filled = torch.cat(
        [x.new_full((1,), value) for value in bound]
    )  # copied there, it would halt a GPU's batch
    shape = [1] * x.ndim
    shape[channel_axis] = -1
    return filled.view(shape).expand_as(x).contiguous()


@dataclass(frozen=True)
class Flat(Rule):
    """Every input of an output receives the same share (Bach et al. 2016, "Analyzing classifiers", sec. 2)."""

    def _shares(self, contraction: Contraction) -> Contraction:
        return contraction.modified("flat", torch.ones_like, bias=False)

    def redistribute(self, crossing: Crossing) -> Message:
        """Send the relevance at the output to the input."""
        shares = self._shares(crossing.contraction)
        x = crossing.x  # ones for one image are enough; where features come first, images are columns
        sample = x[:, :1] if x.ndim + shares.features_axis == 0 else x[:1]
        z = shares.forward(torch.ones_like(sample)).expand_as(crossing.z)
        s = self._over(crossing.message, z, shift=shares.shift)
        return Message(shares.adjoint(s, x), None)


@dataclass(frozen=True)
class WSquare(Flat):
    """LRP-w², shares in proportion to the squared weights (Montavon et al. 2017, eq. 11)."""

    def _shares(self, contraction: Contraction) -> Contraction:
        return contraction.modified("squared", torch.square, bias=True)
