"""What every kernel test needs: where to run, layouts of one tensor in memory, the machine's instruction sets."""

from __future__ import annotations

import functools
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hudd import _core

_backends = runpy.run_path(str(Path(__file__).with_name("backends.py")))
_kernels_on = functools.cache(_backends["kernels_on"])


def _sliced(tensor: Tensor) -> Tensor:
    """Every second element of every axis of a tensor of NaN."""
    spacious = torch.full([2 * size + 1 for size in tensor.shape], float("nan"))
    view = spacious[tuple(slice(1, None, 2) for _ in tensor.shape)]
    return view.copy_(tensor)


_LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "row-major": lambda tensor: tensor.contiguous(),
    "channels-last": lambda tensor: (
        tensor.movedim(1, -1).contiguous().movedim(-1, 1) if tensor.ndim > 2 else tensor
    ),
    "transposed": lambda tensor: tensor.transpose(0, -1).contiguous().transpose(0, -1),
    "sliced": _sliced,
}


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(name, marks={"cuda": pytest.mark.cuda, "cuda-on-host": pytest.mark.slow}.get(name, ()))
        for name in _backends["BACKENDS"]
    ],
)
def kernels(request: pytest.FixtureRequest) -> Any:
    """The functions of hudd.lrp.kernels on each backend."""
    return _kernels_on(request.param)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note in the test's report where its kernels run, for the summary at the end."""
    backend = item.callspec.params.get("kernels") if hasattr(item, "callspec") else None
    if backend is not None:
        item.user_properties.append(("kernels", backend))


@pytest.fixture(params=_LAYOUTS)
def layout(request: pytest.FixtureRequest) -> Callable[[Tensor], Tensor]:
    """Stores a tensor in one of the layouts that callers come with; the values stay."""
    return _LAYOUTS[request.param]


@pytest.fixture
def instruction_sets() -> Iterator[list[str]]:
    """The instruction sets that this machine runs; the active one is put back afterwards."""
    info = _core.build_info()
    available = []
    for name in info["instruction_sets"]:
        try:
            _core.select_instruction_set(name)
        except ValueError:
            continue
        available.append(name)
    _core.select_instruction_set(info["active_instruction_set"])
    yield available
    _core.select_instruction_set(info["active_instruction_set"])


@pytest.fixture
def thread_counts() -> Iterator[list[int]]:
    """Thread counts to run with; torch's own is put back afterwards."""
    before = torch.get_num_threads()
    yield [1, 2, 3, 5]
    torch.set_num_threads(before)
