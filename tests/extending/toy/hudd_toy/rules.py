"""A rule: relevance in proportion to the magnitude of every contribution."""

from dataclasses import dataclass

import torch

from hudd.extend import Crossing, Message, Rule


@dataclass(frozen=True)
class Magnitude(Rule):
    """``R_j = sum_k |x_j w_jk|^p / sum_i |x_i w_ik|^p R_k``."""

    power: float = 1.0

    def redistribute(self, crossing: Crossing) -> Message:
        power = self.power
        weights = crossing.contraction.modified("magnitude", lambda w: w.abs() ** power, bias=False)
        x = crossing.x.abs() ** power
        s = crossing.message.over(weights.forward(x), epsilon=self.epsilon, stabilizer="sign")
        return Message(torch.mul(x, weights.adjoint(s, x)), None)
