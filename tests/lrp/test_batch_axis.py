"""Layers inside which the images lie along another axis than the first, or within one: heatmaps come image by image."""

import pytest
import torch
from torch import Tensor, nn

import hudd
from hudd.capture import capture
from hudd.capture.samples import Place, places
from hudd.errors import UsageError


class Windows(nn.Module):
    """The four quarters of an image as tokens of their own, merged into the batch as a Swin transformer does."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.mix, self.head = nn.LayerNorm(3), nn.Linear(3, 3), nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        n = x.shape[0]
        windows = x.view(n, 2, 4, 2, 4, 3).transpose(2, 3).reshape(n * 4, 16, 3)
        windows = self.mix(self.norm(windows))
        x = windows.view(n, 2, 2, 4, 4, 3).transpose(2, 3).reshape(n, 8, 8, 3)
        return self.head(x.mean((1, 2)))


class TokensFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x.flatten(2).permute(2, 0, 1)).mean(0))


class SidesFirst(nn.Module):
    """Both halves of every image, all the left ones before all the right ones."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.head = nn.Conv2d(3, 2, 3), nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        sides = torch.stack(x.chunk(2, 3)).flatten(0, 1)
        sides = self.convolution(sides).mean((2, 3))
        return self.head(sides.unflatten(0, (2, -1)).sum(0))


class Mixed(nn.Module):
    """Puts all images side by side, and a half of them apart."""

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([x, x.flip(1)])
        return self.head(self.mix(both)[: x.shape[0]])


CASES = {
    "windows": (Windows, (3, 8, 8), {"norm": (4, 16, 3), "mix": (4, 16, 3), "head": (3,)}),
    "tokens first": (TokensFirst, (4, 3, 3), {"layer.linear1": (9, 4), "layer.norm1": (9, 4), "head": (4,)}),
    "sides first": (SidesFirst, (3, 6, 10), {"convolution": (2, 3, 6, 5), "head": (2,)}),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("at", ["input", "output"])
def test_an_image_has_its_own_heatmap_whatever_its_company(name: str, at: str) -> None:
    make, shape, expected = CASES[name]
    torch.manual_seed(0)
    model, images = make().eval(), torch.randn(3, *shape)
    lrp = hudd.LRP(model, rules="epsilon", at=at)
    together = lrp.attribute(images)
    for layer, rest in expected.items():
        if at == "input":
            assert together.layers[layer].shape == (3, *rest)
        assert together.conservation[layer].shape == (3,)
    for index, image in enumerate(images.split(1)):
        alone = lrp.attribute(image)
        for layer, heatmap in alone.layers.items():
            torch.testing.assert_close(together.layers[layer][index], heatmap[0], rtol=1e-3, atol=1e-5)
            torch.testing.assert_close(
                together.conservation[layer][index], alone.conservation[layer][0], rtol=1e-3, atol=1e-4
            )


def test_where_the_images_are() -> None:
    graph = capture(Windows().eval(), torch.randn(2, 3, 8, 8))
    found = places(graph)
    windows = {place for node, place in found.items() if node.meta["module"] == "mix"}
    assert windows == {Place(axis=0, outer=1, inner=4)}
    tensor = torch.arange(24).reshape(8, 3)  # two images of four windows each
    assert torch.equal(Place(0, 1, 4).first(tensor), tensor.reshape(2, 4, 3))
    assert torch.equal(Place(0, 4, 1).first(tensor), tensor.reshape(4, 2, 3).transpose(0, 1))
    assert torch.equal(Place(1).first(tensor), tensor.t())


def test_a_layer_of_mixed_images_is_left_out_or_refused() -> None:
    model, images = Mixed().eval(), torch.randn(3, 4)
    assert set(hudd.LRP(model, rules="epsilon").attribute(images).layers) == {"head"}
    with pytest.raises(UsageError, match="layer 'mix' has the images of a batch mixed"):
        hudd.LRP(model, rules="epsilon", layers=["mix"]).attribute(images)
