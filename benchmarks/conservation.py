"""Conservation of relevance, layer by layer, for the architectures of torchvision: writes docs/conservation.md.

Weights and biases are random; batch norms are calibrated on noise, so that activations have unit scale. What biases,
norm shifts and other constant summands absorb is listed apart; what else a layer loses or adds is its rule's own.
"""

from __future__ import annotations

from pathlib import Path

import harness
import peers
import torch
from torch import Tensor, nn

import hudd

MODELS = [
    "alexnet",
    "vgg16",
    "vgg11_bn",
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "densenet121",
    "googlenet",
    "inception_v3",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "shufflenet_v2_x1_0",
    "regnet_y_400mf",
    "convnext_tiny",
    "vit_b_16",
    "swin_t",
    "swin_v2_t",
    "mnasnet0_5",
    "squeezenet1_1",
    "maxvit_t",
]
RULES = ("epsilon", "epsilon-plus", "recommended")
_LINE = "{model:20s} {composite:18s} worst {worst_layer:.1e} ({layer})  bias {bias_share:.1e}"
_ROW = (
    "| {model} | {size} | {rules} | {composite} | {layers} | {worst_layer:.1e} | {layer} | {bias_share:.1e} |"
)
PAGE = Path(__file__).parent.parent / "docs" / "conservation.md"


def _build(name: str, size: int) -> nn.Module:
    torch.manual_seed(0)
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model = getattr(peers.torchvision_models(), name)(weights=None, **options)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if hasattr(module, "layer_scale"):
            nn.init.ones_(module.layer_scale)
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(4, 3, size, size))
    return model.eval()


@torch.no_grad()
def _shifted(model: nn.Module) -> nn.Module:
    """With biases that are not all zero, as random initialisation leaves them."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        for name in ("bias", "in_proj_bias"):
            shift = getattr(module, name, None)
            if isinstance(shift, Tensor):
                shift.add_(0.05 * torch.randn(shift.shape, generator=generator))
    return model


def _explain(model: nn.Module, rules: str, images: Tensor) -> dict[str, object]:
    """The layer that loses or adds most, and what biases absorb, as shares of the explained output."""
    lrp = hudd.LRP(model, rules=rules, bias_share=True)
    relevance = lrp.attribute(images)
    lost = {
        name: float((leak + relevance.bias_share[name]).abs().max())
        for name, leak in relevance.conservation.items()
    }
    worst = max(lost, key=lost.__getitem__)
    shares = torch.stack(list(relevance.bias_share.values()))
    return {
        "composite": lrp.composite.name,
        "worst_layer": lost[worst],
        "layer": worst,
        "layers": len(lost),
        "bias_share": float(shares.abs().max()),
    }


def main() -> None:
    """Measure every model, print and write the table."""
    options = harness.parser((__doc__ or "").partition("\n")[0], "conservation")
    options.add_argument("--size", type=int, default=224, help="height and width of the images")
    options.add_argument("--model", action="append", help="a torchvision model; may be given again")
    chosen = options.parse_args()
    rows: list[dict[str, object]] = []
    for name in chosen.model or MODELS:
        size = 299 if name == "inception_v3" else chosen.size
        size = 224 if name.startswith(("vit", "maxvit")) else size
        model, images = _shifted(_build(name, size)), torch.randn(2, 3, size, size)
        for rules in RULES:
            row = {"model": name, "rules": rules, "size": size, **_explain(model, rules, images)}
            rows.append(row)
            print(_LINE.format(**row), flush=True)
        if not chosen.model:  # what is known so far, should the run be cut off
            PAGE.write_text(_page(rows))
    record = {"versions": harness.versions("torch", "torchvision", "hudd"), "rows": rows}
    harness.write(chosen.out, record)
    if not chosen.model:
        PAGE.write_text(_page(rows))
        print(f"written: {PAGE}")


def _page(rows: list[dict[str, object]]) -> str:
    lines = [
        "# Conservation by architecture",
        "",
        "Written by `python benchmarks/conservation.py`: random weights and biases, batch norms calibrated on noise,",
        "float32, two images. *Worst layer* is the relevance a layer loses or adds, beyond what its biases absorb,",
        "as a share of what is explained: the greatest over all layers and images. *Bias share* is the most that the",
        "biases, norm shifts, masks and softmax constants of one layer absorb; it can exceed 1 where relevances of",
        "both signs cancel. `recommended` stands for the composite beside it.",
        "",
        "| model | input | rules | composite | layers | worst layer | which | bias share |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [_ROW.format(**row) for row in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
