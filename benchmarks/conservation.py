"""Conservation of relevance, layer by layer and architecture by architecture: writes docs/conservation.md.

Weights and biases are random; batch norms are calibrated on noise, so that activations have unit scale. What biases,
norm shifts and other constant summands absorb is listed apart; what else a layer loses or adds is its rule's own.
On the networks that zennit and captum get right the relevance of the input is compared with theirs.
"""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from unittest import mock

import double
import harness
import peers
import torch
from torch import Tensor, nn

import hudd
import hudd.lrp.engine
from hudd.errors import UnsupportedOperation
from hudd.lrp.composites import Composite, composite_of

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "conservation.md"
TORCHVISION = [
    "alexnet", "vgg11", "vgg16", "vgg11_bn", "resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2",
    "densenet121", "googlenet", "inception_v3", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0",
    "shufflenet_v2_x1_0", "regnet_x_400mf", "regnet_y_400mf", "convnext_tiny", "vit_b_16", "swin_t",
    "swin_v2_t", "mnasnet0_5", "squeezenet1_1",
]  # fmt: skip
TIMM = [
    "resnetv2_18", "skresnet18", "res2next50", "dpn48b", "hrnet_w18_small", "tresnet_m", "hgnetv2_b0",
    "ghostnet_050", "mobilenetv2_035", "efficientnet_lite0", "regnetx_002", "test_nfnet", "inception_v4",
    "convnext_atto", "convnextv2_atto", "inception_next_atto", "starnet_s050", "fastvit_t8",
    "poolformerv2_s12", "gmlp_ti16_224", "vit_tiny_patch16_224", "beit_base_patch16_224", "cait_xxs24_224",
    "convit_tiny", "levit_128s", "swin_tiny_patch4_window7_224", "pvt_v2_b0",
]  # fmt: skip
SMALL = runpy.run_path(str(ROOT / "tests" / "lrp" / "conftest.py"))["NETWORKS"]
RULES = ("epsilon", "epsilon-plus", "recommended")
FIXED = {"inception_v3": 299, "inception_v4": 128, "legacy_xception": 128}  # no smaller image goes through
CANONICAL = {
    "alexnet",
    "vgg11",
    "vgg16",
    "vgg11_bn",
    "resnet18",
    "resnet50",
}  # zennit has canonizers for these
BY_CAPTUM = {"alexnet", "vgg11", "vgg16"}
_COMPARED = ("zennit", "captum", "hudd in float32", "zennit in float32", "captum in float32")
_LINE = "{model:30s} {composite:18s} worst {worst_layer:.1e} ({layer})  bias {bias_share:.1e}  {agreement}"
_ROW = "| {model} | {size} | {composite} | {layers} | {worst_layer:.1e} | {layer} | {bias_share:.1e} |"


def build(name: str, size: int) -> nn.Module:
    """A model of torchvision, or of timm by ``timm/name``, with activations of unit scale throughout."""
    torch.manual_seed(0)
    library, _, variant = name.rpartition("/")
    if library == "timm":
        peers.torchvision_models()  # timm imports torchvision
        import timm

        model = timm.create_model(variant)
    elif library == "small":
        return calibrated(SMALL[variant][0](), [torch.randn(4, *shape) for shape in SMALL[variant][1]])
    else:
        options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        model = getattr(peers.torchvision_models(), name)(weights=None, **options)
    return calibrated(model, [torch.randn(4, 3, size, size)])


@torch.no_grad()
def calibrated(model: nn.Module, noise: Sequence[Tensor]) -> nn.Module:
    """The model in evaluation mode, with activations of unit scale for such noise."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        for name, parameter in module.named_parameters(recurse=False):
            if name in ("layer_scale", "gamma", "gamma1", "gamma2", "gamma_1", "gamma_2"):
                nn.init.ones_(parameter)
    model.train()
    for _ in range(3):
        model(*(torch.randn_like(tensor) for tensor in noise))
    return model.eval()


@torch.no_grad()
def shifted(model: nn.Module) -> nn.Module:
    """With biases that are not all zero, as random initialisation leaves them."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        for name in ("bias", "in_proj_bias"):
            shift = getattr(module, name, None)
            if isinstance(shift, Tensor):
                shift.add_(0.05 * torch.randn(shift.shape, generator=generator))
    return model


@contextmanager
def captured_once() -> Iterator[None]:
    """Within, a model is captured once for all rules."""
    capture, known = hudd.lrp.engine.capture, {}

    def remembered(model: nn.Module, example: Sequence[Tensor]) -> object:
        key = model, example[0].dtype
        if key not in known:
            known[key] = capture(model, example)
        return known[key]

    with mock.patch.object(hudd.lrp.engine, "capture", remembered):
        yield


