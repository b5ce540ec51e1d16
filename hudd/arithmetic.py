"""How contractions, convolutions and matrix products, are multiplied: in float32 as IEEE 754 has it, or coarser.

torch lets a process choose, by settings of two generations, and on a GPU its convolutions use TF32 unless told
otherwise. What is computed here does not depend on those settings, and they are left as they were.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

ARITHMETICS = ("float32", "tf32", "bfloat16")

aten = torch.ops.aten
CONTRACTIONS = {
    aten.addmm.default, aten.baddbmm.default, aten.bmm.default, aten.convolution.default,
    aten.convolution_backward.default, aten.mm.default,
}  # fmt: skip


class _RoundedToBfloat16(TorchDispatchMode):
    """Contractions read bfloat16 and return float32; everything else is as it was."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func not in CONTRACTIONS:
            return func(*args, **(kwargs or {}))
        result = func(*map(_rounded, args), **(kwargs or {}))
        return _widened(result) if isinstance(result, Tensor) else tuple(map(_widened, result))


def _rounded(argument: Any) -> Any:
    single = isinstance(argument, Tensor) and argument.dtype == torch.float32
    return argument.bfloat16() if single else argument


def _widened(result: Tensor | None) -> Tensor | None:
    return result.float() if result is not None and result.dtype == torch.bfloat16 else result


class _Setting:
    """A setting of torch's: how to read it, how to write it, and what it is called for float32 and TF32."""

    def __init__(
        self, read: Callable[[], Any], write: Callable[[Any], None], float32: Any, tf32: Any
    ) -> None:
        self.read, self.write = read, write
        self.values = {"float32": float32, "tf32": tf32, "bfloat16": float32}


def _attribute(owner: Any, name: str, float32: Any, tf32: Any) -> _Setting:
    return _Setting(lambda: getattr(owner, name), lambda value: setattr(owner, name, value), float32, tf32)


def _settings() -> list[_Setting]:
    """The older settings first: writing one of them writes newer ones, too."""
    backends: Any = torch.backends
    matmul = _Setting(
        torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest", "high"
    )
    found = [matmul, _attribute(backends.cudnn, "allow_tf32", False, True)]
    if hasattr(backends, "fp32_precision"):  # since torch 2.9
        owners = (
            backends.cuda.matmul,
            backends.cudnn.conv,
            backends.cudnn.rnn,
            backends.mkldnn.matmul,
            backends.mkldnn.conv,
        )
        found += [_attribute(owner, "fp32_precision", "ieee", "tf32") for owner in owners]
    return found


class _Process:
    """Torch's settings, which all threads share: the first to come saves them, the last to leave restores them.

    Who wants another arithmetic waits until nobody is computing.
    """

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._arithmetic = "float32"
        self._depths: dict[int, int] = {}  # of the threads that are inside
        self._saved: list[tuple[_Setting, Any]] = []

    @contextmanager
    def using(self, arithmetic: str) -> Iterator[None]:
        with self._free:
            outer = self._enter(arithmetic)
        try:
            yield
        finally:
            with self._free:
                self._leave(outer)

    def _enter(self, arithmetic: str) -> str:
        me = threading.get_ident()
        if me not in self._depths:
            self._free.wait_for(lambda: not self._depths or self._arithmetic == arithmetic)
        elif (
            self._arithmetic != arithmetic and len(self._depths) > 1
        ):  # two that wait for each other would wait for ever
            raise RuntimeError(
                f"other threads compute in {self._arithmetic}; enter {arithmetic} from outside."
            )
        if not self._depths:
            self._saved = list(_readable(_settings()))
        self._depths[me] = self._depths.get(me, 0) + 1
        outer = self._arithmetic
        self._write(arithmetic)
        return outer

    def _leave(self, outer: str) -> None:
        me = threading.get_ident()
        self._depths[me] -= 1
        if self._depths[me]:
            self._write(outer)
            return
        del self._depths[me]
        if not self._depths:
            for setting, value in self._saved:
                setting.write(value)
        self._free.notify_all()

    def _write(self, arithmetic: str) -> None:
        self._arithmetic = arithmetic
        for setting, _ in self._saved:
            setting.write(setting.values[arithmetic])


def _readable(settings: list[_Setting]) -> Iterator[tuple[_Setting, Any]]:
    """Settings with their values; an older one cannot be read where newer ones contradict it."""
    for setting in settings:
        try:
            yield setting, setting.read()
        except RuntimeError:
            continue


_process = _Process()


@contextmanager
def contracting(arithmetic: str) -> Iterator[None]:
    """Within, contractions of float32 tensors are computed in this arithmetic, whatever torch was set to.

    Parameters
    ----------
    arithmetic : {"float32", "tf32", "bfloat16"}
        "float32": factors of 24 bits, as IEEE 754 has them. "tf32": of 11 bits, on a GPU that can; elsewhere
        float32. "bfloat16": of 8 bits, and sums rounded to 8 bits. All else is float32 in every case.
    """
    rounding = _RoundedToBfloat16() if arithmetic == "bfloat16" else nullcontext()  # type: ignore[no-untyped-call]
    with _process.using(arithmetic), rounding:
        yield
