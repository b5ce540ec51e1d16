"""Every node is classified once, and the plan reads nothing but the table."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hudd.capture.export import capture
from hudd.lrp import LRP, classification
from hudd.lrp.classification import Role, classify

aten = torch.ops.aten


class Branches(nn.Module):
    """A several-output call, a rectified sum, a product with weights, one of two activations, and a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.mixing = nn.Parameter(torch.randn(4, 4))
        self.last = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        left, right = self.first(x).relu().chunk(2, 1)
        tokens = torch.cat([left + right, left - right], 1).flatten(2).transpose(1, 2)
        mixed = tokens @ self.mixing
        weights = (mixed @ tokens.mT).softmax(-1)
        return self.last((weights @ mixed).mean(1)), mixed.sum((1, 2)).unsqueeze(1)


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return Branches().eval()


IMAGES = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(1))


def _named(model: nn.Module) -> dict[str, Role]:
    return {node.name: role for node, role in classify(capture(model, (IMAGES,))).roles.items()}


def test_what_the_nodes_of_a_model_are(model: nn.Module) -> None:
    roles = _named(model)
    contractions = [name for name, role in roles.items() if role.is_contraction]
    assert contractions == ["conv2d", "matmul", "linear"]  # products of two activations are none
    assert [name for name in contractions if not roles[name].behind_contraction] == ["conv2d"]
    assert {name for name, role in roles.items() if role.rectifies} == {"relu"}
    numbers = {role.origin.target: role.nonnegative for role in roles.values()}
    assert numbers[aten.add.Tensor]
    assert not numbers[aten.sub.Tensor]
    assert roles["getitem"].nonnegative
    assert roles["getitem"].origin.name == roles["getitem_1"].origin.name == "split"
    assert [source.name for source in roles["matmul"].sources] == ["transpose"]
    assert [source.name for source in roles["matmul_2"].activations] == ["softmax", "matmul"]
    assert [source.name for source in roles["matmul_2"].sources] == ["matmul"]  # the softmax is a gate


def test_the_table_cannot_be_changed(model: nn.Module) -> None:
    graph = classify(capture(model, (IMAGES,)))
    node = next(iter(graph.roles))
    with pytest.raises(TypeError):
        graph.roles[node] = Role(node)  # type: ignore[index]
    with pytest.raises(AttributeError):
        graph.roles[node].rectifies = True  # type: ignore[misc]


@pytest.mark.parametrize("rules", ["epsilon-plus", "recommended"])
def test_no_stage_of_planning_asks_again(
    model: nn.Module, rules: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    original = classification.is_contraction

    def counted(node: torch.fx.Node, captured: object) -> bool:
        asked.append(node.name)
        return original(node, captured)  # type: ignore[arg-type]

    monkeypatch.setattr(classification, "is_contraction", counted)
    lrp = LRP(model, rules=rules)
    lrp.attribute(IMAGES)
    lrp.attribute(IMAGES, lambda outputs: [torch.ones_like(output) for output in outputs])  # another plan
    assert len(asked) == len(set(asked)) > 0