def _largest(outputs: Tensor | tuple[Tensor, ...]) -> Tensor | list[Tensor | None]:
    """The greatest number of an image's output, the last of several outputs."""
    output = outputs[-1] if isinstance(outputs, tuple) else outputs
    seed = output * nn.functional.one_hot(output.flatten(1).argmax(1), output[0].numel()).view_as(output)
    return [*[None] * (len(outputs) - 1), seed] if isinstance(outputs, tuple) else seed


def explain(model: nn.Module, rules: str, images: Sequence[Tensor]) -> dict[str, object]:
    """The layer that loses or adds most, and what biases absorb, as shares of the explained output."""
    lrp = hudd.LRP(model, rules=rules, bias_share=True)
    relevance = lrp.attribute(images, _largest)
    lost = {
        name: float((leak + relevance.bias_share[name]).abs().max())
        for name, leak in relevance.conservation.items()
    }
    share = max(float(part.abs().max()) for part in relevance.bias_share.values())
    worst = max(lost, key=lost.__getitem__)
    return {
        "composite": lrp.composite.name,
        "worst_layer": lost[worst],
        "layer": worst,
        "layers": len(lost),
        "bias_share": share,
    }


def _agreement(name: str, model: nn.Module, rules: str, images: Tensor) -> dict[str, float]:
    """The worst difference of the input's relevance from a peer's, both in float64, as a share of an image's greatest.

    And how far each is from that in float32.
    """
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0  # zennit's merge leaves it behind
    made: dict[str, Callable[[], peers.Runner]] = {}
    if name in CANONICAL and rules in ("epsilon", "epsilon-plus"):
        made["zennit"] = lambda: peers.zennit(model, rules)
    if name in BY_CAPTUM and rules == "epsilon":
        made["captum"] = lambda: peers.captum(model)
    if not made:
        return {}

    def ours(batch: Tensor, rules: str | Composite) -> Tensor:
        return hudd.LRP(model, rules=rules, layers=["input"]).attribute(batch).inputs[0]

    single = ours(images, rules)
    model.double()
    with double.engine():
        exact = ours(images.double(), rules)
    found = {"hudd in float32": _difference(single, exact)}
    for peer, runner in made.items():
        if peer == "captum":  # its epsilon is smaller, in average pools too
            with double.engine():
                exact = ours(images.double(), replace(composite_of("epsilon(1e-9)"), epsilon=1e-9))
        with suppress(ImportError):
            theirs = runner()(images.double())
            found[peer] = _difference(exact, theirs)
            model.float()
            found[f"{peer} in float32"] = _difference(runner()(images), theirs)
            model.double()
    model.float()
    return found


def _difference(ours: object, theirs: object) -> float:
    assert isinstance(ours, Tensor)
    assert isinstance(theirs, Tensor)
    largest = theirs.detach().abs().flatten(1).amax(1)
    return float(((ours.detach().double() - theirs.detach()).abs().flatten(1).amax(1) / largest).max())


def _measured(name: str, size: int) -> list[dict[str, object]]:
    library, _, variant = name.rpartition("/")
    model = shifted(build(name, size))
    shapes = SMALL[variant][1] if library == "small" else [(3, size, size)]
    torch.manual_seed(2)
    images = [torch.randn(2, *shape) for shape in shapes]
    rows = []
    for rules in RULES:
        try:
            row = {"model": name, "rules": rules, "size": shapes[0][-1], **explain(model, rules, images)}
        except UnsupportedOperation as error:
            print(f"{name:30s} {error}", flush=True)
            return [{"model": name, "obstacle": f"`{error.operation}` in `{error.module}`"}]
        row["agreement"] = _agreement(name, model, rules, images[0]) if name in CANONICAL else {}
        rows.append(row)
        print(_LINE.format(**row), flush=True)
    if rows[-1]["composite"] == "cp-lrp-gamma":  # what else there is for transformers
        row = {"model": name, "rules": "attnlrp-gamma", "size": shapes[0][-1]}
        rows.append({**row, **explain(model, "attnlrp-gamma", images), "agreement": {}})
        print(_LINE.format(**rows[-1]), flush=True)
    return rows


def _size(name: str, size: int) -> int:
    """The smallest image that goes through, or the asked-for size."""
    if name in FIXED or name.startswith(("vit_b", "maxvit")):
        return FIXED.get(name, 224)
    if name.startswith("timm/"):
        peers.torchvision_models()
        import timm

        settings = timm.get_pretrained_cfg(name.removeprefix("timm/"))
        assert settings is not None
        return settings.input_size[-1] if settings.fixed_input_size else FIXED.get(name[5:], size)
    return size


