import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hudd.errors import UsageError
from hudd.features import Activations, Backbone, Pixels


class Net(nn.Module):
    """Two convolutions with a ReLU in place, so that what is kept must be a copy."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3)
        self.relu, self.head = nn.ReLU(inplace=True), nn.Linear(5 * 16, 2)

    def forward(self, x):
        x = self.relu(self.first(x))
        return self.head(self.relu(self.second(x)).flatten(1))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().eval()


@pytest.fixture
def images():
    return torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_activations_are_what_enters_a_layer(net, images):
    extractor = Activations(net, ["first", "second", "head"])
    assert extractor.prepare(images) == ("first", "second", "head")
    found = extractor.attribute(images).layers
    torch.testing.assert_close(found["first"], images, rtol=0, atol=0)
    with torch.no_grad():
        second = net.first(images).relu()
        torch.testing.assert_close(found["second"], second)
        torch.testing.assert_close(found["head"], net.second(second).relu().flatten(1))
    assert not net.second._forward_pre_hooks


@pytest.mark.slow
@pytest.mark.parametrize(("pool", "shape"), [("channel", (6, 4)), ("space", (6, 6, 6))])
def test_activations_are_pooled_as_heatmaps_are(net, images, pool, shape):
    whole = Activations(net, ["second"]).attribute(images).layers["second"]
    pooled = Activations(net, ["second"], pool).attribute(images).layers["second"]
    assert pooled.shape == shape
    torch.testing.assert_close(pooled, whole.sum((2, 3) if pool == "channel" else 1))


def test_an_unknown_layer_is_named(net, images):
    with pytest.raises(UsageError, match="third"):
        Activations(net, ["third"]).prepare(images)


def test_pixels_are_the_images(images):
    assert Pixels().prepare(images) == ("pixels",)
    assert Pixels().attribute(images).layers["pixels"] is images


def write(folder: Path, body: str) -> str:
    path = folder / "backbone.py"
    path.write_text(f"import torch\nfrom torch import nn\n\n\n{body}\n")
    return f"{path}:make"


def test_own_backbone_gives_its_output(tmp_path, images):
    spec = write(tmp_path, "def make():\n    return nn.AvgPool2d(4)\nmake.transform = len")
    backbone = Backbone(spec)
    assert backbone.prepare(images) == ("transfer",)
    assert backbone.transform is len
    found = backbone.attribute(images).layers["transfer"]
    torch.testing.assert_close(found, nn.AvgPool2d(4)(images).flatten(1))


def test_a_backbone_that_does_not_fit_is_refused_before_any_work(tmp_path, images):
    with pytest.raises(UsageError, match="cannot take an image of 3x8x8"):
        Backbone(write(tmp_path, "def make():\n    return nn.Linear(5, 2)")).prepare(images)
    with pytest.raises(UsageError, match="no tensor with a row per image"):
        Backbone(write(tmp_path, "def make():\n    return nn.Flatten(0)")).prepare(images)


def test_torchvision_gives_what_enters_the_last_layer(monkeypatch, net, images):
    """Against a stand-in with torchvision's interface: its weights need a network."""

    class Weights:
        DEFAULT = types.SimpleNamespace(transforms=lambda: "transform")

    models = types.ModuleType("torchvision.models")
    models.get_model_weights = {"net": Weights}.__getitem__
    models.get_model = lambda name, weights: net.train()
    package = types.ModuleType("torchvision")
    package.models = models
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    backbone = Backbone("torchvision:net")
    assert backbone.transform == "transform"
    assert not backbone.module.training
    found = backbone.attribute(images).layers["transfer"]
    torch.testing.assert_close(found, Activations(net, ["head"]).attribute(images).layers["head"])
    with pytest.raises(UsageError, match="torchvision:other"):
        Backbone("torchvision:other")


def test_timm_gives_its_pooled_features(monkeypatch, images):
    timm = types.ModuleType("timm")
    timm.create_model = lambda name, pretrained, num_classes: nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    timm.data = types.SimpleNamespace(
        resolve_model_data_config=lambda model: {"size": 8}, create_transform=lambda size: size
    )
    monkeypatch.setitem(sys.modules, "timm", timm)
    backbone = Backbone("timm:net")
    assert backbone.transform == 8
    np.testing.assert_allclose(backbone.attribute(images).layers["transfer"], images.mean((2, 3)), atol=1e-6)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UsageError, match="needs the package timm"):
        Backbone("timm:resnet50")
