"""LRP of whole batches: hudd against autograd's forward + input gradient (the floor), zennit and captum, in turns."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import harness
import peers
import torch
from torch import nn

import hudd
from hudd.arithmetic import contracting

CASES = [("alexnet", 32), ("vgg16", 8), ("resnet18", 16), ("mobilenet_v2", 16)]
QUICK = [("alexnet", 8), ("resnet18", 4)]
RULES = ("epsilon", "epsilon-plus")
CAPTUM = ("alexnet", "vgg16")  # it has no rule for residual adds, and for ReLU6


def model_of(name: str) -> nn.Module:
    """One of torchvision's models with weights by a fixed seed."""
    torch.manual_seed(0)
    model = getattr(peers.torchvision_models(), name)(weights=None).eval()
    return model.requires_grad_(False)


def contenders(
    name: str, model: nn.Module, images: torch.Tensor, installed: set[str]
) -> dict[str, peers.Runner]:
    """What is measured, by its name."""
    late = hudd.LRP(model).prepare(images)[-2]
    made: dict[str, peers.Runner] = {
        "forward": peers.forward(model),
        "gradient": peers.gradient(model),
        **{f"hudd {rules}": hudd.LRP(model, rules=rules).attribute for rules in RULES},
        f"hudd {RULES[1]}, {late} only": hudd.LRP(model, rules=RULES[1], layers=[late]).attribute,
    }
    if images.is_cuda:
        made |= {
            f"hudd {rules}, CUDA graph": hudd.LRP(model, rules=rules, cuda_graphs=True).attribute
            for rules in RULES
        }
    if "zennit" in installed:
        made |= {f"zennit {rules}": peers.zennit(copy.deepcopy(model), rules) for rules in RULES}
    if "captum" in installed and name in CAPTUM:
        plain = copy.deepcopy(model)
        for module in plain.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False
        made["captum epsilon"] = peers.captum(plain)
    return made


def _plot(path: Path, record: dict[str, Any]) -> None:
    """Draw every contender's time as a multiple of forward + input gradient."""
    harness.bars(
        path,
        "Relevance of a batch: time over that of forward + input gradient",
        "",
        {
            f"{case['model']}, batch {case['batch']}": {
                label: seconds / case["seconds"]["gradient"] for label, seconds in case["seconds"].items()
            }
            for case in record["cases"]
        },
    )


def main() -> None:
    """Time every case and write the table."""
    options = harness.parser(__doc__ or "", "lrp")
    options.add_argument("--case", action="append", help="model:batch, e.g. alexnet:32; may be given again")
    options.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options.add_argument(
        "--channels-last", action="store_true", help="weights and images channels-last, for a GPU"
    )
    options.add_argument("--no-peers", action="store_true", help="only hudd and the floor")
    chosen = harness.parse(options, repeats=2)
    cases = [
        (name, int(batch)) for name, _, batch in (case.partition(":") for case in chosen.case or [])
    ] or (QUICK if chosen.quick else CASES)
    record = {
        "machine": harness.machine(),
        "versions": harness.versions("torch", "hudd", "zennit", "captum", "torchvision"),
        "threads": torch.get_num_threads(),
        "repeats": chosen.repeats,
        "channels_last": chosen.channels_last,
        "cases": [],
    }
    harness.left_out(record["versions"])
    if record["versions"]["torchvision"] is None:
        raise SystemExit("the models of this benchmark are torchvision's; install it.")
    found = set() if chosen.no_peers else {name for name, number in record["versions"].items() if number}
    for name, batch in cases:
        layout = torch.channels_last if chosen.channels_last else torch.contiguous_format
        model = model_of(name).to(chosen.device, memory_format=layout)
        images = torch.randn(batch, 3, 224, 224, device=chosen.device).to(memory_format=layout)
        runners = contenders(name, model, images, found)
        with contracting("float32"):  # of all of them: on a GPU torch would take TF32
            seconds = harness.best_times(
                {label: lambda run=run, images=images: run(images) for label, run in runners.items()},
                chosen.repeats,
            )
        print(f"\n{name}, batch {batch}, 224x224, float32")
        print(f"  {'':34s} {'seconds':>8s} {'forwards':>9s} {'gradients':>10s} {'images/s':>9s}")
        for label, time in seconds.items():
            ratios = time / seconds["forward"], time / seconds["gradient"]
            print(f"  {label:34s} {time:8.3f} {ratios[0]:9.2f} {ratios[1]:10.2f} {batch / time:9.1f}")
        record["cases"].append({"model": name, "batch": batch, "seconds": seconds})
    harness.write(chosen.out, record)
    if not chosen.quick:
        _plot(chosen.out.with_suffix(".svg"), record)


if __name__ == "__main__":
    main()
