"""Conservation of relevance, layer by layer, for the architectures of torchvision: writes docs/conservation.md.

Weights are random; batch norms are calibrated on noise, so that activations have unit scale. Biases, batch-norm and
layer-norm shifts absorb relevance by right, so each model is measured twice: as it is (what the shifts absorb is the
bias share), and with every shift at zero, where nothing may be lost.
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
RULES = ("epsilon", "epsilon-plus")
FIGURES = ("worst_layer", "whole", "bias_share")
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
def _without_shifts(model: nn.Module) -> nn.Module:
    for module in model.modules():
        for name in ("bias", "in_proj_bias", "running_mean"):
            shift = getattr(module, name, None)
            if isinstance(shift, Tensor):
                shift.zero_()
    return model


def _explain(model: nn.Module, rules: str, images: Tensor) -> tuple[float, float]:
    """The worst deviation of a layer, and that of the whole, as shares of the explained output."""
    relevance = hudd.LRP(model, rules=rules).attribute(images)
    assert relevance.input is not None
    whole = relevance.input.double().flatten(1).sum(1) / relevance.explained - 1
    layers = torch.stack(list(relevance.conservation.values()))
    return float(layers.abs().max()), float(whole.abs().max())


def main() -> None:
    """Measure every model, print and write the table."""
    options = harness.parser((__doc__ or "").partition("\n")[0], "conservation")
    options.add_argument("--model", action="append", help="a torchvision model; may be given again")
    chosen = options.parse_args()
    rows = []
    for name in chosen.model or MODELS:
        size = 299 if name == "inception_v3" else 224
        model, images = _build(name, size), torch.randn(2, 3, size, size)
        for rules in RULES:
            _, bias_share = _explain(model, rules, images)
            rows.append({"model": name, "rules": rules, "bias_share": bias_share})
        _without_shifts(model)
        for row in rows[-len(RULES) :]:
            row["worst_layer"], row["whole"] = _explain(model, row["rules"], images)
            print(
                "{model:20s} {rules:13s} layer {worst_layer:.1e}  whole {whole:.1e}  bias {bias_share:.1e}".format(
                    **row
                )
            )
    record = {"versions": harness.versions("torch", "torchvision", "hudd"), "rows": rows}
    harness.write(chosen.out, record)
    if not chosen.model:
        PAGE.write_text(_page(rows))
        print(f"written: {PAGE}")


def _page(rows: list[dict[str, object]]) -> str:
    lines = [
        "# Conservation by architecture",
        "",
        "Written by `python benchmarks/conservation.py` (random weights, calibrated batch norms, float32, two images).",
        "*Worst layer* and *whole* are relevance lost or added, as a share of what is explained, with every bias and",
        "shift at zero; *bias share* is what biases, batch-norm and layer-norm shifts absorb when they are not.",
        "",
        "| model | rules | worst layer | whole | bias share |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        lines.append(
            "| {model} | {rules} | {worst_layer:.1e} | {whole:.1e} | {bias_share:.1e} |".format(**row)
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
