"""Relevance where floating point is at its limits: finite wherever the network's own output is, and nothing hidden."""

import numpy as np
import pytest
import torch
from torch import nn

import hudd

RULES = ("epsilon-plus", "epsilon", "z-plus", "epsilon-gamma-box", "hudd-2021")


def net(outputs=4, scale=1.0, bias=True):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = nn.Sequential(
            nn.Conv2d(1, 4, 3, bias=bias),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(36, outputs, bias=bias),
        )
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(scale)
    return made


def images(scale=1.0):
    return scale * torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def without(made, layer, value=0.0):
    """The same network with one layer's parameters of one value."""
    with torch.no_grad():
        for parameter in made[layer].parameters():
            parameter.fill_(value)
    return made


HARD = {
    "zero images": (net, torch.zeros(3, 1, 8, 8)),
    "constant images": (net, torch.full((3, 1, 8, 8), 0.5)),
    "identical images": (net, images()[:1].repeat(3, 1, 1, 1)),
    "activations of 1e30": (net, images(1e30)),
    "activations near float32's largest": (net, images(3e38)),
    "activations of 1e-30": (lambda: net(bias=False), images(1e-30)),
    "denormal activations": (lambda: net(bias=False), images(1e-42)),
    "weights of 1e15": (lambda: net(scale=1e15, bias=False), images()),
    "weights of 1e-15": (lambda: net(scale=1e-15), images()),
    "logits of exactly 0": (lambda: without(net(), 4), images()),
    "a net whose units are all off": (lambda: without(net(), 0, -100.0), images()),
    "one output": (lambda: net(outputs=1), images()),
    "1,000 classes": (lambda: net(outputs=1000), images()),
}
NOTHING = {"zero images", "logits of exactly 0", "a net whose units are all off"}  # reaches the input


@pytest.mark.slow
@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("name", HARD)
def test_relevance_is_finite_and_so_is_what_it_lost(name, rules):
    make, batch = HARD[name]
    found = hudd.LRP(make(), rules=rules).attribute(batch)
    assert torch.isfinite(found.output).all()
    for layer, heatmap in found.layers.items():
        assert torch.isfinite(heatmap).all(), layer
        assert torch.isfinite(found.conservation[layer]).all(), layer
    if name in NOTHING and rules != "epsilon-gamma-box":
        assert found.layers["0"].count_nonzero() == 0


@pytest.mark.parametrize("scale", [1e6, 1e20])
def test_without_biases_relevance_grows_with_the_image(scale):
    """Of small images the stabilizer, which is absolute, takes a share, and conservation tells how large it is."""
    engine = hudd.LRP(net(bias=False), rules="z-plus")
    plain, scaled = engine.attribute(images()), engine.attribute(images(scale))
    for layer, heatmap in plain.layers.items():
        np.testing.assert_allclose(scaled.layers[layer] / scale, heatmap, rtol=2e-4, atol=1e-6)


def test_a_saturated_softmax_and_sigmoid():
    made = nn.Sequential(*net(scale=50.0), nn.Sigmoid())
    found = hudd.LRP(made).attribute(images(100.0), target=0)
    assert all(torch.isfinite(heatmap).all() for heatmap in found.layers.values())


@pytest.mark.slow
@pytest.mark.parametrize("rules", RULES)
def test_weights_that_are_not_numbers_are_not_hidden(rules):
    found = hudd.LRP(without(net(), 0, float("nan")), rules=rules).attribute(images())
    assert torch.isnan(found.output).all()
    assert torch.isnan(found.conservation["4"]).all()
    with pytest.raises(hudd.UsageError, match=r"row 0 .*not finite|NaN"):
        hudd.cluster(found.layers["4"].numpy())


def test_half_precision_overflows_to_infinity_and_says_what_was_lost():
    single, half = (
        hudd.LRP(net(scale=1e3), precision=p).attribute(images(1e3)) for p in ("float32", "float16")
    )
    beyond = single.layers["0"].abs() > 65504
    assert beyond.any()
    assert torch.isinf(half.layers["0"][single.layers["0"].abs() > 65520]).all()
    assert torch.equal(
        half.conservation["0"], single.conservation["0"]
    )  # of what was computed, not of what is stored
    with pytest.raises(hudd.UsageError):
        hudd.cluster(half.layers["0"].numpy())
