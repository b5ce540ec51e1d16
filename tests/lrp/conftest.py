"""Other libraries to agree with, where they are installed."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

import pytest
import torch

_torchvision_operators: list[torch.library.Library] = []


def _imported(name: str) -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError:
        pytest.skip(f"{name} is not installed")


@pytest.fixture(scope="session")
def torchvision() -> ModuleType:
    """torchvision, also where its compiled part was built for another torch: it only looks whether two names exist."""
    try:
        return _imported("torchvision")
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _torchvision_operators.append(library)  # they go when the library goes
        return _imported("torchvision")


@pytest.fixture(scope="session")
def zennit(torchvision: ModuleType) -> ModuleType:
    """zennit with the parts that the tests use."""
    module = _imported("zennit")
    for part in ("attribution", "composites", "rules", "torchvision"):
        _imported(f"zennit.{part}")
    return module


@pytest.fixture(scope="session")
def captum() -> ModuleType:
    """captum's attribution methods."""
    return _imported("captum.attr")
