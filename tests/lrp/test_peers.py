"""Agreement with zennit and captum on the nets and rules that they get right.

Both hook modules, so the nets hold no functional calls; zennit takes no residual adds without its own module for them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

import hudd
from hudd.lrp import Epsilon, Gamma, ZBox

pytestmark = pytest.mark.slow

RELATIVE = 1e-4  # of the greatest relevance of a sample


def _assert_close(ours: Tensor | None, theirs: Tensor) -> None:
    assert ours is not None
    scale = theirs.abs().flatten(1).amax(1)
    assert (scale > 0).all()
    assert ((ours - theirs).abs().flatten(1).amax(1) / scale).max() <= RELATIVE


def _alexnet_like() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, 2, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(8, 12, 3, padding=1, groups=2),
        nn.ReLU(), nn.Conv2d(12, 12, 3, padding=2, dilation=2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(),
        nn.Linear(12 * 4, 16), nn.ReLU(), nn.Linear(16, 5),
    )  # fmt: skip


def _volumes() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(2, 4, 2), nn.ReLU(), nn.AdaptiveAvgPool3d(2), nn.ConvTranspose3d(4, 3, 2, 2), nn.ReLU(), nn.Flatten(),
        nn.Linear(3 * 64, 4),
    )  # fmt: skip


def _signals() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(2, 6, 3), nn.ReLU(), nn.MaxPool1d(2), nn.ConvTranspose1d(6, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(4 * 13, 4),
    )  # fmt: skip


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "images": (_alexnet_like, (3, 19, 19)),
    "signals": (_signals, (2, 16)),
    "volumes": (_volumes, (2, 5, 5, 5)),
}
COMPOSITES = {
    "epsilon-plus": "EpsilonPlus",
    "epsilon-plus-flat": "EpsilonPlusFlat",
    "epsilon-alpha2-beta1": "EpsilonAlpha2Beta1",
    "epsilon-alpha2-beta1-flat": "EpsilonAlpha2Beta1Flat",
    "epsilon-gamma-box": "EpsilonGammaBox",
}


@pytest.fixture(params=NETS)
def case(request: pytest.FixtureRequest) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    make, shape = NETS[request.param]
    return make().eval(), torch.rand(4, *shape)


def _by_zennit(zennit: ModuleType, model: nn.Module, x: Tensor, composite: object) -> Tensor:
    def predicted(output: Tensor) -> Tensor:
        return output * nn.functional.one_hot(output.argmax(1), output.shape[1])

    with zennit.attribution.Gradient(model=model, composite=composite) as attributor:
        _, relevance = attributor(x.clone(), predicted)
    return relevance.detach()


@pytest.mark.parametrize("name", COMPOSITES)
def test_zennits_composites(zennit: ModuleType, case: tuple[nn.Module, Tensor], name: str) -> None:
    model, x = case
    bounds = {"low": torch.zeros_like(x[:1]), "high": torch.ones_like(x[:1])} if name.endswith("box") else {}
    composite = getattr(zennit.composites, COMPOSITES[name])(**bounds)
    _assert_close(hudd.LRP(model, rules=name).attribute(x).input, _by_zennit(zennit, model, x, composite))


# ours, zennit's; both are given signed input
RULES: dict[str, tuple[object, Callable[[ModuleType], object]]] = {
    "epsilon": ("epsilon", lambda rules: rules.Epsilon()),
    "larger epsilon": ("epsilon(0.1)", lambda rules: rules.Epsilon(epsilon=0.1)),
    "gamma": ("gamma(0.5)", lambda rules: rules.Gamma(gamma=0.5)),
    "z-plus": ("z-plus", lambda rules: rules.ZPlus()),
    "alpha-beta": ("alpha-beta(3, 2)", lambda rules: rules.AlphaBeta(alpha=3, beta=2)),
    "w-square": ("w-square", lambda rules: rules.WSquare()),
    "flat": ("flat", lambda rules: rules.Flat()),
    "z-box": (ZBox(low=-4.0, high=5.0), lambda rules: rules.ZBox(low=-4.0, high=5.0)),
}


@pytest.mark.parametrize("name", RULES)
def test_zennits_rules_on_signed_input(zennit: ModuleType, name: str) -> None:
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.Tanh(),
        nn.Conv2d(6, 4, 3, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 9, 5),
    ).eval()
    x = torch.randn(6, 3, 7, 7).clamp(-4, 5)
    ours_by, make = RULES[name]
    rules = [(zennit.types.Activation, zennit.rules.Pass()), (zennit.types.Linear, make(zennit.rules))]
    theirs_by = zennit.composites.LayerMapComposite(rules)
    ours = hudd.LRP(model, rules=ours_by).attribute(x)  # type: ignore[arg-type]
    _assert_close(ours.input, _by_zennit(zennit, model, x, theirs_by))


class Classifier(nn.Module):
    """captum has no rule for nn.Flatten, but does not see the function."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 4, 3), nn.ReLU()
        )
        self.head = nn.Sequential(nn.Linear(4 * 4, 8), nn.ReLU(), nn.Linear(8, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).flatten(1))


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")
@pytest.mark.parametrize("rule", ["epsilon", "gamma"])
def test_captum(captum: ModuleType, rule: str) -> None:
    rules = captum._utils.lrp_rules
    torch.manual_seed(2)
    model = Classifier().eval()
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.rule = rules.EpsilonRule(epsilon=1e-6) if rule == "epsilon" else rules.GammaRule(gamma=0.25)
            if rule == "gamma":
                nn.init.zeros_(layer.bias)  # captum favours positive weights, but not a positive bias
    x = torch.rand(4, 3, 8, 8)
    target = model(x).argmax(1)
    theirs = captum.LRP(model).attribute(x.clone().requires_grad_(), target=target).detach()
    ours_by = Epsilon() if rule == "epsilon" else Gamma(epsilon=1e-9)
    _assert_close(hudd.LRP(model, rules=ours_by).attribute(x).input, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alexnet", "vgg11", "resnet18"])
def test_torchvision_models(torchvision: ModuleType, zennit: ModuleType, name: str) -> None:
    """Random weights: outputs equal, relevance as zennit's with its canonizer for batch norm and residuals."""
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)(weights=None, num_classes=10).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0  # zennit's merge leaves it behind: 5e-6 a layer, and 1e-3 where residuals cancel
    x = torch.randn(2, 3, 96, 96)
    canonizers = {"resnet18": "ResNetCanonizer", "vgg11": "VGGCanonizer"}
    used = [getattr(zennit.torchvision, canonizers[name])()] if name in canonizers else []
    composite = zennit.composites.EpsilonPlus(canonizers=used)
    ours = hudd.LRP(model, rules="epsilon-plus").attribute(x)
    torch.testing.assert_close(ours.output, model(x).detach(), rtol=1e-5, atol=1e-5)
    _assert_close(ours.input, _by_zennit(zennit, model.double(), x.double(), composite))
    leaks = [leak.abs().max() for leak in ours.conservation.values()]
    assert torch.stack(leaks).isfinite().all()


