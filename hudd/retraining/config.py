"""How a DNN is trained: every choice in one frozen, checkable place."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from hudd.errors import UsageError
from hudd.lrp.heads import OutputScale, binary_cross_entropy, cross_entropy
from hudd.retraining.losses import mean_of
from hudd.settings import TrainingSettings, documented
from hudd.specs import call_factory, is_factory

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Augmentation = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


def flip(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mirror each image left to right with probability one half."""
    chosen = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(chosen.view(-1, *[1] * (images.ndim - 1)), images.flip(-1), images)


def shift(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Move each (C, H, W) image by up to a tenth of its sides; what enters repeats the border."""
    *_, height, width = images.shape
    moves = [(torch.rand(len(images), generator=generator) * 2 - 1) * side / 10 for side in (height, width)]
    down, right = (move.round().long() for move in moves)
    rows = (torch.arange(height) - down[:, None]).clamp(0, height - 1)
    columns = (torch.arange(width) - right[:, None]).clamp(0, width - 1)
    return images[torch.arange(len(images))[:, None, None], :, rows[:, :, None], columns[:, None, :]].movedim(
        -1, 1
    )


AUGMENTATIONS: dict[str, Augmentation] = {"flip": flip, "shift": shift}


@documented
@dataclass(frozen=True)
class TrainingConfig(TrainingSettings):
    """Choices of a training, the paper's for its classifiers by default (SGD, cross-entropy, batches of 128).

    The test set is never used to find the best epoch. ``augment`` may hold functions of one's own, ``augment(images,
    generator) -> images`` on CPU tensors.
    """

    def loss_function(self, scale: OutputScale = "logits") -> Loss:
        """Return the loss as a callable; `scale` says what a cross-entropy is of.

        Raises
        ------
        UsageError
            If it is to be made by a factory that fails, or that makes something else.
        """
        if not isinstance(self.loss, str):
            return self.loss
        if self.loss == "cross-entropy":
            return cross_entropy(scale)
        if self.loss == "binary-cross-entropy":
            return binary_cross_entropy(scale)
        if self.loss == "mse":
            return functional.mse_loss
        return mean_of(self.loss) if self.is_named else _made(self.loss)

    @property
    def is_named(self) -> bool:
        """Whether the loss is one of hudd's own, by name."""
        return isinstance(self.loss, str) and not is_factory(self.loss)

    def learning_rate(self, epoch: int) -> float:
        """Rate of epoch 0, 1, ... ; cosine: from `lr` towards 0 (Loshchilov and Hutter, ICLR 2017)."""
        if self.schedule == "constant":
            return self.lr
        return self.lr * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))

    def make_optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """Build the optimizer over the parameters that are trained."""
        lr, decay = self.lr, self.weight_decay
        if self.optimizer == "sgd":
            return torch.optim.SGD(parameters, lr=lr, momentum=self.momentum, weight_decay=decay)
        if self.optimizer == "rmsprop":
            return torch.optim.RMSprop(parameters, lr=lr, momentum=self.momentum, weight_decay=decay)
        if self.optimizer == "adam":
            return torch.optim.Adam(parameters, lr=lr, weight_decay=decay)
        return torch.optim.AdamW(parameters, lr=lr, weight_decay=decay)

    def frozen(self, model: nn.Module) -> set[str]:
        """Names of the parameters that stay as they are.

        Raises
        ------
        UsageError
            If a glob matches no parameter, or nothing is left to train.
        """
        names = [name for name, _ in model.named_parameters()]
        for glob in self.freeze:
            if not any(fnmatchcase(name, glob) for name in names):
                raise UsageError(
                    f"freeze '{glob}' matches no parameter; the model has {', '.join(names[:8])}, ..."
                )
        frozen = {name for name in names if any(fnmatchcase(name, glob) for glob in self.freeze)}
        if len(frozen) == len(names):
            raise UsageError("no parameter is left to train; freeze fewer, or check the model.")
        return frozen

    def describe(self) -> dict[str, object]:
        """All choices as JSON-able values; callables by their qualified names."""

        def plain(value: Any) -> Any:
            if isinstance(value, tuple):
                return [plain(v) for v in value]
            return qualified_name(value) if callable(value) else value

        return {name: plain(value) for name, value in vars(self).items()}


def _made(spec: str) -> Loss:
    _, loss = call_factory(spec)
    if not callable(loss):
        raise UsageError(
            f"loss '{spec}' made an object of type {type(loss).__name__}; it must return a function of outputs and "
            "targets, such as torch.nn.SmoothL1Loss()."
        )
    found: Loss = loss
    return found


def qualified_name(function: Callable[..., Any]) -> str:
    """Return module and name of a function or, for an object that is called, of its class."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"
