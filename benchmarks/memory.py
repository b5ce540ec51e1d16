"""Peak memory of one batch's relevance: hudd against autograd's forward + input gradient, zennit and captum.

Each contender runs in a process of its own. What a call returns is listed apart: autograd returns the input's gradient
alone, hudd the heatmaps of every layer, so that "input" (the same request as autograd's) is the like-for-like case.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

import harness
import lrp
import torch

import hudd


def _bytes(returned: object) -> int:
    """The memory of the distinct tensors among what a call returned."""
    if isinstance(returned, hudd.Relevance):
        returned = [*returned.layers.values(), *returned.inputs]
    tensors = [returned] if isinstance(returned, torch.Tensor) else returned
    if not isinstance(tensors, Iterable):
        return 0
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for tensor in tensors
        if isinstance(tensor, torch.Tensor)
    }
    return sum(storages.values())


def _child(name: str, batch: int, label: str) -> None:
    """Print by how much one call raises the memory of a process that has done no other."""
    model, images = lrp.model_of(name), torch.randn(batch, 3, 224, 224)
    if label.endswith(", input"):
        rules = label.removeprefix("hudd ").removesuffix(", input")
        run = hudd.LRP(model, rules=rules, layers=["input"]).attribute
    else:
        run = lrp.contenders(name, model, images[:1], {"zennit", "captum"})[label]
    run(images[:1])  # captures, compiles, prepares weights
    resting = harness.memory("VmRSS")
    harness.forget_peak()
    returned = run(images)
    peak = harness.memory("VmHWM") - resting
    print(json.dumps({"peak_mib": round(peak / 2**20), "returned_mib": round(_bytes(returned) / 2**20)}))


def main() -> None:
    """Measure every case and write the table."""
    if sys.argv[1:2] == ["--child"]:
        _child(sys.argv[2], int(sys.argv[3]), sys.argv[4])
        return
    options = harness.parser(__doc__ or "", "memory")
    chosen = harness.parse(options)
    record: dict[str, Any] = {
        "machine": harness.machine(),
        "versions": harness.versions("torch", "hudd", "zennit", "captum", "torchvision"),
        "cases": [],
    }
    harness.left_out(record["versions"])
    if record["versions"]["torchvision"] is None:
        raise SystemExit("the models of this benchmark are torchvision's; install it.")
    found = {name for name, number in record["versions"].items() if number}
    for name, batch in lrp.QUICK if chosen.quick else lrp.CASES:
        labels = [
            "gradient",
            *(f"hudd {rules}, input" for rules in lrp.RULES),
            *(f"hudd {r}" for r in lrp.RULES),
        ]
        labels += [f"zennit {rules}" for rules in lrp.RULES if "zennit" in found]
        labels += ["captum epsilon"] if "captum" in found and name in lrp.CAPTUM else []
        measured = {label: harness.child(__file__, name, batch, label) for label in labels}
        floor = measured["gradient"]["peak_mib"]
        harness.table(
            f"{name}, batch {batch}, 224x224, float32",
            ["peak, MiB", "of them returned", "over autograd's", "without what is returned"],
            {
                label: [
                    str(found["peak_mib"]),
                    str(found["returned_mib"]),
                    found["peak_mib"] / floor,
                    (found["peak_mib"] - found["returned_mib"])
                    / (floor - measured["gradient"]["returned_mib"]),
                ]
                for label, found in measured.items()
            },
        )
        record["cases"].append({"model": name, "batch": batch, "memory": measured})
    harness.write(chosen.out, record)


if __name__ == "__main__":
    main()