class PaddedFirst(nn.Conv2d):
    """A convolution that pads by a child and then calls itself, as EfficientNet's."""

    def __init__(self, *sizes: int, **options: int) -> None:
        super().__init__(*sizes, bias=False, **options)  # type: ignore[arg-type]
        self.pad = nn.ZeroPad2d(self.kernel_size[0] // 2)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(self.pad(x), self.weight, self.bias, self.stride, groups=self.groups)


class Inverted(nn.Module):
    """An inverted residual block; zennit sees the sum through a module of its own."""

    def __init__(self, add: nn.Module) -> None:
        super().__init__()
        self.expand, self.norm0 = PaddedFirst(8, 64, 1), nn.BatchNorm2d(64, eps=1e-3)
        self.depthwise, self.norm1 = PaddedFirst(64, 64, 3, groups=64), nn.BatchNorm2d(64, eps=1e-3)
        self.project, self.norm2 = PaddedFirst(64, 8, 1), nn.BatchNorm2d(8, eps=1e-3)
        self.rectify, self.add = nn.ReLU6(), add

    def forward(self, x: Tensor) -> Tensor:
        y = self.rectify(self.norm0(self.expand(x)))
        y = self.norm2(self.project(self.rectify(self.norm1(self.depthwise(y)))))
        return self.add(torch.stack([y, x], -1))


@pytest.mark.parametrize("rules", ["epsilon-plus", "epsilon-gamma"])
def test_zennits_merged_batch_norms(zennit: ModuleType, rules: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float64 both agree once zennit's merge leaves no eps behind; as it is, it changes the network itself.

    The merged norm still divides by sqrt(1 + eps): with an eps of 1e-3, half a thousandth a norm.
    """
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    engine = importlib.import_module("double").engine
    torch.manual_seed(3)
    blocks = [Inverted(zennit.layer.Sum()) for _ in range(3)]
    model = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU6(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                          nn.Linear(8, 5)).double()  # fmt: skip
    x = torch.randn(4, 3, 17, 17, dtype=torch.float64)
    model.train()(x)
    model.eval()
    with engine():
        ours = hudd.LRP(model, rules=rules).attribute(x).input
    assert ours is not None
    output = model(x).detach()
    norms = [f"{at}.{name}" for at in (2, 3, 4) for name in ("norm0", "norm1", "norm2")]
    layers = [f"{at}.{name}" for at in (2, 3, 4) for name in ("expand", "depthwise", "project")]
    merge = zennit.canonizers.NamedMergeBatchNorm([([layer], norm) for layer, norm in zip(layers, norms)])
    convolution = zennit.rules.Gamma() if rules == "epsilon-gamma" else zennit.rules.ZPlus()
    composite = zennit.composites.LayerMapComposite(
        [*zennit.composites.layer_map_base(), (zennit.types.Convolution, convolution),
         (zennit.types.Linear, zennit.rules.Epsilon())],
        canonizers=[merge],
    )  # fmt: skip

    def apart() -> float:
        theirs = _by_zennit(zennit, model, x, composite)
        return float(((ours - theirs).abs().flatten(1).amax(1) / theirs.abs().flatten(1).amax(1)).max())

    assert apart() > 1e-4
    with composite.context(model) as merged:
        assert ((merged(x) - output).abs() / output.abs().amax()).max() > 1e-5  # another network
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert isinstance(module.running_var, Tensor)
            module.running_var += module.eps
            module.eps = 0.0
    torch.testing.assert_close(model(x), output, rtol=1e-12, atol=1e-12)
    assert apart() < 1e-9
