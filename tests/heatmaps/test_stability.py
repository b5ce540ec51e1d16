"""Change of maps under noise, by hand and by law."""

import numpy as np
import torch


def test_change_by_hand(heatmaps):
    maps = torch.tensor([[[3.0, 4]], [[0, 0]], [[0, 0]], [[1, 0]]])
    others = torch.tensor([[[3.0, 0]], [[0, 0]], [[0, 2]], [[-1, 0]]])
    assert heatmaps["stability"].change(maps, others).tolist() == [4 / 5, 0, 1, 2]


def test_change_is_free_of_the_scale(heatmaps):
    maps, others = torch.rand(2, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    change = heatmaps["stability"].change
    assert torch.allclose(change(maps, others), change(1000 * maps, 1000 * others))


def test_noise_is_small_and_the_same_again(heatmaps):
    stability, images = heatmaps["stability"], torch.zeros(3, 2, 4, 4)
    found = list(stability.noisy(images, span=10, draws=3))
    assert len(found) == 3
    for one, again in zip(found, stability.noisy(images, span=10, draws=3)):
        assert torch.equal(one, again)
        assert 0.9 * 10 * stability.RADIUS < one.abs().max() <= 10 * stability.RADIUS
    assert not torch.equal(found[0], found[1])


def test_a_linear_map_changes_as_its_image(heatmaps):
    # Of gradient x input of a linear network the change is that of the weighted image.
    stability, draw = heatmaps["stability"], torch.Generator().manual_seed(0)
    images, weights = torch.rand(2, 4, 1, 6, 6, generator=draw)
    for other in stability.noisy(images, span=1, draws=2):
        expected = ((other - images) * weights).flatten(1).norm(dim=1) / (images * weights).flatten(1).norm(
            dim=1
        )
        found = stability.change((images * weights)[:, 0], (other * weights)[:, 0])
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert (found < 4 * stability.RADIUS).all()
