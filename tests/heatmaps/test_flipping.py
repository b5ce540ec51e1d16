"""Patch flipping on a network whose right order is known, and which explanation is better by it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st


def gain(heatmaps, weights, images, maps, size=2):
    """Insertion less deletion of a linear network, patches replaced by zeros."""
    flipping = heatmaps["flipping"]

    def score(some):
        return (some * weights).sum((1, 2, 3))[:, None]

    zeros = torch.zeros_like(images)
    ends = score(images), score(zeros)
    kept, gone = flipping.areas(score, images, zeros, flipping.orders(maps, size), size, ends)
    return (kept - gone)[:, 0].numpy()


def test_areas_by_hand(heatmaps):
    # Patches of 4, 3, 2, 1 and none more; replaced are 1, 2 and 3 of the four.
    images = torch.tensor([[4.0, 3], [2, 1]]).view(1, 1, 2, 2)
    flipping = heatmaps["flipping"]
    score = lambda some: some.sum((1, 2, 3))[:, None]  # noqa: E731
    ends = score(images), torch.zeros(1, 1)
    order = flipping.orders(images[:, 0], 1)
    assert order.tolist() == [[0, 1, 2, 3]]
    kept, gone = flipping.areas(score, images, torch.zeros_like(images), order, 1, ends)
    assert gone.item() == pytest.approx((10 / 2 + 6 + 3 + 1 + 0) / 4)
    assert kept.item() == pytest.approx((10 / 2 + 9 + 7 + 4 + 0) / 4)


@given(seed=st.integers(0, 2**31), size=st.sampled_from([1, 2, 4]))
def test_no_order_gains_more_than_gradient_times_input_of_a_linear_network(heatmaps, seed, size):
    draw = torch.Generator().manual_seed(seed)
    weights, images = (torch.randn(3, 2, 8, 8, generator=draw, dtype=torch.float64) for _ in range(2))
    right = (weights * images).sum(1)
    most = gain(heatmaps, weights, images, right, size)
    assert (most > 0).all()
    for _ in range(4):
        other = torch.randn(3, 8, 8, generator=draw)
        assert (gain(heatmaps, weights, images, other, size) <= most + 1e-9).all()
    np.testing.assert_allclose(gain(heatmaps, weights, images, -right, size), -most, rtol=1e-9, atol=1e-12)


def test_random_maps_gain_about_nothing(heatmaps):
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(400, 1, 8, 8, generator=draw)
    weights = torch.randn(400, 1, 8, 8, generator=draw)
    most = gain(heatmaps, weights, images, (weights * images).sum(1))
    found = gain(heatmaps, weights, images, torch.rand(400, 8, 8, generator=draw))
    assert abs(found.mean()) < 0.1 * most.mean()
    assert abs(found.mean()) < 3 * found.std() / 20


def test_equal_patches_are_not_taken_row_by_row(heatmaps):
    order = heatmaps["flipping"].orders(torch.zeros(2, 8, 8), 2)
    assert order[0].tolist() != list(range(16))
    assert sorted(order[0].tolist()) == list(range(16))
    assert torch.equal(order[0], order[1])


def test_patches_that_do_not_tile_are_refused(heatmaps):
    with pytest.raises(ValueError, match="do not tile"):
        heatmaps["flipping"].orders(torch.zeros(1, 8, 8), 3)


def test_fillings_keep_the_colour(heatmaps):
    images = 5 + torch.rand(6, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    for name, filling in heatmaps["flipping"].fillings(images).items():
        assert filling.shape == images.shape
        assert filling.mean().item() == pytest.approx(images.mean().item(), abs=0.02), name
        assert (filling != images).any()


def test_the_first_is_chosen_by_one_half_and_tested_on_the_other(heatmaps):
    judging, draw = heatmaps["judging"], np.random.default_rng(0)
    base = draw.normal(size=80)
    gains = {"good": base + 1, "same": base + 1 + draw.normal(0, 0.01, 80), "bad": base - 1}
    gains["lucky"] = base.copy()
    gains["lucky"][0::2] += 5  # on the choosing half alone
    assert judging.first(gains) == "lucky"
    assert judging.judged(gains, "bad", ["bad", "same"], unranked=["lucky", "good"])["first"] == "same"
    p = judging.behind(gains, "good")
    assert set(p) == {"same", "bad", "lucky"}
    assert p["bad"] < 1e-6
    assert p["lucky"] < 1e-6
    assert judging.paired(base, base) == 1


def test_holm_by_hand(heatmaps):
    found = heatmaps["judging"].corrected({"a": 0.04, "b": 0.01, "c": 0.03, "d": 0.5})
    assert found == pytest.approx({"a": 0.09, "b": 0.04, "c": 0.09, "d": 0.5})
