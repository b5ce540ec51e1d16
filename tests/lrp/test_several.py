"""Models with several inputs and several outputs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import hudd

pytestmark = pytest.mark.slow


class _TwoByTwo(nn.Module):
    """Two images in; from a trunk that reads both a class head, from the second image alone a regression head."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 4, 3), nn.Conv2d(1, 4, 3)
        self.classes, self.number = nn.Linear(4 * 36, 5), nn.Linear(4 * 36, 1)

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        second = torch.relu(self.right(right)).flatten(1)
        return self.classes(torch.relu(self.left(left)).flatten(1) + second), self.number(second)


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(3)
    net = _TwoByTwo()
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.zeros_(module.bias)
    return net


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    torch.manual_seed(4)
    return torch.rand(6, 3, 8, 8), torch.rand(6, 1, 8, 8)


def _sums(tensors: tuple[Tensor, ...]) -> Tensor:
    return sum(tensor.double().flatten(1).sum(1) for tensor in tensors)


@pytest.mark.parametrize("rules", ["epsilon", "epsilon-plus"])
def test_relevance_of_both_inputs_sums_to_the_first_output(model: nn.Module, pair: tuple, rules: str) -> None:
    result = hudd.LRP(model, rules=rules).attribute(pair)
    assert [tuple(tensor.shape) for tensor in result.inputs] == [(6, 3, 8, 8), (6, 1, 8, 8)]
    assert [tuple(tensor.shape) for tensor in result.outputs] == [(6, 5), (6, 1)]
    assert result.input is result.inputs[0]
    torch.testing.assert_close(result.explained, result.output.amax(1).double())
    torch.testing.assert_close(_sums(result.inputs), result.explained, rtol=1e-4, atol=1e-5)
    assert "number" not in result.layers


def test_a_callable_chooses_among_the_outputs(model: nn.Module, pair: tuple) -> None:
    result = hudd.LRP(model, rules="epsilon").attribute(pair, lambda outputs: [None, outputs[1]])
    torch.testing.assert_close(result.explained, result.outputs[1][:, 0].double())
    assert not result.inputs[0].any()  # the second output does not read the first input
    torch.testing.assert_close(_sums(result.inputs), result.explained, rtol=1e-4, atol=1e-5)
    assert set(result.layers) == {"right", "number"}


def test_outputs_explained_together_add(model: nn.Module, pair: tuple) -> None:
    """LRP-ε is linear in what enters."""
    lrp = hudd.LRP(model, rules="epsilon")
    first = lrp.attribute(pair, lambda outputs: [outputs[0], None])
    second = lrp.attribute(pair, lambda outputs: [None, outputs[1]])
    both = lrp.attribute(pair, lambda outputs: outputs)
    torch.testing.assert_close(both.explained, first.explained + second.explained)
    for one, other, together in zip(first.inputs, second.inputs, both.inputs):
        torch.testing.assert_close(together, one + other, rtol=1e-4, atol=1e-6)


def test_an_output_inside_the_way_to_another() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(6, 4, bias=False), nn.Linear(4, 3, bias=False)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            features = torch.relu(self.body(x))
            return {"logits": self.head(features), "features": features}

    torch.manual_seed(5)
    model, x = Net(), torch.rand(5, 6)
    result = hudd.LRP(model, rules="epsilon").attribute(x, lambda outputs: list(outputs))
    expected = result.outputs[0].double().sum(1) + result.outputs[1].double().sum(1)
    torch.testing.assert_close(result.explained, expected)
    torch.testing.assert_close(_sums(result.inputs), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda outputs: outputs[0], "list of 2"),
        (lambda outputs: [outputs[0]], "list of 2"),
        (lambda outputs: [None, None], "None for every output"),
        (lambda outputs: [outputs[1], None], "output's shape"),
    ],
)
def test_a_callable_that_fits_none(model: nn.Module, pair: tuple, returned: object, words: str) -> None:
    with pytest.raises(hudd.UsageError, match=words):
        hudd.LRP(model).attribute(pair, returned)  # type: ignore[arg-type]


class _Both(nn.Module):
    """Two features of one image, of the same shape."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.relu(self.a(x)), torch.relu(self.b(x))


class _Forked(nn.Module):
    """Reads what its backbone and its LSTM give, all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.reader = _Both(), nn.LSTM(6, 5, batch_first=True)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.backbone(x)
        steps, (last, _) = self.reader((a + 2 * b).mean(1))
        return self.head(steps.mean(1) + last[0])


def test_a_layer_with_several_outputs_has_no_heatmap_there() -> None:
    torch.manual_seed(7)
    model, x = _Forked(), torch.rand(3, 3, 8, 8)
    lrp = hudd.LRP(model, rules="epsilon", at="output")
    assert list(lrp.attribute(x).layers) == ["backbone.a", "backbone.b", "head"]
    assert "backbone" not in hudd.LRP(model, layers=["back*"], at="output").prepare(x)
    for layer in ("backbone", "reader"):
        with pytest.raises(hudd.UsageError, match=f"layer '{layer}' has 2 outputs that carry relevance"):
            hudd.LRP(model, layers=[layer], at="output").prepare(x)
    shown = hudd.LRP(model, layers=["backbone", "reader"]).attribute(x).layers
    assert [tuple(heatmap.shape) for heatmap in shown.values()] == [(3, 3, 8, 8), (3, 6, 6)]


def test_inputs_of_different_numbers(model: nn.Module, pair: tuple) -> None:
    for numbers in ((6, 1), (2, 6)):
        batch = [tensor[:number] for tensor, number in zip(pair, numbers)]
        with pytest.raises(hudd.UsageError, match=f"the inputs hold {numbers[0]}, {numbers[1]} images"):
            hudd.LRP(model).attribute(batch)


def test_what_a_bias_absorbs_under_a_callable_that_lends_its_tensor() -> None:
    """The relevance that a callable returned must not be written over before the biases are summed up."""
    torch.manual_seed(6)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
    x = torch.rand(7, 6)
    seed = model(x).detach() * torch.rand(7, 4)
    kept = seed.clone()
    result = hudd.LRP(model, rules="epsilon", bias_share=True).attribute(x, lambda output: seed)
    torch.testing.assert_close(seed, kept, rtol=0, atol=0)
    for name in result.layers:
        residue = result.conservation[name] + result.bias_share[name]
        torch.testing.assert_close(residue, torch.zeros_like(residue), rtol=0, atol=1e-4)
