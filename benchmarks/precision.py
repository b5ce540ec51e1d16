"""How far relevance of every precision, computed and stored, is from float64, rule by rule.

The yardstick is the same plan in float64 throughout (`double.py`). A heatmap's error is the greatest difference from
it, as a share of the heatmap's greatest number; what a rule has is the worst and the median over every layer, image
and network. Weights and biases are random, as in `conservation.py`. TF32 is simulated on the CPU: factors of
convolutions and matrix products are rounded to its 11 bits. Writes docs/precision.md.
"""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import conservation
import double
import harness
import peers
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import hudd
from hudd.arithmetic import CONTRACTIONS
from hudd.lrp import COMPOSITES, Composite, Epsilon, WSquare, ZPlus

NETWORKS = ["resnet18", "mobilenet_v2", "convnext_tiny"]
TRANSFORMERS = ["vit_b_16", "vit of digits, trained"]
RULES: dict[str, object] = {
    "zero": "zero",
    "epsilon": "epsilon",
    "gamma": "gamma",
    "z-plus": "z-plus",
    "alpha-beta": "alpha-beta",
    "flat, then epsilon-plus": "epsilon-plus-flat",
    "w-square, then epsilon-plus": Composite("w-square", ZPlus(), Epsilon(), first=WSquare()),
    "z-box, then epsilon-gamma": "epsilon-gamma-box",
}
ATTENTION_RULES: dict[str, object] = {
    name: COMPOSITES[name] for name in ("epsilon-plus", "cp-lrp-gamma", "attnlrp", "attnlrp-gamma")
}


