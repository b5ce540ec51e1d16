"""Every family of architectures conserves, layer by layer, or names its obstacle; none does.

The smallest members of each family, and shallow ones of the families' own classes where the smallest is large;
`benchmarks/conservation.py` measures the usual sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

import hudd
from hudd.lrp import worst_keypoint
from hudd.lrp.composites import Composite
from hudd.lrp.engine import capture

RELATIVE = 1e-3  # of what is explained, per layer and image, in float32
Make = Callable[[ModuleType], nn.Module]

pytestmark = [pytest.mark.filterwarnings("ignore:The default weight initialization of"), pytest.mark.slow]


@pytest.fixture(autouse=True)
def _one_capture_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Capture takes nearly all the time of these tests and does not depend on the rules."""
    known = {}

    def remembered(model: nn.Module, example: Sequence[Tensor]) -> object:
        if model not in known:
            known[model] = capture(model, example)
        return known[model]

    monkeypatch.setattr("hudd.lrp.engine.capture", remembered)


@torch.no_grad()
def lively(model: nn.Module, *inputs: Tensor) -> nn.Module:
    """With activations of unit scale throughout, and biases that are not all zero."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        for name, parameter in module.named_parameters(recurse=False):
            if name in ("layer_scale", "gamma", "gamma1", "gamma2"):
                nn.init.ones_(parameter)
            elif "bias" in name:
                parameter.add_(0.05 * torch.randn_like(parameter))
    model.train()
    for _ in range(3):
        model(*(torch.randn_like(torch.cat([tensor, tensor])) for tensor in inputs))
    return model.eval()


def assert_conserves(
    model: nn.Module, inputs: Sequence[Tensor], target: object = None
) -> dict[str, Composite]:
    """Every layer and image, biases apart, under the epsilon rule and the recommended composite."""
    composites = {}
    for rules in ("epsilon", "recommended"):
        lrp = hudd.LRP(model, rules=rules, bias_share=True)
        relevance = lrp.attribute(inputs, target)  # type: ignore[arg-type]
        expected = model(*inputs)
        first = expected[0] if isinstance(expected, tuple) else expected
        torch.testing.assert_close(relevance.output, first.detach(), rtol=1e-3, atol=1e-4)
        assert (relevance.explained.abs() > 1e-3).all(), "nothing to explain"
        images = len(inputs[0])
        assert [len(tensor) for tensor in relevance.inputs] == [images] * len(inputs)
        assert len(relevance.layers) >= 3
        for name, heatmap in relevance.layers.items():
            assert len(heatmap) == images, name
            assert heatmap.isfinite().all(), name
            lost = (relevance.conservation[name] + relevance.bias_share[name]).abs().max()
            assert lost <= RELATIVE, (
                f"{lrp.composite.name}: {name} loses or adds {lost:.1e} of what is explained"
            )
        composites[rules] = lrp.composite
    return composites


def _vgg(models: ModuleType, batch_norm: bool) -> nn.Module:
    model = models.VGG(
        models.vgg.make_layers([16, "M", 32, "M", 32, 32, "M"], batch_norm), 10, init_weights=False
    )
    model.classifier = nn.Sequential(nn.Linear(32 * 49, 32), nn.ReLU(True), nn.Dropout(), nn.Linear(32, 10))
    return model


def _swin(models: ModuleType) -> nn.Module:
    return models.SwinTransformer(
        [4, 4], 16, [2, 2], [2, 4], [4, 4], stochastic_depth_prob=0.1, num_classes=10
    )


def _regnet(models: ModuleType, squeeze: float | None) -> nn.Module:
    parameters = models.regnet.BlockParams.from_init_params(
        depth=4, w_0=16, w_a=16.0, w_m=2.5, group_width=8, se_ratio=squeeze
    )
    return models.RegNet(parameters, num_classes=10)


def _mobilenet_v3(models: ModuleType) -> nn.Module:
    settings = partial(models.mobilenetv3.InvertedResidualConfig, width_mult=1.0)
    blocks = [
        settings(16, 3, 16, 16, True, "RE", 2, 1),
        settings(16, 5, 48, 24, True, "HS", 2, 1),
        settings(24, 5, 64, 24, True, "HS", 1, 1),
    ]
    return models.MobileNetV3(blocks, 64, num_classes=10)


def _efficientnet(models: ModuleType) -> nn.Module:
    module = models.efficientnet
    settings = [
        module.FusedMBConvConfig(1, 3, 1, 16, 16, 1),
        module.MBConvConfig(4, 3, 2, 16, 24, 2),
        module.MBConvConfig(6, 5, 2, 24, 32, 1),
    ]
    return models.EfficientNet(settings, dropout=0.2, last_channel=64, num_classes=10)


def _convnext(models: ModuleType) -> nn.Module:
    block = models.convnext.CNBlockConfig
    return models.ConvNeXt([block(16, 32, 1), block(32, 64, 1), block(64, None, 2)], num_classes=10)


TORCHVISION: dict[str, tuple[Make, int]] = {
    "alexnet": (lambda m: m.alexnet(num_classes=10), 64),
    "vgg": (partial(_vgg, batch_norm=False), 32),
    "vgg, batch norm": (partial(_vgg, batch_norm=True), 32),
    "resnet": (lambda m: m.ResNet(m.resnet.BasicBlock, [1, 1, 1, 1], 10), 64),
    "resnext": (lambda m: m.ResNet(m.resnet.Bottleneck, [1, 1, 1, 1], 10, groups=8, width_per_group=8), 64),
    "wide resnet": (lambda m: m.ResNet(m.resnet.Bottleneck, [1, 1, 1, 1], 10, width_per_group=128), 64),
    "densenet": (lambda m: m.DenseNet(8, (2, 2, 2), 16, num_classes=10), 64),
    "googlenet": (lambda m: m.googlenet(num_classes=10, aux_logits=False, init_weights=False), 64),
    "inception": (lambda m: m.inception_v3(num_classes=10, aux_logits=False, init_weights=False), 96),
    "mobilenet v2": (
        lambda m: m.MobileNetV2(10, inverted_residual_setting=[[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 1, 2]]), 64
    ),
    "mobilenet v3": (_mobilenet_v3, 64),
    "efficientnet": (_efficientnet, 64),
    "shufflenet": (lambda m: m.ShuffleNetV2([2, 2, 2], [24, 48, 96, 192, 256], 10), 64),
    "regnet x": (partial(_regnet, squeeze=None), 64),
    "regnet y": (partial(_regnet, squeeze=0.25), 64),
    "convnext": (_convnext, 64),
    "vit": (lambda m: m.VisionTransformer(32, 8, 2, 4, 32, 64, num_classes=10), 32),
    "swin": (_swin, 32),
}  # fmt: skip
_SHALLOW = {"depths": (1, 1, 1, 1)}
_SMALL = {"img_size": 56}
TIMM: dict[str, tuple[str, dict[str, object], int]] = {
    "resnet": ("test_resnet", {"layers": (1, 1, 1, 1)}, 64),
    "vit": ("test_vit", {"depth": 2, "img_size": 64}, 64),
    "swin": ("swin_tiny_patch4_window7_224", {"depths": (2, 1), "embed_dim": 24, "num_heads": (2, 4), **_SMALL}, 56),
    "convnext": ("test_convnext", _SHALLOW, 64),
    "convnext v2": ("test_convnext2", _SHALLOW, 64),
    "efficientnet": ("test_efficientnet", {}, 64),
    "nfnet": ("test_nfnet", _SHALLOW, 64),
    "byobnet": ("test_byobnet", {}, 64),
}  # fmt: skip


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision(torchvision: ModuleType, name: str) -> None:
    make, size = TORCHVISION[name]
    torch.manual_seed(0)
    images = torch.randn(2, 3, size, size)
    assert_conserves(lively(make(torchvision.models), images), [images])


@pytest.mark.parametrize("name", TIMM)
def test_timm(timm: ModuleType, name: str) -> None:
    variant, options, size = TIMM[name]
    torch.manual_seed(0)
    images = torch.randn(2, 3, size, size)
    assert_conserves(lively(timm.create_model(variant, num_classes=10, **options), images), [images])


Networks = dict[str, tuple[type[nn.Module], list[tuple[int, ...]]]]


def _largest(outputs: Tensor | tuple[Tensor, ...]) -> Tensor | list[Tensor | None]:
    """The largest number of every image's output, the last of several."""
    output = outputs[-1] if isinstance(outputs, tuple) else outputs
    flat = output.flatten(1)
    chosen = torch.zeros_like(flat).scatter_(1, flat.argmax(1, keepdim=True), 1).view_as(output)
    seed = chosen * output
    return [None, seed] if isinstance(outputs, tuple) else seed


TARGETS = {
    "u-net": _largest,
    "stacked hourglass": worst_keypoint(
        torch.tensor([[[3.0, 4.0], [9.0, 2.0], [8.0, 8.0], [1.0, 12.0]]] * 2)
    ),
    "hrnet-like fusion": None,
    "two inputs, two outputs": _largest,
}


@pytest.mark.parametrize("name", TARGETS)
def test_small_networks(networks: Networks, name: str) -> None:
    assert set(TARGETS) == set(networks)
    make, shapes = networks[name]
    torch.manual_seed(0)
    inputs = [torch.randn(2, *shape) for shape in shapes]
    assert_conserves(lively(make(), *inputs), inputs, TARGETS[name])


class _Recurrent(nn.Module):
    """Rows of an image one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.rows, self.head = nn.Linear(6, 6), nn.LSTM(6, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rows(self.embed(x.flatten(1, 2)))[0][:, -1])


def test_recurrent_layers() -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 1, 3, 6)
    assert_conserves(lively(_Recurrent(), images), [images])
