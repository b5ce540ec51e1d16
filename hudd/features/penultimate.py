"""What enters the last layer of a DNN: the features that its outputs are linear in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from hudd.errors import UsageError

_LAST = {
    "linear": 0,
    "addmm": 1,
    "conv1d": 0,
    "conv2d": 0,
    "conv3d": 0,
}  # operation: the argument that is its input


class _LastInput(TorchFunctionMode):
    """Keeps what enters the last linear layer or convolution that is called, of modules and exported programs alike."""

    def __init__(self) -> None:
        super().__init__()
        self.found: tuple[str, Tensor] | None = None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = str(getattr(func, "__name__", "")).partition(".")[0]
        if name in _LAST and len(args) > _LAST[name]:
            self.found = name, args[_LAST[name]].clone()  # what follows may write over it
        return func(*args, **(kwargs or {}))


def penultimate(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Run a model and return what entered its last linear layer or convolution, and its output.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode.
    images : Tensor
        (n, ...) inputs.

    Returns
    -------
    features : Tensor
        (n, d); averaged over what is not channels where the last layer is a convolution or reads tokens.
    output : Tensor
        What the model returns.

    Raises
    ------
    UsageError
        If the model calls no such layer, or one whose input has not a row an image.
    """
    with _LastInput() as last:
        output: Tensor = model(images)
    if last.found is None:
        raise UsageError(
            "the model has no linear layer or convolution whose input strategies could go by; choose another strategy."
        )
    name, features = last.found
    if features.ndim < 2 or len(features) != len(images):
        raise UsageError(
            f"the last layer takes in {tuple(features.shape)} for {len(images)} images; choose a strategy that does "
            "not go by its features."
        )
    if features.ndim > 2:
        features = features.flatten(2).mean(2) if name.startswith("conv") else features.flatten(1, -2).mean(1)
    return features, output
