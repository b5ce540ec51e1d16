"""What ``hudd doctor`` says of the GPU build: what it holds, what keeps a GPU from being used, how to fix that."""

from __future__ import annotations

from typing import Any

import pytest

from hudd import _core
from hudd.diagnosis import diagnose, gpu_remedies

DEFAULT = ["80-real", "90-real", "100-real", "120"]
H200, FUTURE, OLD = {"H200": (9, 0)}, {"GPU": (13, 0)}, {"GTX": (7, 5)}


def _built(cuda: str | None = "13.0", architectures: list[str] = DEFAULT) -> dict[str, Any]:
    return {"core": True, "cuda": cuda, "cuda_architectures": architectures if cuda else []}


CASES: dict[str, tuple[dict[str, Any], str | None, dict[str, tuple[int, int]], str | None]] = {
    "all is there": (_built(), "13.0", H200, None),
    "no GPU and none expected": (_built(None), None, {}, None),
    "a GPU server without a GPU at hand": (_built(), "13.0", {}, None),
    "another minor release of an architecture": (_built(), "13.0", {"A10": (8, 6)}, None),
    "PTX for a later GPU": (_built(), "13.0", FUTURE, None),
    "native": (_built(architectures=["native"]), "13.0", OLD, None),
    "a GPU, but no kernels": (
        _built(None),
        "13.0",
        H200,
        "H200 is there, but the core was built without CUDA",
    ),
    "torch's CUDA, but no kernels": (_built(None), "13.0", {}, "this torch is made for CUDA, but the core"),
    "kernels, but torch for the CPU": (_built(), None, {}, "this torch is for the CPU"),
    "an older GPU": (_built(), "13.0", OLD, "CMAKE_CUDA_ARCHITECTURES=75"),
    "no PTX for a later one": (_built(architectures=["90-real"]), "13.0", FUTURE, "compute capability 13.0"),
    "machine code of another family": (_built(architectures=["80-real"]), "13.0", H200, "only for 80-real"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_sentence_for_whatever_is_missing(name: str) -> None:
    built, torch_cuda, gpus, part = CASES[name]
    remedies = gpu_remedies(built, torch_cuda, gpus)
    if part is None:
        assert remedies == []
        return
    (remedy,) = remedies
    assert part in remedy
    assert remedy.endswith(".")
    if "without CUDA" in remedy or "no kernels" in remedy:
        assert "make gpu" in remedy


def test_what_the_build_holds() -> None:
    built, core = diagnose()["built"], _core.build_info()
    assert built["cuda"] == core["cuda"]
    assert built["cuda_architectures"] == core["cuda_architectures"]
