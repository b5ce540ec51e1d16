"""Every contraction is a layer, also one that a module computes itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import hudd
from hudd.errors import UsageError


class Same(nn.Conv2d):
    """Pads by a child, then calls the convolution itself."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.pad = nn.ZeroPad2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(self.pad(x), self.weight, self.bias)


class Standardised(nn.Conv2d):
    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.pad = nn.ZeroPad2d(1)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return functional.conv2d(self.pad(x), weight / weight.std((1, 2, 3), keepdim=True) / 5, self.bias)


class Quantised(nn.Linear):
    """As in quantisation-aware training: a stub each for the weight and for what the layer makes."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.of_weight, self.of_output = nn.Identity(), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.of_output(functional.linear(x, self.of_weight(self.weight), self.bias))


class Attention(nn.Module):
    """Written by hand: products with parameters, next to children that have weights."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Parameter(torch.randn(8, 8) / 3) for _ in range(3))
        self.drop, self.projection = nn.Dropout(0.1), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.drop(((x @ self.query) @ (x @ self.key).mT).softmax(-1))
        return self.projection(weights @ (x @ self.value))


class Tokens(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).mT


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


def one(module: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), module, nn.ReLU(), nn.Flatten(), nn.LazyLinear(4))


def built(model: nn.Module) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(3)
    x = torch.randn(2, 3, 12, 12)
    model(x)
    return model.eval(), x


@pytest.mark.parametrize("module", [Same(8, 8, 3), Standardised(8, 8, 3)])
def test_a_module_that_calls_its_convolution_itself_is_a_layer(module: Same) -> None:
    model, x = built(one(module))
    found = hudd.LRP(model).attribute(x)
    assert list(found.layers) == ["0", "2", "5"]
    weight = module.weight.detach()
    if isinstance(module, Standardised):
        weight = weight - weight.mean((1, 2, 3), keepdim=True)
        weight = weight / weight.std((1, 2, 3), keepdim=True) / 5
    plain = nn.Conv2d(8, 8, 3, padding=1)
    plain.weight, plain.bias = nn.Parameter(weight), module.bias
    model[2] = plain
    expected = hudd.LRP(model).attribute(x)
    for name, heatmap in expected.layers.items():
        torch.testing.assert_close(found.layers[name], heatmap, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(
            found.conservation[name], expected.conservation[name], rtol=1e-4, atol=1e-6
        )


def test_a_module_with_stubs_is_a_layer() -> None:
    model, x = built(nn.Sequential(nn.Conv2d(3, 8, 5), Tokens(), Quantised(8, 6), nn.ReLU(), Mean()))
    assert hudd.LRP(model).prepare(x) == ("0", "2", "4")


class Functional(nn.Module):
    """Calls everything itself; one weight is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again = (nn.Parameter(torch.randn(8, channels, 3, 3) / 5) for channels in (3, 8))
        self.head, self.norm = nn.Parameter(torch.randn(8, 4)), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(functional.conv2d(x, self.first)).relu()
        for _ in range(2):
            x = functional.conv2d(x, self.again).relu()
        return x.mean((2, 3)) @ self.head


@pytest.mark.parametrize("nested", [False, True])
def test_every_one_of_several_is_a_layer_by_its_weight(nested: bool) -> None:
    model, x = built(nn.Sequential(Functional()) if nested else Functional())
    prefix = "0." if nested else ""
    weights = [f"{prefix}{name}" for name in ("first", "again", "again@1", "head")]
    found = hudd.LRP(model, rules="epsilon").attribute(x)
    assert list(found.layers) == [*(["0"] if nested else []), *weights]
    assert found.input is not None
    torch.testing.assert_close(found.layers[weights[0]], found.input)
    assert max(float(found.conservation[name].abs().max()) for name in weights[1:]) < 1e-4


def test_products_in_attention_written_by_hand_are_layers() -> None:
    model, x = built(nn.Sequential(nn.Conv2d(3, 8, 5), Tokens(), Attention(), Mean()))
    assert hudd.LRP(model).prepare(x) == ("0", "2", "2.value", "2.projection", "3")
    every = hudd.LRP(model, rules="attnlrp").prepare(x)
    assert {"2.query", "2.key", "2.value", "2.projection"} <= set(every)


def test_a_rule_for_one_of_several() -> None:
    model, x = built(Functional())
    plain, other = (hudd.LRP(model, rules=rules).attribute(x).layers
                    for rules in ("epsilon", {"*": "epsilon", "again@1": "z-plus"}))  # fmt: skip
    assert torch.equal(plain["head"], other["head"])
    assert not torch.allclose(plain["again@1"], other["again@1"])
    with pytest.raises(UsageError, match="these are: first, again, again@1, head"):
        hudd.LRP(model, rules={"third": "z-plus"}).attribute(x)


@pytest.mark.slow
def test_a_layer_of_torch_is_one_layer() -> None:
    """However torch computes it: attention has two weights, an LSTM two a step."""

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.lstm, self.head = nn.LSTM(8, 6, batch_first=True), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = x.flatten(2).mT
            x = self.attention(x, x, x, need_weights=False)[0]
            return self.head(self.lstm(x)[0][:, -1])

    torch.manual_seed(3)
    layers = hudd.LRP(Recurrent().eval()).prepare(torch.randn(2, 8, 2, 2))
    assert layers == ("attention", "lstm", "head")
