# ruff: noqa: RUF009 - the fields of a dataclass, with a topic and steps that several share
"""How a DNN is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from hudd.errors import UsageError
from hudd.settings.fields import Panel, Range, check, setting

_training = partial(setting, panel=Panel.RETRAINING, steps=("retrain",))


@dataclass(frozen=True)
class TrainingSettings:
    """The fields of :class:`hudd.retraining.TrainingConfig`."""

    epochs: int = _training(
        10, help="Epochs of a training or retraining at most", bounds=Range(least=1), panel=Panel.FIRST
    )
    batch_size: int = _training(128, help="Images a step", bounds=Range(least=1), option=None)
    lr: float = _training(1e-3, help="Learning rate", bounds=Range(above=0))
    momentum: float = _training(
        0.9,
        help="Momentum of SGD and RMSprop; Adam and AdamW have none of this kind",
        bounds=Range(least=0, below=1),
        option=None,
    )
    weight_decay: float = _training(5e-4, help="Weight decay", bounds=Range(least=0), option=None)
    optimizer: Literal["sgd", "rmsprop", "adam", "adamw"] = _training("sgd", help="Update rule:")
    schedule: Literal["constant", "cosine"] = _training("constant", help="Learning rate over the epochs:")
    loss: str | Callable[..., Any] = _training(
        "cross-entropy",
        help="What training makes small, a mean over the batch; in a study by default cross-entropy of classes, "
        "binary-cross-entropy of labels and of a single score, mse of numbers; or what a factory makes, a function of "
        "outputs and targets:",
        choices=("cross-entropy", "binary-cross-entropy", "mse", "l1", "wing"),
        specs=True,
    )
    holdout: float = _training(
        0.0,
        help="Share of the training set held out, class by class, to find the best epoch; at 0, the default, the last "
        "is kept: right for a DNN that has memorised this set",
        bounds=Range(least=0, below=1),
    )
    patience: int | None = _training(
        None, help="Stop after so many epochs without a better one; needs a holdout", bounds=Range(least=1)
    )
    average: float = _training(
        0.5,
        help="Of retraining: share of the steps, the last ones, over which the weights are averaged; at 0 those of the "
        "last step are kept, as in the paper",
        bounds=Range(least=0, most=1),
    )
    interpolate: float = _training(
        0.75,
        help="Of retraining: share of the way from the weights before to those after it that is gone; less breaks "
        "fewer correct predictions, 1 goes all the way, as in the paper",
        bounds=Range(above=0, most=1),
    )
    freeze: tuple[str, ...] = _training(
        (), help="Globs of parameters that are not trained: 'features.0.*,features.3.*'", metavar="GLOBS"
    )
    augment: tuple[Literal["flip", "shift"] | Callable[..., Any], ...] = _training(
        (), help="Change training images at random, by any of:", metavar="NAMES"
    )
    precision: Literal["float32", "bfloat16"] = _training(
        "float32", help="Of the forward pass, bfloat16 by automatic mixed precision:"
    )

    def __post_init__(self) -> None:
        for name in ("freeze", "augment"):  # lists, where they come from JSON
            value = getattr(self, name)
            object.__setattr__(self, name, tuple(value) if isinstance(value, list) else value)
        check(self, " of a training")
        if self.patience is not None and not self.holdout:
            raise UsageError(f"patience of a training is {self.patience}, which needs a holdout; give one.")
