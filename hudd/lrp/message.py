"""Relevance on its way through the graph, carried as a product."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from hudd.lrp import kernels


@dataclass
class Message:
    """The relevance of one tensor, ``R = value * factor``.

    The rules of the epsilon family redistribute as ``R_in = x * c``. Carrying c and x apart makes activations free
    (what enters is what leaves), leaves no quotient of underflowed numbers, and forms the relevance itself only where
    somebody asked for it.

    Attributes
    ----------
    value : Tensor
        (N, ...) float32.
    factor : Tensor or None
        Of the same shape; None stands for 1.
    exclusive : bool
        Nobody else holds `value`, so that it may be written over.
    total : Tensor or None
        (N,) float64, the relevance summed over each sample, once somebody needed it.
    ledger : list of Tensor or None
        Where crossing writes down what constant summands absorb, (N,) float64 each; None: nobody asks.
    kept : list of Tensor or None
        The same number by number, in the shape of the output each, where it is to be shared; None: nobody asks.
    """

    value: Tensor
    factor: Tensor | None
    exclusive: bool = True
    total: Tensor | None = None
    ledger: list[Tensor] | None = None
    kept: list[Tensor] | None = None
    _formed: Tensor | None = field(default=None, init=False, repr=False)

    @property
    def asks(self) -> bool:
        """Whether anybody asks what constant summands absorb."""
        return self.ledger is not None or self.kept is not None

    def relevance(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The relevance itself; asked twice for one dtype, it is the same tensor."""
        if self._formed is None or self._formed.dtype != dtype:
            self._formed, self.total = kernels.product(self.value, self.factor, dtype=dtype, total=True)
        return self._formed

    def sample_totals(self) -> Tensor:
        """(N,) float64: the relevance summed over each sample."""
        if self.total is None:
            self.total = kernels.total(self.value, self.factor)
        return self.total

    def plain(self) -> Message:
        """The same relevance with nothing factored out."""
        if self.factor is None:
            return self
        return Message(kernels.product(self.value, self.factor)[0], None, total=self.total)

    def over(
        self,
        z: Tensor,
        *,
        epsilon: float,
        stabilizer: str,
        scale: float = 1.0,
        gate: Tensor | None = None,
        passes: str = "open",
        last: bool = True,
        shift: Tensor | None = None,
    ) -> Tensor:
        """``s = scale * R / (z + eps)``; writes over this message where that is safe and no use of it follows (`last`).

        `shift`, the constant summand in `z`, absorbs ``s * shift``, which goes into the ledger.
        """
        s = kernels.quotient(
            self.value,
            self.factor,
            z,
            epsilon=epsilon,
            stabilizer=stabilizer,
            scale=scale,
            gate=gate,
            passes=passes,
            in_place=self.exclusive and last,
        )
        if shift is not None:
            self.absorb(s, shift, z, epsilon if stabilizer == "sign" else 0.0)
        return s

    def absorb(self, s: Tensor, shift: Tensor, z: Tensor | None = None, epsilon: float = 0.0) -> None:
        """Write down that a constant summand absorbs ``s * shift``, if anybody asks.

        Where it is to be shared, so is what a stabilizer of this size and the sign of `z` absorbs.
        """
        if self.ledger is not None:
            absorbed = s.double() * shift
            self.ledger.append(absorbed.reshape(len(absorbed), -1).sum(1))
        if self.kept is not None:
            stabilizer = 0.0 if z is None else torch.where(z < 0, -epsilon, epsilon)
            self.kept.append(s * (shift + stabilizer))


def add(first: Message, second: Message) -> Message:
    """The sum of two relevances of one tensor, from two of its readers."""
    if first.factor is not second.factor:
        first, second = first.plain(), second.plain()
    known = first.total is not None and second.total is not None
    total = first.total + second.total if known else None  # type: ignore[operator]
    if first.exclusive:
        return Message(first.value.add_(second.value), first.factor, total=total)
    return Message(first.value + second.value, first.factor, total=total)
