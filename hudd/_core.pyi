"""Types of the compiled core (csrc/bindings.cpp). Tensors come as DLPack capsules."""

from collections.abc import Sequence
from typing import Any

Capsule = Any

CHUNK: int
WINOGRAD_PANEL: int
LARGE_BLOCK: int

def quotient(
    message: Capsule,
    factor: Capsule | None,
    z: Capsule,
    gate: Capsule | None,
    out: Capsule,
    scale: float = 1.0,
    epsilon: float = 0.0,
    stabilizer: str = "sign",
    passes: str = "open",
    threads: int = 1,
    stream: int = 0,
) -> None: ...
def product(
    message: Capsule,
    factor: Capsule | None,
    out: Capsule | None,
    sums: Capsule | None,
    threads: int = 1,
    stream: int = 0,
) -> None: ...
def pooled_product(
    message: Capsule,
    factor: Capsule | None,
    out: Capsule,
    channel_axis: int,
    over: str,
    threads: int = 1,
    stream: int = 0,
) -> None: ...
def split(input: Capsule, parts: Capsule, axis: int, threads: int = 1, stream: int = 0) -> None: ...
def by_sign(
    input: Capsule, parts: Capsule, out: Capsule, axis: int, threads: int = 1, stream: int = 0
) -> None: ...
def box(
    input: Capsule,
    message: Capsule,
    message_plus: Capsule,
    message_minus: Capsule,
    low: Capsule,
    high: Capsule,
    out: Capsule,
    threads: int = 1,
    stream: int = 0,
) -> None: ...
def max_pool(
    input: Capsule,
    message: Capsule,
    out: Capsule,
    window: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    last_wins: bool = False,
    threads: int = 1,
    stream: int = 0,
) -> None: ...
def add_differences(
    left: Capsule, right: Capsule, pairs: Capsule, sums: Capsule, threads: int = 1, stream: int = 0
) -> None: ...
def winograd(
    input: Capsule, weights: Capsule, out: Capsule, padding: tuple[int, int], threads: int = 1
) -> None: ...
def image_prints(images: Capsule, pixels: Capsule, thumbnails: Capsule) -> None: ...
def image_planes(
    images: Capsule, out: Capsule, scale: float, mean: Sequence[float], deviation: Sequence[float]
) -> None: ...
def picture_luma(colour: Capsule, out: Capsule) -> None: ...
def picture_light(colour: Capsule, grey: Capsule, around: int, out: Capsule) -> None: ...
def picture_frame(grey: Capsule, out: Capsule) -> None: ...
def picture_detail(grey: Capsule, out: Capsule) -> None: ...
def jpeg_frame(content: bytes) -> tuple[int, int, bool, bool] | None: ...
def large_block(elements: int) -> Capsule: ...
def expect_large_blocks() -> None: ...
def expect_no_large_blocks() -> int: ...
def select_instruction_set(name: str) -> None: ...
def build_info() -> dict[str, Any]: ...
