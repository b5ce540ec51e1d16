"""What an explanation shows of itself, and an LRP that is called as captum's methods are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import hudd
from hudd.errors import UsageError
from hudd.lrp import Relevance


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 10, 5)).eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 3, 8, 12)


def test_called_it_returns_the_relevance_of_the_input(model: nn.Module, images: torch.Tensor) -> None:
    lrp = hudd.LRP(model)
    assert torch.equal(lrp(images, 2), lrp.attribute(images, 2).input)
    (alone,) = lrp([images], 2)
    assert torch.equal(alone, lrp(images, 2))
    with pytest.raises(UsageError, match="name 'input' in it"):
        hudd.LRP(model, layers=["0"])(images)


def _of(heatmap: np.ndarray) -> Relevance:
    tensor = torch.from_numpy(heatmap).float()
    return Relevance((torch.zeros(len(tensor), 2),), torch.ones(len(tensor)), (tensor,))


def test_red_speaks_for_and_blue_against() -> None:
    heatmap = np.zeros((1, 1, 4, 4))
    heatmap[0, 0, 0, :2] = 1.0, -1
    shown = np.asarray(_of(heatmap).show(side=4)).astype(int)
    assert shown.shape == (4, 4, 3)
    (red, _, blue) = shown[0, 0]
    assert red > 2 * blue
    (red, _, blue) = shown[0, 1]
    assert blue > 2 * red
    assert (shown[1:] == 255).all()  # no relevance: the paper


def test_pictures_lie_under_the_heatmaps(model: nn.Module, images: torch.Tensor) -> None:
    relevance = hudd.LRP(model).attribute(images)
    shown = relevance.show(images, images=2, side=24)
    assert shown.size == (24 + 8 + 24, 16)
    nothing = _of(np.zeros((3, 1, 4, 6)))
    alone = np.asarray(nothing.show(images[:, :1], images=1, side=12))
    first = images[0, 0].double().numpy()
    grey = np.rint((first - first.min()) / (first.max() - first.min()) * 255)
    assert (alone == grey[..., None]).all()


def test_layers_have_maps_too(model: nn.Module, images: torch.Tensor) -> None:
    relevance = hudd.LRP(model, layers=["0"]).attribute(images)
    assert relevance.show() == relevance.show(layer="0")
    assert relevance.show().size == (3 * 160 + 2 * 8, 107)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": "9"}, "no relevance of layer '9'; the layers are: 0, 3"),
        ({"layer": "3"}, "so it is no map"),
        ({"inputs": torch.zeros(2, 3, 8, 12)}, "3 images"),
    ],
)
def test_wrong_calls_are_refused(
    model: nn.Module, images: torch.Tensor, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        hudd.LRP(model).attribute(images).show(**options)  # type: ignore[arg-type]
