"""Rules of other people's code: what they leave unsaid, and weights that go by a name of their own choice."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import nn

import hudd
from hudd.errors import HuddError
from hudd.lrp import Crossing, Epsilon, Flat, Gamma, Message, Rule, ZPlus
from hudd.lrp.contraction import Contraction


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(72, 16),
        nn.ReLU(),
        nn.Linear(16, 4),
    ).eval()


IMAGES = torch.rand(3, 3, 10, 10, generator=torch.Generator().manual_seed(1))


def relevance(rule: object) -> dict[str, np.ndarray]:
    found = hudd.LRP(net(), rules=rule).attribute(IMAGES, target=1)
    return {name: values.numpy() for name, values in {**found.layers, "input": found.input}.items()}


def spread(crossing: Crossing) -> Message:
    """The same share for every input of an output, written out as a user would."""
    ones = crossing.contraction.modified("ones", torch.ones_like, bias=False)
    s = crossing.message.over(ones.forward(torch.ones_like(crossing.x)), epsilon=1e-6, stabilizer="sign")
    return Message(ones.adjoint(s, crossing.x), None)


class Plain(Rule):
    def redistribute(self, crossing: Crossing) -> Message:
        return spread(crossing)


@dataclass(frozen=True)
class WithNumbers(Rule):
    share: float = 1.0

    def redistribute(self, crossing: Crossing) -> Message:
        return spread(crossing)


class OfEpsilon(Epsilon):
    def redistribute(self, crossing: Crossing) -> Message:
        return spread(crossing)


@dataclass(frozen=True)
class OfZPlus(ZPlus):
    def redistribute(self, crossing: Crossing) -> Message:
        return spread(crossing)


class Spreading:
    def redistribute(self, crossing: Crossing) -> Message:
        return spread(crossing)


class MixedIn(Spreading, Gamma):
    pass


class Grandchild(OfEpsilon):
    pass


@dataclass(frozen=True)
class Wrapper(Rule):
    inner: Rule = field(default_factory=Flat)

    def redistribute(self, crossing: Crossing) -> Message:
        return self.inner.redistribute(crossing)


@pytest.mark.slow
@pytest.mark.parametrize(
    "rule", [Plain(), WithNumbers(), OfEpsilon(), OfZPlus(), MixedIn(), Grandchild(), Wrapper()], ids=repr
)
def test_a_rule_that_does_not_say_whether_it_vanishes_with_its_input_is_right(rule):
    wanted = relevance(Flat())
    for name, values in relevance(rule).items():
        np.testing.assert_allclose(values, wanted[name], rtol=1e-4, atol=1e-7 * abs(wanted[name]).max())


class Times(Epsilon):
    """Epsilon, written again: in proportion to the input, but without saying so."""

    def redistribute(self, crossing: Crossing) -> Message:
        return crossing.send(
            crossing.contraction, crossing.message.over(crossing.z, epsilon=1e-6, stabilizer="sign")
        )


class SaysSo(Times):
    proportional_to_input = True


class Named(Epsilon):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("rule", [Times(), SaysSo(), Named()], ids=repr)
def test_rules_in_proportion_to_the_input_are_right_whether_they_say_so_or_not(rule):
    wanted = relevance(Epsilon())
    for name, values in relevance(rule).items():
        np.testing.assert_array_equal(values, wanted[name])


def test_what_a_class_says_of_its_input():
    assert [
        kind.proportional_to_input for kind in (Rule, Plain, OfEpsilon, OfZPlus, MixedIn, Grandchild, Times)
    ] == [False] * 7
    assert all(kind.proportional_to_input for kind in (Epsilon, ZPlus, Gamma, SaysSo, Named))
    assert not Flat.proportional_to_input


NAMES = [
    "positiveTrue",
    "positiveFalse",
    "positive",
    "negative",
    "negativeTrue",
    "gamma",
    "gamma0.25TrueTrue",
    "flat",
    "plain",
    "",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bias", [False, True])
def test_weights_are_what_was_asked_for_whatever_they_are_called(name, bias):
    contraction = Contraction(torch.randn(4, 5), torch.randn(4))
    plus, minus = contraction.positive(bias=bias), contraction.negative(bias=bias)
    magnitude = contraction.modified(name, torch.abs, bias=bias)
    torch.testing.assert_close(magnitude.weight, contraction.weight.abs())
    torch.testing.assert_close(plus.weight, contraction.weight.clamp(min=0))
    torch.testing.assert_close(minus.weight, contraction.weight.clamp(max=0))
    assert (magnitude.bias is None) == (not bias)
    torch.testing.assert_close(
        contraction.modified(name, torch.square, bias=bias).weight, contraction.weight**2
    )
    assert contraction.modified(name, torch.abs, bias=bias) is magnitude
    assert contraction.modified(name, torch.abs, bias=not bias) is not magnitude
    assert contraction.positive(bias=bias) is plus


@dataclass(frozen=True)
class Power:
    exponent: float

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.abs() ** self.exponent

    def method(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.abs() ** self.exponent


def power(tensor, exponent):
    return tensor.abs() ** exponent


def captured(exponent):
    return lambda tensor: tensor.abs() ** exponent


def by_default(exponent):
    return lambda tensor, exponent=exponent: tensor.abs() ** exponent


def keyword(exponent):
    def change(tensor, *, exponent=exponent):
        return tensor.abs() ** exponent

    return change


def in_a_list(exponent):
    exponents = [exponent]
    return lambda tensor: tensor.abs() ** exponents[0]


def in_a_tensor(exponent):
    held = torch.tensor(float(exponent))
    return lambda tensor: tensor.abs() ** held


WAYS = {
    "captured": captured,
    "by default": by_default,
    "keyword": keyword,
    "partial": lambda exponent: functools.partial(power, exponent=exponent),
    "dataclass": Power,
    "method": lambda exponent: Power(exponent).method,
    "in a list": in_a_list,
    "in a tensor": in_a_tensor,
}
ONCE = set(WAYS) - {"in a list", "in a tensor"}  # what may change in between is made again


@pytest.mark.parametrize("way", WAYS)
def test_changes_are_told_apart_by_their_numbers(way):
    contraction = Contraction(torch.randn(4, 5), None)
    for exponent in (1, 2, 3, 2.5):
        found = contraction.modified("power", WAYS[way](exponent), bias=False)
        torch.testing.assert_close(found.weight, contraction.weight.abs() ** exponent)
        if way in ONCE:
            assert contraction.modified("power", WAYS[way](exponent), bias=False) is found


def test_changes_that_are_never_the_same_do_not_pile_up():
    contraction = Contraction(torch.randn(4, 5), None)
    for turn in range(100):
        found = contraction.modified("power", in_a_list(turn), bias=False)
        contraction.joined(found)
    assert len(contraction._modified._made) == len(contraction._joined._made) == 16


def test_rules_that_share_a_layer_and_a_name_do_not_share_weights():
    class Absolute(Rule):
        def redistribute(self, crossing: Crossing) -> Message:
            crossing.contraction.positive()
            magnitude = crossing.contraction.modified("positiveTrue", torch.abs, bias=True)
            s = self._over(crossing.message, magnitude.forward(crossing.x))
            return crossing.send(magnitude, s)

    torch.manual_seed(0)
    layer, x = nn.Linear(5, 3).eval(), torch.rand(4, 5)
    found = hudd.LRP(layer, rules=Absolute()).attribute(x, target=1).input
    w, b = layer.weight.detach().abs()[1], layer.bias.detach().abs()[1]
    wanted = x * w * (layer(x)[:, 1:2] / (x @ w + b)[:, None])
    torch.testing.assert_close(found, wanted.detach())


def test_a_change_of_another_shape_is_refused():
    contraction = Contraction(torch.randn(4, 5), None)
    for change in (torch.t, torch.sum, lambda tensor: 0):
        with pytest.raises(HuddError, match="weights 'mine' of an LRP rule"):
            contraction.modified("mine", change, bias=False)
