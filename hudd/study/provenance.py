"""How a result was made: by which versions, on what hardware, by how many processes."""

from __future__ import annotations

import json
import os
import platform
import time
from functools import cache
from pathlib import Path
from typing import Any

import torch

from hudd.data.decoding import decoder_version
from hudd.memory import memory_bytes
from hudd.ranks import Ranks
from hudd.study.inputs import Inputs
from hudd.version import __version__


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


def root_attributes(inputs: Inputs) -> dict[str, Any]:
    """Return the attributes of the study's file: what it is made from."""
    settings = inputs.settings
    rules = settings.effective_rules
    return {
        "hudd_version": __version__,
        "model": settings.model,
        "weights_sha256": inputs.model.weights_sha256,
        "weights_told": inputs.model.told,
        "model_sha256": inputs.model_digest,
        "rules": rules if isinstance(rules, str) else json.dumps(rules, sort_keys=True),
        "preset": settings.preset,
        "seed": settings.seed,
        "decoder": inputs.decoder,
        "decoder_version": decoder_version(inputs.decoder),
        "settings": settings.to_json(),
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
