"""Weights lost layer by layer: which, in what order, and how alike maps are by Spearman's correlation."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn


class Crossed(nn.Module):
    """Layers that are called in another order than they are made in; a parameter of the module's own."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(4, 2)
        self.norm = nn.BatchNorm2d(1)
        self.first = nn.Conv2d(1, 1, 3, padding=1)
        self.unused = nn.Linear(3, 3)
        self.place = nn.Parameter(torch.arange(4.0))

    def forward(self, x):
        x = self.norm(self.first(self.first(x)))
        return self.last(x.flatten(1) + self.place)


def test_layers_come_from_the_output_on(heatmaps):
    image = torch.rand(1, 1, 2, 2)
    assert heatmaps["randomisation"].layers(Crossed().eval(), image) == ["last", "norm", "first", ""]


def test_the_named_layers_are_shuffled_and_no_others(heatmaps):
    torch.manual_seed(0)
    model = Crossed()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    other = heatmaps["randomisation"].shuffled(model, ["last", "first"])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    for name, value in other.state_dict().items():
        if name in ("last.weight", "first.weight"):
            assert not torch.equal(value, before[name])
            assert torch.equal(value.flatten().sort()[0], before[name].flatten().sort()[0])
        elif name not in ("last.bias", "first.bias"):
            assert torch.equal(value, before[name]), name
    again = heatmaps["randomisation"].shuffled(model, ["last", "first"])
    assert torch.equal(again.last.weight, other.last.weight)


@pytest.mark.parametrize(
    ("count", "numbers"), [(1, [1]), (2, [1, 2]), (5, [1, 2, 4, 5]), (40, [1, 10, 20, 30, 40])]
)
def test_depths(heatmaps, count, numbers):
    found = heatmaps["randomisation"].depths(count)
    assert list(found.values()) == numbers
    assert next(iter(found)) == "last layer"
    assert count == 1 or list(found)[-1] == "all layers"


@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), values=st.sampled_from([3, 1000]))
def test_agreement_is_the_correlation_of_ranks_of_scipy(heatmaps, seed, values):
    draw = np.random.default_rng(seed)
    a, b = draw.integers(0, values, (2, 3, 4, 5)).astype(np.float32)
    found = heatmaps["randomisation"].agreement(torch.from_numpy(a), torch.from_numpy(b))
    for one, x, y in zip(found, a, b):
        assert one == pytest.approx(stats.spearmanr(x.ravel(), y.ravel()).statistic)


def test_agreement_of_the_same_the_opposite_and_nothing(heatmaps):
    a = torch.arange(12.0).view(1, 3, 4)
    agreement = heatmaps["randomisation"].agreement
    assert agreement(a, a.exp()) == pytest.approx(1)
    assert agreement(a, -a) == pytest.approx(-1)
    assert agreement(a, torch.ones(1, 3, 4)) == 0
