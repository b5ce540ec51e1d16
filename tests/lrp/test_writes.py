"""Generalised-mean pooling, writes into parts of a tensor, spatial transformers, and scores of prototypes.

Without biases the epsilon rule is gradient times input, whatever moves or weighs the numbers on their way.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import hudd
from hudd.errors import UnsupportedOperation

pytestmark = pytest.mark.slow

IMAGES = torch.rand(2, 3, 14, 14, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    def __init__(self, forward):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.ReLU())
        self.head = nn.Linear(8, 5, bias=False)
        self.place = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 6))
        self.p = nn.Parameter(torch.full((1,), 3.0))
        self.powers = nn.Parameter(torch.linspace(2, 4, 8).view(1, 8, 1, 1))
        self.prototypes = nn.Parameter(torch.randn(5, 8))
        self.of = forward

    def forward(self, x):
        return self.of(self, x)


def pooled(h):
    return h.mean((2, 3))


def written(change):
    """The net whose hidden values are changed in place."""

    def forward(net, x):
        h = net.stem(x)
        return net.head(pooled(change(h.clone())))

    return forward


def slices(h):
    h[:, :4] = h[:, 4:] * 2
    return h


def rows_moved(h):
    out = torch.zeros_like(h)
    out[:, :, 1:] = h[:, :, :-1]
    return out


def strided(h):
    out = torch.zeros_like(h)
    out[:, ::2, 2:5, ...] = h[:, 1::2, 2:5]
    return out


def added(h):
    h[:, 0] += h[:, 1]
    return h


def indexed(h):
    h[:, [0, 2]] = h[:, [1, 3]]
    return h


def cleared(h):
    h[:, :2] = 0
    h[:, 3].zero_()
    return h


def copied(h):
    h[:, 2:4].copy_(h[:, 4:6])
    return h


def masked(h):
    h[h < 0.1] = 0
    return h


def pasted(h):
    out = h.new_zeros(h.shape[0], 8, 20, 20)
    out[:, :, 3:15, 3:15] = h
    return out


def index_added(h):
    out = torch.zeros_like(h)
    out.index_add_(1, torch.tensor([1, 2, 1]), h[:, :3])
    return out


def scattered(h):
    return torch.zeros_like(h).scatter(1, torch.arange(8).flip(0).view(1, 8, 1, 1).expand_as(h), h)


WRITES = [
    slices, rows_moved, strided, added, indexed, cleared, copied, masked, pasted, index_added, scattered,
]  # fmt: skip


def through_grid(**options):
    """The net behind a spatial transformer; the grid is a gate."""

    def forward(net, x):
        grid = functional.affine_grid(net.place(x.detach()).view(-1, 2, 3), x.size(), align_corners=False)
        return net.head(pooled(net.stem(functional.grid_sample(x, grid, align_corners=False, **options))))

    return forward


LINEAR = {
    **{change.__name__: written(change) for change in WRITES},
    "spatial transformer": through_grid(),
    "nearest, border": through_grid(mode="nearest", padding_mode="border"),
    "bicubic, reflection": through_grid(mode="bicubic", padding_mode="reflection"),
}


@pytest.mark.parametrize("name", LINEAR)
def test_epsilon_is_gradient_times_input(name):
    model = Net(LINEAR[name]).eval()
    found = hudd.LRP(model, rules="epsilon(1e-9)", layers=["input"]).attribute(IMAGES, 1)
    leaf = IMAGES.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    expected = gradient * IMAGES
    assert found.input is not None
    first, second = found.input.flatten(1), expected.flatten(1)
    assert functional.cosine_similarity(first, second).min() > 0.9999
    torch.testing.assert_close(first.norm(dim=1), second.norm(dim=1), rtol=1e-2, atol=0)


def generalised_mean(power):
    def forward(net, x):
        p = power(net)
        h = net.stem(x).clamp(min=1e-6).pow(p)
        return net.head(h.mean((2, 3), keepdim=True).pow(1 / p).flatten(1))

    return forward


def cosine(net, x):
    return functional.cosine_similarity(pooled(net.stem(x)).unsqueeze(1), net.prototypes, dim=-1)


CONSERVING = {
    "one exponent": generalised_mean(lambda net: net.p),
    "an exponent a channel": generalised_mean(lambda net: net.powers),
    "cosine similarity": cosine,
    "cosine by hand": lambda net, x: (
        10 * functional.normalize(pooled(net.stem(x))) @ functional.normalize(net.prototypes).t()
    ),
}


@pytest.mark.parametrize("name", CONSERVING)
def test_conserves(name):
    model = Net(CONSERVING[name]).eval()
    found = hudd.LRP(model, rules="epsilon", bias_share=True).attribute(IMAGES, 1)
    for layer, leak in found.conservation.items():
        assert (leak + found.bias_share[layer]).abs().max() < 1e-4, layer
    torch.testing.assert_close(found.input.flatten(1).sum(1).double(), found.explained, rtol=1e-3, atol=1e-4)


def distances(net, x):
    return (pooled(net.stem(x)).unsqueeze(1) - net.prototypes).square().sum(-1)


REFUSED = {
    "cdist": (lambda net, x: -torch.cdist(pooled(net.stem(x)), net.prototypes), "cdist.*prototypes"),
    "softmax of cdist": (
        lambda net, x: torch.softmax(-torch.cdist(pooled(net.stem(x)), net.prototypes), 1),
        "cdist.*prototypes",
    ),
    "squared differences": (lambda net, x: -distances(net, x), "square.*prototypes"),
    "powers of differences": (
        lambda net, x: -((net.prototypes - pooled(net.stem(x))[:, None]) ** 2).sum(-1).sqrt(),
        "pow.*prototypes",
    ),
    "absolute differences": (
        lambda net, x: -(pooled(net.stem(x))[:, None] - net.prototypes).abs().sum(-1),
        "abs.*prototypes",
    ),
    "norm of differences": (
        lambda net, x: -(pooled(net.stem(x))[:, None] - net.prototypes).norm(dim=-1),
        "norm.*prototypes",
    ),
    "similarity of distances": (
        lambda net, x: torch.log((distances(net, x) + 1) / (distances(net, x) + 1e-4)),
        "square.*prototypes",
    ),
    "negative exponent": (generalised_mean(lambda net: -net.p), "negative power"),
    "exponent of the image": (
        lambda net, x: net.head(pooled(net.stem(x).clamp(min=1e-6).pow(x.mean()))),
        "depends on the model's input",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_its_own_name(name):
    forward, message = REFUSED[name]
    with pytest.raises(UnsupportedOperation, match=message):
        hudd.LRP(Net(forward).eval(), rules="epsilon").attribute(IMAGES, 1)


@pytest.mark.parametrize("variant", ["resnet10t", "repghostnet_050", "test_vit", "test_convnext3"])
def test_families_of_timm(timm, variant):
    torch.manual_seed(0)
    model = timm.create_model(variant, num_classes=7).eval()
    size = 160 if variant.startswith("test") else 64
    found = hudd.LRP(model, rules="recommended", bias_share=True).attribute(torch.randn(1, 3, size, size))
    worst = max(
        float((leak + found.bias_share[name]).abs().max()) for name, leak in found.conservation.items()
    )
    assert worst < 1e-4