def main() -> None:
    """Measure every model, print and write the table."""
    options = harness.parser((__doc__ or "").partition("\n")[0], "conservation")
    options.add_argument(
        "--size", type=int, default=96, help="height and width of the images where any will do"
    )
    options.add_argument(
        "--model",
        action="append",
        help="this model alone, e.g. resnet18 or timm/test_vit; may be given again; others stay as recorded",
    )
    chosen = options.parse_args()
    names = [*TORCHVISION, *(f"timm/{name}" for name in TIMM), *(f"small/{name}" for name in SMALL)]
    rows: dict[str, list[dict[str, object]]] = {name: [] for name in names}
    if chosen.model and chosen.out.exists():
        for row in json.loads(chosen.out.read_text())["rows"]:
            rows.setdefault(row["model"], []).append(row)
    for name in chosen.model or names:
        with captured_once():
            rows[name] = _measured(name, _size(name, chosen.size))
        known = [row for each in rows.values() for row in each]
        PAGE.write_text(_page(known))  # at once, should the run be cut off
    found = harness.versions("torch", "torchvision", "timm", "zennit", "captum", "hudd")
    harness.write(chosen.out, {"versions": found, "rows": known})
    print(f"written: {PAGE}")


def _page(rows: list[dict[str, object]]) -> str:
    measured = [row for row in rows if "obstacle" not in row]
    conserving = [row for row in measured if row["rules"] != "attnlrp-gamma"]
    worst = max(conserving, key=lambda row: row["worst_layer"])  # type: ignore[arg-type, return-value]
    recommended = max(row["worst_layer"] for row in conserving if row["rules"] == "recommended")  # type: ignore[type-var]
    lines = [
        "# Conservation by architecture",
        "",
        "Written by `python benchmarks/conservation.py`: random weights and biases, batch norms calibrated on noise,",
        "float32, two images. *Worst layer* is the relevance a layer loses or adds, beyond what its biases absorb,",
        "as a share of what is explained: the greatest over all layers and images. *Bias share* is the most that the",
        "biases, norm shifts, masks and softmax constants of one layer absorb; it can exceed 1 where relevances of",
        "both signs cancel.",
        "",
        f"The worst layer of {len({row['model'] for row in measured})} models under the composite recommended for it "
        f"loses {recommended:.1e}.",
        f"Under any, it is `{worst['layer']}` of {worst['model']}: {worst['worst_layer']:.1e}, {worst['composite']}.",
        "`attnlrp-gamma` is left out of both, see [lrp.md](lrp.md).",
        "[conservation-zoo.md](conservation-zoo.md) has one model of each family of timm.",
        "",
    ]
    obstacles = [row for row in rows if "obstacle" in row]
    if obstacles:
        lines += ["Refused, by name:", ""]
        lines += [f"- {row['model']}: {row['obstacle']} has no rule." for row in obstacles] + [""]
    for title, prefix in (("torchvision", ""), ("timm", "timm/"), ("Networks of the tests", "small/")):
        mine = [row for row in measured if str(row["model"]).rpartition("/")[0] == prefix.rstrip("/")]
        if not mine:
            continue
        lines += [
            f"## {title}",
            "",
            "| model | input | composite | layers | worst layer | which | bias share |",
        ]
        lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
        shown = {(row["model"], row["composite"]): row for row in mine}.values()  # some are recommended too
        lines += [
            _ROW.format(**{**row, "model": str(row["model"]).removeprefix(prefix)}) for row in shown
        ] + [""]
    compared = [row for row in measured if row["agreement"]]
    if compared:
        lines += [
            "## Agreement with other libraries",
            "",
            "On networks and rules that they get right (zennit with its own canonizers): the greatest difference of",
            "the input's relevance, both in float64, as a share of an image's greatest; then how far each is in",
            "float32 from float64. captum's epsilon is 1e-9, so hudd uses it here, in average pools too; the",
            "difference left is of max pools, which captum alone stabilizes. It has no residual sums, and neither",
            "library has a conserving way through the other networks above.",
            "",
            f"| model | rules | {' | '.join(_COMPARED)} |",
            "| --- | --- |" + " --- |" * len(_COMPARED),
        ]
        for row in compared:
            agreement: dict[str, float] = row["agreement"]  # type: ignore[assignment]
            cells = [f"{agreement[kind]:.1e}" if kind in agreement else "" for kind in _COMPARED]
            lines.append(f"| {row['model']} | {row['rules']} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