class _Tf32(TorchDispatchMode):
    """Factors rounded to the nearest of TF32's numbers, products summed in float32."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        rounded = map(_to_tf32, args) if func in CONTRACTIONS else args
        return func(*rounded, **(kwargs or {}))


def _to_tf32(argument: object) -> object:
    if not isinstance(argument, Tensor) or argument.dtype != torch.float32:
        return argument
    return ((argument.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


# How relevance is computed and stored, as the columns of the table have it.
VARIANTS: dict[str, tuple[dict[str, str], Callable[[], AbstractContextManager[object]]]] = {
    "float32": ({}, nullcontext),
    "stored bfloat16": ({"dtype": "bfloat16"}, nullcontext),
    "stored float16": ({"dtype": "float16"}, nullcontext),
    "tf32": ({"precision": "tf32"}, _Tf32),
    "bfloat16": ({"precision": "bfloat16", "dtype": "float32"}, nullcontext),
}
PAGE = Path(__file__).parent.parent / "docs" / "precision.md"
Errors = dict[str, list[float]]


def _digits() -> tuple[nn.Module, Tensor]:
    """A vision transformer of six blocks trained on handwritten digits of 8 x 8 pixels, and two of them."""
    from sklearn.datasets import load_digits

    images, labels = map(torch.tensor, load_digits(return_X_y=True))
    images = (images.float().view(-1, 1, 8, 8) / 8 - 1).expand(-1, 3, -1, -1)
    torch.manual_seed(0)
    model = peers.torchvision_models().VisionTransformer(8, 2, 6, 4, 64, 128, num_classes=10)  # type: ignore[attr-defined]
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    for _ in range(12):
        for batch in torch.randperm(1500).split(64):
            loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    right = (model(images[1500:]).argmax(1) == labels[1500:]).float().mean()
    print(f"digits: {float(right):.1%} of 297 test images right")
    return model, images[1500:1502]


def _network(name: str, size: int) -> tuple[nn.Module, Tensor]:
    if name.endswith("trained"):
        return _digits()
    side = 224 if name.startswith("vit") else size
    model = conservation.shifted(conservation.build(name, side))
    return model, torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(2))


def _errors(model: nn.Module, doubled: nn.Module, images: Tensor, rules: object) -> Errors:
    """For each variant the errors of all heatmaps, layer by layer and image by image."""
    with double.engine():
        exact = hudd.LRP(doubled, rules=rules).attribute(images.double()).layers  # type: ignore[arg-type]
    found: Errors = {}
    for variant, (options, simulated) in VARIANTS.items():
        with simulated():
            coarse = hudd.LRP(model, rules=rules, **options).attribute(images).layers  # type: ignore[arg-type]
        found[variant] = [
            float((ours.double() - theirs).abs().max() / theirs.abs().max())
            for name, heatmap in exact.items()
            for theirs, ours in zip(heatmap, coarse[name])
            if theirs.any()
        ]
    return found


def _measured(names: list[str], rules: Mapping[str, object], size: int) -> list[dict[str, object]]:
    rows = []
    for name in names:
        model, images = _network(name, size)
        doubled = copy.deepcopy(model).double()
        with conservation.captured_once():
            for label, rule in rules.items():
                errors = _errors(model, doubled, images, rule)
                row = {"model": name, "rule": label, "size": images.shape[-1]}
                row["worst"] = {variant: max(found) for variant, found in errors.items()}
                row["median"] = {variant: statistics.median(found) for variant, found in errors.items()}
                rows.append(row)
                print(f"{name:18s} {label:34s}", *(f"{row['worst'][v]:.1e}" for v in VARIANTS), flush=True)  # type: ignore[index]
    return rows


def main() -> None:
    """Measure every rule, print and write the table."""
    options = harness.parser((__doc__ or "").partition("\n")[0], "precision")
    options.add_argument("--size", type=int, default=64, help="height and width of the images")
    options.add_argument("--model", action="append", help="a torchvision model; may be given again")
    chosen = options.parse_args()
    wanted = chosen.model or NETWORKS + TRANSFORMERS
    rows = _measured([name for name in NETWORKS if name in wanted], RULES, chosen.size)
    rows += _measured([name for name in TRANSFORMERS if name in wanted], ATTENTION_RULES, chosen.size)
    harness.write(chosen.out, {"versions": harness.versions("torch", "torchvision", "hudd"), "rows": rows})
    if not chosen.model:
        PAGE.write_text(_page(rows))
        print(f"written: {PAGE}")


def _page(rows: list[dict[str, object]]) -> str:
    head = "| | " + " | ".join(f"{variant}, worst | median" for variant in VARIANTS) + " |"
    rule = "| --- |" + " --- | --- |" * len(VARIANTS)

    def table(key: str, chosen: list[dict[str, object]]) -> list[str]:
        lines = []
        for label in dict.fromkeys(str(row[key]) for row in chosen):
            mine = [row for row in chosen if row[key] == label]
            cells = []
            for variant in VARIANTS:
                cells.append(f"{max(row['worst'][variant] for row in mine):.1e}")  # type: ignore[index]
                cells.append(f"{statistics.median(row['median'][variant] for row in mine):.1e}")  # type: ignore[index]
            lines.append(f"| {label} | " + " | ".join(cells) + " |")
        return [head, rule, *lines]

    plain = [row for row in rows if row["model"] in NETWORKS]
    attending = [row for row in rows if row["model"] in TRANSFORMERS]
    return "\n".join(
        [
            "# Precision",
            "",
            "Written by `python benchmarks/precision.py`. `LRP` takes float32 inputs and computes in IEEE float32,",
            "whatever torch is set to (on a GPU torch convolves in TF32 by default); the sums of a sample are float64.",
            '`precision="tf32"` or `"bfloat16"` computes convolutions and matrix products in that arithmetic,',
            '`dtype="bfloat16"` or `"float16"` says how whole heatmaps of layers are *stored*, rounded once when',
            "written out. The relevance of the input and pooled heatmaps are float32 always, and models in half",
            "precision are refused.",
            "",
            "Errors are against the same passes in float64 throughout: the greatest difference in a heatmap as a share",
            "of its greatest number, over every layer, two images and the networks named. Weights are random.",
            "float16 keeps 11 bits of numbers above 6e-5, none of those below 6e-8; bfloat16 keeps 8 bits of all.",
            "TF32, here simulated on a CPU, multiplies factors of 11 bits and adds up in float32; `bfloat16` takes",
            "factors of 8 bits and rounds sums to 8 bits. Heatmaps of both are stored in float32.",
            "",
            f"## By rule: {', '.join(NETWORKS)}",
            "",
            *table("rule", plain),
            "",
            "## By network, all these rules",
            "",
            *table("model", plain),
            "",
            *(
                line
                for name in TRANSFORMERS
                for line in (
                    f"## {name}",
                    "",
                    *table("rule", [row for row in attending if row["model"] == name]),
                    "",
                )
            ),
        ]
    ) + "\n"  # fmt: skip


if __name__ == "__main__":
    main()
