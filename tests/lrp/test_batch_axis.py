"""Layers inside which the images lie along another axis than the first, or within one: heatmaps come image by image."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import hudd
from hudd.capture import capture
from hudd.capture.samples import Place, places
from hudd.errors import UsageError
from hudd.lrp import contrast
from hudd.lrp.targets import Target

pytestmark = pytest.mark.slow


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


class StepsFirst(nn.Module):
    """Reads an image column by column; scores of every step, (T, N, K), as for a CTC loss."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 2, 3, padding=1)
        self.reader, self.head = nn.LSTM(2 * 4, 5), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        columns = torch.relu(self.convolution(x)).flatten(1, 2).permute(2, 0, 1)
        return self.head(self.reader(columns)[0])


class _ImagesFirst(nn.Module):
    def forward(self, steps: Tensor) -> Tensor:
        return steps.transpose(0, 1)


class Behind(nn.Module):
    """A linear layer, and what is made of its output."""

    def __init__(self, then: Callable[[Tensor], Tensor | tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.linear, self.then = nn.Linear(4, 3), then

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.then(self.linear(x))


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
    for place in (Place(), Place(1), Place(0, 1, 4), Place(0, 4, 1), Place(0, 2, 2)):
        assert torch.equal(place.back(place.first(tensor)), tensor)


def test_a_layer_of_mixed_images_is_left_out_or_refused() -> None:
    model, images = Mixed().eval(), torch.randn(3, 4)
    assert set(hudd.LRP(model, rules="epsilon").attribute(images).layers) == {"head"}
    with pytest.raises(UsageError, match="layer 'mix' has the images of a batch mixed"):
        hudd.LRP(model, rules="epsilon", layers=["mix"]).attribute(images)


STEP_TARGETS: dict[str, Target] = {
    "step and class": (2, 1),
    "a step and class a sample": [(0, 1), (2, 0), (1, 3)],
    "callable": lambda output: output * (output == output.amax(2, keepdim=True)),
    "contrast": contrast((2, 1), (2, 0)),
}


@pytest.fixture(scope="module")
def readers() -> tuple[hudd.LRP, hudd.LRP]:
    """A model that puts the steps first, and the same with the images first; as many of one as of the other."""
    torch.manual_seed(0)
    model = StepsFirst().eval()
    turned = nn.Sequential(model, _ImagesFirst())
    ours, theirs = (hudd.LRP(model, rules="epsilon", bias_share=True) for model in (model, turned.eval()))
    return ours, theirs


@pytest.mark.parametrize("name", STEP_TARGETS)
def test_an_output_with_the_images_along_another_axis(readers: tuple[hudd.LRP, hudd.LRP], name: str) -> None:
    images = torch.randn(3, 1, 4, 3, generator=torch.Generator().manual_seed(1))
    ours, theirs = (lrp.attribute(images, STEP_TARGETS[name]) for lrp in readers)
    assert ours.output.shape == (3, 3, 4)
    assert torch.equal(ours.output, theirs.output)
    assert torch.equal(ours.explained, theirs.explained)
    assert torch.equal(ours.inputs[0], theirs.inputs[0])
    for layer in ours.layers:
        assert torch.equal(ours.layers[layer], theirs.layers[f"0.{layer}"])
        assert torch.equal(ours.conservation[layer], theirs.conservation[f"0.{layer}"])
        assert torch.equal(ours.bias_share[layer], theirs.bias_share[f"0.{layer}"])


def test_the_step_that_is_explained(readers: tuple[hudd.LRP, hudd.LRP]) -> None:
    images = torch.randn(5, 1, 4, 3)
    found = readers[0].attribute(images, [(0, 1), (1, 0), (2, 3), (0, 0), (1, 2)])
    scores = readers[0].model(images).detach()
    expected = torch.stack(
        [scores[0, 0, 1], scores[1, 1, 0], scores[2, 2, 3], scores[0, 3, 0], scores[1, 4, 2]]
    )
    torch.testing.assert_close(found.explained, expected.double(), rtol=1e-5, atol=1e-6)


def test_an_output_with_the_images_within_an_axis() -> None:
    torch.manual_seed(0)
    model, x = Behind(torch.flatten), torch.randn(5, 4)
    found = hudd.LRP(model, rules="epsilon").attribute(x, [0, 1, 2, 0, 1])
    plain = hudd.LRP(model.linear, rules="epsilon").attribute(x, [0, 1, 2, 0, 1])
    assert torch.equal(found.output, plain.output)
    assert torch.equal(found.inputs[0], plain.inputs[0])


MIXES: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda output: output.mean(0),
    "sum": torch.sum,
    "both": lambda output: torch.cat([output, output.flip(1)]),
    "one more": lambda output: torch.cat([output, output.new_ones(1, 3)]),
    "some": lambda output: output[output[:, 0] > 0],
}


@pytest.mark.parametrize("name", MIXES)
@pytest.mark.parametrize("target", [None, 0, lambda output: output], ids=["predicted", "class", "callable"])
def test_an_output_that_mixes_the_images_is_refused(name: str, target: Target) -> None:
    with pytest.raises(UsageError, match="the model's output has no place for each image of a batch"):
        hudd.LRP(Behind(MIXES[name]), rules="epsilon").attribute(torch.randn(5, 4), target)


@pytest.mark.parametrize("name", MIXES)
def test_beside_an_output_that_mixes_the_images(name: str) -> None:
    torch.manual_seed(0)
    model, x = Behind(lambda output: (output, MIXES[name](output))), torch.randn(5, 4)
    lrp, plain = hudd.LRP(model, rules="epsilon"), hudd.LRP(model.linear, rules="epsilon").attribute(x)
    assert torch.equal(lrp.attribute(x).inputs[0], plain.inputs[0])
    by_callable = lrp.attribute(x, lambda outputs: [torch.ones_like(outputs[0]), None])
    torch.testing.assert_close(by_callable.explained, torch.full((5,), 3.0).double())
    with pytest.raises(UsageError, match="the model's output has no place for each image of a batch"):
        lrp.attribute(x, lambda outputs: [None, outputs[1]])
