"""AttnLRP against its formulas (Achtibat et al. 2024, prop. 3.1, 3.3, 3.4), in NumPy and float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import hudd
from hudd.lrp import COMPOSITES, recommended

pytestmark = pytest.mark.slow

Array = np.ndarray


class Attention(nn.Module):
    """Self-attention, fused or spelled out."""

    def __init__(self, fused: bool, mask: Tensor | None = None) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(4, 4) for _ in range(3))
        self.fused = fused
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.query(x), self.key(x), self.value(x)
        if self.fused:
            return functional.scaled_dot_product_attention(q, k, v, attn_mask=self.mask)
        logits = q @ k.transpose(1, 2) * 0.5
        if self.mask is not None:
            logits = logits + self.mask
        return logits.softmax(-1) @ v


def _linear(layer: nn.Linear, x: Array) -> Array:
    return x @ layer.weight.detach().double().numpy().T + layer.bias.detach().double().numpy()


def _over(relevance: Array, z: Array) -> Array:
    return relevance / (z + 1e-6 * np.where(z < 0, -1, 1))


def _epsilon(layer: nn.Linear, x: Array, relevance: Array) -> Array:
    return x * (_over(relevance, _linear(layer, x)) @ layer.weight.detach().double().numpy())


def _reference(model: Attention, x: Array, relevance: Array) -> Array:
    q, k, v = (_linear(layer, x) for layer in (model.query, model.key, model.value))
    products = q @ k.transpose(0, 2, 1) * 0.5
    logits = products if model.mask is None else products + model.mask.double().numpy()
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    s = _over(relevance, weights @ v) / 2
    of_weights, of_value = weights * (s @ v.transpose(0, 2, 1)), v * (weights.transpose(0, 2, 1) @ s)
    of_products = products * (of_weights - weights * of_weights.sum(-1, keepdims=True))
    s = _over(of_products, 2 * products) / 2
    of_query, of_key = q * (s @ k), k * (s.transpose(0, 2, 1) @ q)
    return (
        _epsilon(model.query, x, of_query)
        + _epsilon(model.key, x, of_key)
        + _epsilon(model.value, x, of_value)
    )


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("fused", [True, False])
def test_attention(fused: bool, masked: bool) -> None:
    torch.manual_seed(1)
    mask = torch.tensor([[0.0, 0.5, -1.0], [0.3, 0.0, 0.2], [1.0, -0.5, 0.0]]) if masked else None
    model, x = Attention(fused, mask).eval(), torch.randn(2, 3, 4)
    sent = torch.randn(2, 3, 4)
    relevance = hudd.LRP(model, rules="attnlrp", bias_share=True).attribute(x, lambda output: sent.clone())
    assert relevance.input is not None
    expected = _reference(model, x.double().numpy(), sent.double().numpy())
    scale = np.abs(expected).max()
    assert np.abs(relevance.input.double().numpy() - expected).max() <= 1e-4 * scale


def test_norms_pass_relevance_and_softmax_reports_its_share() -> None:
    torch.manual_seed(2)

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.attention = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
            self.head = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.norm(x)
            return self.head((self.attention(y, y, y, need_weights=False)[0] + x).mean(1))

    model, x = Block().eval(), torch.randn(3, 5, 8)
    nn.init.normal_(model.norm.bias)
    layers = ["norm", "attention", "head"]
    relevance = hudd.LRP(model, rules="attnlrp", layers=layers, bias_share=True).attribute(x)
    torch.testing.assert_close(relevance.output, model(x).detach(), rtol=1e-5, atol=1e-5)
    assert relevance.conservation["norm"].abs().max() < 1e-5
    for name, leak in relevance.conservation.items():
        assert (leak + relevance.bias_share[name]).abs().max() <= 1e-3
    assert relevance.bias_share["attention"].abs().max() > 1e-3
    assert recommended(model, x) is COMPOSITES["cp-lrp-gamma"]


def test_recommended_by_what_the_graph_shows() -> None:
    x = torch.randn(2, 3, 8, 8)
    convolutions = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
    rectified = nn.Sequential(convolutions[0], nn.ReLU(), convolutions[1], nn.Flatten(), nn.Linear(64, 3))
    signed = nn.Sequential(convolutions[0], nn.GELU(), convolutions[1], nn.Flatten(), nn.Linear(64, 3))
    assert recommended(rectified, x) is COMPOSITES["epsilon-plus-flat"]
    lrp = hudd.LRP(signed, rules="recommended")
    lrp.prepare(x)
    assert lrp.composite is COMPOSITES["epsilon-gamma"]
