"""The fused kernels' memory traffic compared with that of a copy of the same size, measured in turns.

python benchmarks/kernels.py                 # on a GPU where there is one
python benchmarks/kernels.py --device cpu
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import harness
import torch
from torch import Tensor

from hudd.lrp import kernels

# By name: what is run on six tensors, and how many times a tensor's bytes it reads and writes at least.
CASES: dict[str, tuple[Callable[..., object], float]] = {
    "quotient": (lambda a, b, c, *_: kernels.quotient(a, b, c, epsilon=1e-6), 4),
    "product": (lambda a, b, *_: kernels.product(a, b), 3),
    "product and sums": (lambda a, b, *_: kernels.product(a, b, total=True), 3),
    "product as float16": (lambda a, b, *_: kernels.product(a, b, dtype=torch.float16), 2.5),
    "over space": (lambda a, b, *_: kernels.pooled_product(a, b, over="space"), 2),
    "over channels": (lambda a, b, *_: kernels.pooled_product(a, b, over="channels"), 2),
    "split": (lambda a, *_: kernels.split(a, 1), 3),
    "by sign": (lambda a, b, c, d, e, f: kernels.by_sign(a, f, 1), 4),
    "box": (lambda a, b, c, d, e, f: kernels.box(a, b, c, d, e, a), 6),
    "2x2 pooling": (lambda a, b, c, d, e, f: _pooled(a, b, 2, 2, 0), 2.25),
    "3x3 pooling": (lambda a, b, c, d, e, f: _pooled(a, b, 3, 2, 1), 2.25),
}


def _pooled(inputs: Tensor, other: Tensor, side: int, stride: int, padding: int) -> Tensor:
    half = [extent // 2 for extent in inputs.shape[2:]]
    message = other.view(-1)[: inputs.shape[0] * inputs.shape[1] * half[0] * half[1]]
    geometry = {"window": [side] * 2, "stride": [stride] * 2, "padding": [padding] * 2, "dilation": [1] * 2}
    return kernels.max_pool(inputs, message.view(*inputs.shape[:2], *half), **geometry)


def measure(shape: tuple[int, ...], device: str, last: bool, repeats: int) -> dict[str, dict[str, float]]:
    """Bytes a second of each kernel and of the copy, and their ratio."""
    layout = torch.channels_last if last else torch.contiguous_format
    tensors = [torch.randn(shape, device=device).to(memory_format=layout) for _ in range(5)]
    tensors.append(torch.cat(tensors[:2], 1).contiguous(memory_format=layout))
    bytes_of = tensors[0].numel() * 4
    target = torch.empty_like(tensors[0])
    runners: dict[str, Callable[[], object]] = {"copy": lambda: target.copy_(tensors[0])}
    runners |= {
        name: partial(run, *tensors) for name, (run, _) in CASES.items() if not (last and "pooling" in name)
    }
    seconds = harness.best_times(runners, repeats)
    rates = {
        name: (2 if name == "copy" else CASES[name][1]) * bytes_of / taken for name, taken in seconds.items()
    }
    return {name: {"bytes_per_s": rate, "of_copy": rate / rates["copy"]} for name, rate in rates.items()}


def main() -> None:
    """Measure, print, record."""
    options = harness.parser(__doc__ or "", "kernels")
    options.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    chosen = harness.parse(options, repeats=3)
    shape = (4, 16, 56, 56) if chosen.quick else (64, 64, 112, 112)
    record: dict[str, Any] = {
        "machine": harness.machine(), "versions": harness.versions("torch", "hudd"), "shape": shape, "layouts": {},
    }  # fmt: skip
    for layout in ("row-major", "channels-last"):
        found = measure(shape, chosen.device, layout == "channels-last", chosen.repeats)
        record["layouts"][layout] = found
        for name, figures in found.items():
            print(
                f"{layout:14} {name:20} {figures['bytes_per_s'] / 1e9:9.1f} GB/s {figures['of_copy']:6.2f} of a copy"
            )
    harness.write(chosen.out, record)


if __name__ == "__main__":
    main()
