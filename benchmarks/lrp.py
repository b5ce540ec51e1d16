"""LRP of whole batches: hudd against autograd's forward + input gradient (the floor), zennit and captum, in turns."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import harness
import peers
import torch
from torch import nn

import hudd

CASES = [("alexnet", 32), ("vgg16", 8), ("resnet18", 16), ("mobilenet_v2", 16)]
QUICK = [("alexnet", 8), ("resnet18", 4)]
RULES = ("epsilon", "epsilon-plus")


def _model(name: str) -> nn.Module:
    torch.manual_seed(0)
    model = getattr(peers.torchvision_models(), name)(weights=None).eval()
    return model.requires_grad_(False)


def _contenders(
    name: str, model: nn.Module, images: torch.Tensor, installed: set[str]
) -> dict[str, peers.Runner]:
    late = hudd.LRP(model).prepare(images)[-2]
    contenders: dict[str, peers.Runner] = {
        "forward": peers.forward(model),
        "gradient": peers.gradient(model),
        **{f"hudd {rules}": hudd.LRP(model, rules=rules).attribute for rules in RULES},
        f"hudd {RULES[1]}, {late} only": hudd.LRP(model, rules=RULES[1], layers=[late]).attribute,
    }
    if "zennit" in installed:
        contenders |= {f"zennit {rules}": peers.zennit(copy.deepcopy(model), rules) for rules in RULES}
    if "captum" in installed and name in (
        "alexnet",
        "vgg16",
    ):  # it has no rule for residual adds, and for ReLU6
        plain = copy.deepcopy(model)
        for module in plain.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False
        contenders["captum epsilon"] = peers.captum(plain)
    return contenders


def _child(name: str, batch: int, label: str) -> None:
    """Print by how much one call raises the memory of a process that has done no other."""
    model, images = _model(name), torch.randn(batch, 3, 224, 224)
    run = _contenders(name, model, images[:1], {"zennit", "captum"})[label]
    run(images[:1])  # captures, compiles, prepares weights
    resting = harness.memory("VmRSS")
    harness.forget_peak()
    kept = run(images)
    print(json.dumps({"peak_mib": round((harness.memory("VmHWM") - resting) / 2**20)}))
    del kept


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
    if sys.argv[1:2] == ["--child"]:
        _child(sys.argv[2], int(sys.argv[3]), sys.argv[4])
        return
    options = harness.parser(__doc__ or "", "lrp")
    options.add_argument("--case", action="append", help="model:batch, e.g. alexnet:32; may be given again")
    options.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options.add_argument("--memory", action="store_true", help="also each contender's peak of memory")
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
        "cases": [],
    }
    harness.left_out(record["versions"])
    if record["versions"]["torchvision"] is None:
        raise SystemExit("the models of this benchmark are torchvision's; install it.")
    found = set() if chosen.no_peers else {name for name, number in record["versions"].items() if number}
    for name, batch in cases:
        model = _model(name).to(chosen.device)
        images = torch.randn(batch, 3, 224, 224, device=chosen.device)
        contenders = _contenders(name, model, images, found)
        seconds = harness.best_times(
            {label: lambda run=run, images=images: run(images) for label, run in contenders.items()},
            chosen.repeats,
        )
        print(f"\n{name}, batch {batch}, 224x224, float32")
        print(f"  {'':34s} {'seconds':>8s} {'forwards':>9s} {'gradients':>10s} {'images/s':>9s}")
        for label, time in seconds.items():
            ratios = time / seconds["forward"], time / seconds["gradient"]
            print(f"  {label:34s} {time:8.3f} {ratios[0]:9.2f} {ratios[1]:10.2f} {batch / time:9.1f}")
        figures = {"model": name, "batch": batch, "seconds": seconds}
        if chosen.memory:
            figures["peak_mib"] = {
                label: harness.child(__file__, name, batch, label)["peak_mib"] for label in contenders
            }
            print("  peak memory of one call, MiB:", figures["peak_mib"])
        record["cases"].append(figures)
    harness.write(chosen.out, record)
    if not chosen.quick:
        _plot(chosen.out.with_suffix(".svg"), record)


if __name__ == "__main__":
    main()
