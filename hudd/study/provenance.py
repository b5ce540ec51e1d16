"""How a result was made: by which versions, on what hardware, by how many processes."""

from __future__ import annotations

import os
import platform
import time
from functools import cache
from pathlib import Path
from typing import Any

import torch

from hudd import __version__
from hudd.memory import memory_bytes
from hudd.ranks import Ranks


def record(fingerprint: str, seconds: float, device: torch.device) -> dict[str, Any]:
    """Return the attributes of a step that is finished now."""
    return {
        "fingerprint": fingerprint,
        "seconds": seconds,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "hudd_version": __version__,
        "torch_version": str(torch.__version__),
        "threads": torch.get_num_threads(),
        "processes": Ranks.current().world,
        "machine": machine(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    }


@cache
def machine() -> str:
    """Describe this machine: its name, processor, cores and memory."""
    memory = memory_bytes() / 2**30
    return f"{platform.node()} ({_processor()}, {os.cpu_count()} CPUs, {memory:.0f} GiB)"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
