"""How a DNN is trained: every choice in one frozen, checkable place."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

from hudd.errors import UsageError
from hudd.field_types import check_field_types
from hudd.lrp.heads import OutputScale, cross_entropy

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Augmentation = Callable[[torch.Tensor, torch.Generator], torch.Tensor]

LOSSES: dict[str, Loss] = {"cross-entropy": functional.cross_entropy, "mse": functional.mse_loss}
OPTIMIZERS = ("sgd", "rmsprop", "adam", "adamw")


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


@dataclass(frozen=True)
class TrainingConfig:
    """Choices of a training, the paper's for its classifiers by default (SGD, cross-entropy, batches of 128).

    Attributes
    ----------
    epochs : int
        Passes over the training set at most.
    batch_size : int
        Images a step.
    lr : float
        Learning rate.
    momentum, weight_decay : float
        Of the optimizer; Adam and AdamW have no momentum of this kind.
    optimizer : {"sgd", "rmsprop", "adam", "adamw"}
        Update rule.
    schedule : {"constant", "cosine"}
        Learning rate over the epochs.
    loss : {"cross-entropy", "mse"} or callable
        ``loss(output, labels) -> scalar tensor``, a mean over the batch. Cross-entropy is that of what the outputs
        are (logits, probabilities, log-probabilities ...), see :func:`hudd.lrp.heads.output_scale`.
    holdout : float
        Share of the training set that is held out, class by class, to find the best epoch; the test set is
        never used for that. At 0 the last epoch is kept, the right choice where the model was trained on
        this training set before: what it has memorised says nothing about when to stop.
    patience : int, optional
        Stop after this many epochs without a better one; needs a holdout.
    freeze : tuple of str
        Globs over parameter names, e.g. ``features.0.*``, of what is not trained.
    augment : tuple of str or callable
        Any of ``flip`` and ``shift``, or ``augment(images, generator) -> images`` on CPU tensors.
    precision : {"float32", "bfloat16"}
        Of the forward pass; bfloat16 uses automatic mixed precision.
    """

    epochs: int = 10
    batch_size: int = 128
    lr: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 5e-4
    optimizer: str = "sgd"
    schedule: Literal["constant", "cosine"] = "constant"
    loss: str | Loss = "cross-entropy"
    holdout: float = 0.0
    patience: int | None = None
    freeze: tuple[str, ...] = ()
    augment: tuple[str | Augmentation, ...] = ()
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        for name in ("freeze", "augment"):  # lists, where they come from JSON
            value = getattr(self, name)
            object.__setattr__(self, name, tuple(value) if isinstance(value, list) else value)
        check_field_types(self, " of a training")
        checks = {
            "epochs": (self.epochs >= 1, "at least 1"),
            "batch_size": (self.batch_size >= 1, "at least 1"),
            "lr": (self.lr > 0, "positive"),
            "momentum": (0 <= self.momentum < 1, "in [0, 1)"),
            "weight_decay": (self.weight_decay >= 0, "not negative"),
            "optimizer": (self.optimizer in OPTIMIZERS, f"one of {', '.join(OPTIMIZERS)}"),
            "schedule": (self.schedule in ("constant", "cosine"), "constant or cosine"),
            "loss": (callable(self.loss) or self.loss in LOSSES, f"a callable or one of {', '.join(LOSSES)}"),
            "holdout": (0 <= self.holdout < 1, "in [0, 1)"),
            "patience": (
                self.patience is None or (self.patience >= 1 and self.holdout > 0),
                "at least 1, with a holdout",
            ),
            "augment": (
                all(callable(a) or a in AUGMENTATIONS for a in self.augment),
                f"callables or any of {', '.join(AUGMENTATIONS)}",
            ),
            "precision": (self.precision in ("float32", "bfloat16"), "float32 or bfloat16"),
        }
        for name, (good, allowed) in checks.items():
            if not good:
                raise UsageError(f"{name} of a training must be {allowed}, not {getattr(self, name)!r}.")

    def loss_function(self, scale: OutputScale = "logits") -> Loss:
        """Return the loss as a callable; `scale` says what the cross-entropy is of."""
        if self.loss == "cross-entropy":
            return cross_entropy(scale)
        return LOSSES[self.loss] if isinstance(self.loss, str) else self.loss

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


def qualified_name(function: Callable[..., Any]) -> str:
    """Return module and name of a function or, for an object that is called, of its class."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"
