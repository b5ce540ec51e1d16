"""The training loop: seeded, resumable after every epoch, the best epoch by held-out training images."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hudd.errors import HuddError, UsageError
from hudd.lrp.heads import output_scale
from hudd.ranks import Ranks
from hudd.retraining.averaging import RunningMean
from hudd.retraining.checkpoint import fingerprint, load_checkpoint, save_checkpoint
from hudd.retraining.config import AUGMENTATIONS, Loss, TrainingConfig, qualified_name
from hudd.retraining.images import Images, as_images, as_labels, cached, read_ahead
from hudd.retraining.prediction import EXAMPLES

TrainStep = Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass
class FitResult:
    """The course of a training.

    Attributes
    ----------
    history : list of dict
        One an epoch: epoch (from 1), lr, loss (mean over the images trained on), seconds, and with a holdout
        holdout_loss and, for classes, holdout_accuracy.
    best_epoch : int
        The epoch, from 1, whose weights the model holds now.
    stopped_early : bool
        Patience ran out before the last epoch.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    stopped_early: bool = False


def fit(
    model: nn.Module,
    images: Any,
    labels: Any = None,
    config: TrainingConfig | None = None,
    *,
    seed: int,
    may_hold_out: np.ndarray | None = None,
    copies: np.ndarray | None = None,
    checkpoint: str | Path | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    train_step: TrainStep | None = None,
    average: float = 0.0,
) -> FitResult:
    """Train the model in place, on the device of its parameters.

    The order of the images, the held-out part, augmentation and dropout follow from `seed` and the epoch
    alone, not from global random state; so a training that is cut off and called again with its checkpoint
    ends with the weights of one that ran through.

    Under torchrun, with the process group set up, every process calls this with the same arguments: they
    share each batch through DistributedDataParallel, and the weights are those of one process up to rounding
    (dropout, augmentation and batch statistics aside, which each process draws or takes for itself).

    Parameters
    ----------
    model : nn.Module
        Maps (n, ...) images to (n, K) scores of the classes, or to targets.
    images : tensor, array or Images
        N training images, see :func:`hudd.retraining.as_images`.
    labels : array-like, optional
        (N,) integer classes or (N, ...) float targets; by default ``images.labels``.
    config : TrainingConfig, optional
        The choices.
    seed : int
        Seed of everything random.
    may_hold_out : np.ndarray, optional
        (n,) int rows that may be held out; by default all. Keeps retraining bags out of the holdout.
    copies : np.ndarray, optional
        (N,) float, how often each image is seen in an epoch on average; by default once. What a fraction is
        rounded to is drawn again every epoch, by systematic sampling, so that totals are exact to one image.
    checkpoint : path, optional
        File for the state after every epoch; read at the start if it exists.
    on_epoch : callable, optional
        Called with each epoch's entry of the history, after its checkpoint is written.
    train_step : callable, optional
        ``train_step(model, images, labels) -> loss``, in place of the forward pass and the loss.
    average : float
        Share of the steps, the last ones of all epochs, over which the weights are averaged, see
        :class:`hudd.retraining.averaging.RunningMean`. From the first of them on, an epoch's weights and its scores on
        the held-out part are those of the mean. At 0 nothing is averaged.

    Returns
    -------
    FitResult

    Raises
    ------
    UsageError
        If images, labels, model and configuration do not fit each other, or the checkpoint is another's.
    HuddError
        If the loss becomes infinite or not a number.
    """
    config = config or TrainingConfig()
    source = cached(as_images(images))
    targets = as_labels(labels, images, len(source))
    if not len(source):
        raise UsageError("there are no training images; give at least one.")
    frozen = config.frozen(model)
    held_out = _holdout(targets, config.holdout, may_hold_out, seed)
    training = np.setdiff1d(np.arange(len(source)), held_out)
    if config.is_named and train_step is None:
        _check_output(model, source, targets)

    often = _frequencies(copies, len(source))
    loss = _loss(config, model, source, targets) if train_step is None else config.loss_function()
    run = _Run(model, source, targets, often, config, loss, seed, train_step, average, Ranks.current())
    with _frozen(model, frozen):
        return _epochs(run, training, held_out, None if checkpoint is None else Path(checkpoint), on_epoch)


def _frequencies(copies: np.ndarray | None, count: int) -> np.ndarray:
    """How often each image is seen in an epoch on average, (N,) float64."""
    often = np.ones(count) if copies is None else np.asarray(copies, np.float64)
    if often.shape != (count,) or not (np.isfinite(often) & (often >= 0)).all() or often.sum() < 1:
        raise UsageError(f"copies must be {count} finite numbers from 0, one per image, 1 or more in all.")
    return often


def _loss(config: TrainingConfig, model: nn.Module, source: Images, targets: torch.Tensor) -> Loss:
    """The loss; a cross-entropy on the scale of the model's outputs, which some examples tell."""
    of_scores = "binary-cross-entropy" if targets.is_floating_point() else "cross-entropy"
    if config.loss != of_scores:
        return config.loss_function()
    examples = source.load(np.arange(min(EXAMPLES, len(source))))
    return config.loss_function(output_scale(model, examples.to(next(model.parameters()).device)))


@contextmanager
def _frozen(model: nn.Module, frozen: Collection[str]) -> Iterator[None]:
    """Let no gradient reach these parameters while the body runs; then all is as it was, the mode too."""
    required = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    was_training = model.training
    try:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name not in frozen)
        yield
    finally:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(required[name])
        model.train(was_training)


@dataclass
class _Run:
    """What stays the same over the epochs of one training."""

    model: nn.Module
    images: Images
    targets: torch.Tensor
    copies: np.ndarray
    config: TrainingConfig
    loss: Loss
    seed: int
    train_step: TrainStep | None
    average: float
    ranks: Ranks

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def identity(self, held_out: np.ndarray) -> str:
        """Fingerprint of all that decides the result, apart from the pixels."""
        step = qualified_name(self.train_step) if self.train_step else ""
        start = self.model.state_dict()
        return fingerprint(
            self.config.describe(),
            self.seed,
            step,
            self.targets,
            held_out.tolist(),
            self.average,
            [] if (self.copies == 1).all() else self.copies.tolist(),
            list(start),
            *start.values(),
        )


def _epochs(
    run: _Run,
    training: np.ndarray,
    held_out: np.ndarray,
    path: Path | None,
    on_epoch: Callable[[dict[str, float]], None] | None,
) -> FitResult:
    """All epochs that are not done yet; leaves the best weights in the model."""
    model, config = run.model, run.config
    identity = run.identity(held_out) if path else ""
    optimizer = config.make_optimizer([p for p in model.parameters() if p.requires_grad])
    learner = run.ranks.wrap(model, run.device)
    result, best, best_merit = FitResult(), deepcopy(model.state_dict()), (-np.inf, -np.inf)
    mean = RunningMean()

    state = load_checkpoint(path, identity) if path else None
    if state:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        result = FitResult(state["history"], state["best_epoch"], state["stopped_early"])
        best, best_merit = state["best"], tuple(state["best_merit"])
        mean = RunningMean(state["averaged"], {name: w.to(run.device) for name, w in state["mean"].items()})

    while len(result.history) < config.epochs and not result.stopped_early:
        epoch, start = len(result.history), time.perf_counter()
        entry = {
            "epoch": epoch + 1,
            "lr": config.learning_rate(epoch),
            "loss": _train(run, learner, optimizer, training, epoch, mean),
        }
        weights = mean.weights(model)
        entry |= _score(run, held_out, weights) if len(held_out) else {}
        entry["seconds"] = time.perf_counter() - start
        result.history.append(entry)
        merit = (entry.get("holdout_accuracy", 0.0), -entry.get("holdout_loss", 0.0))
        if merit > best_merit or not len(held_out):
            best, best_merit, result.best_epoch = weights, merit, epoch + 1
        waited = epoch + 1 - result.best_epoch
        result.stopped_early = (
            config.patience is not None and waited >= config.patience and epoch + 1 < config.epochs
        )
        if path and run.ranks.rank == 0:
            save_checkpoint(
                path,
                identity,
                {
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "best": best,
                    "best_merit": list(best_merit),
                    "averaged": mean.steps,
                    "mean": mean.mean,
                    **vars(result),
                },
            )
        run.ranks.wait()
        if on_epoch:
            on_epoch(entry)
    model.load_state_dict(best)
    return result


def _train(
    run: _Run,
    learner: nn.Module,
    optimizer: torch.optim.Optimizer,
    rows: np.ndarray,
    epoch: int,
    averaged: RunningMean,
) -> float:
    """One pass over the rows, its late steps averaged; the mean loss over its images."""
    config, device, loss_function = run.config, run.device, run.loss
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate(epoch)
    order = _epoch_order(rows, run.copies[rows], np.random.default_rng([run.seed, epoch]))
    pieces = _pieces(order, config.batch_size)
    shares = [run.ranks.share(piece) for piece in pieces]
    noise = _mix(run.seed, epoch, run.ranks.rank)
    randomness = torch.Generator().manual_seed(noise)
    _training_mode(learner)
    total = torch.zeros((), dtype=torch.float64)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(noise)  # dropout draws from the global state
        loaded = read_ahead(run.images, [part for part, _ in shares])
        for step, ((part, batch), (_, weight), piece) in enumerate(zip(loaded, shares, pieces)):
            for augment in config.augment:
                batch = (AUGMENTATIONS[augment] if isinstance(augment, str) else augment)(batch, randomness)
            batch, target = batch.to(device), run.targets[part].to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
                if run.train_step:
                    loss = run.train_step(learner, batch, target)
                else:
                    loss = loss_function(learner(batch), target)
            optimizer.zero_grad(set_to_none=True)
            (loss if weight == 1 else loss * weight).backward()
            optimizer.step()
            if epoch + step / len(pieces) >= (1 - run.average) * config.epochs:
                averaged.add(run.model)
            total += loss.detach().double().cpu() * weight * len(piece) / run.ranks.world
    mean = run.ranks.sum(total) / len(order)
    if not np.isfinite(mean):
        raise HuddError(
            f"the training loss of epoch {epoch + 1} is {mean}; lower the learning rate ({config.lr})."
        )
    return mean


def _epoch_order(rows: np.ndarray, copies: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows of one epoch in random order, each as often as its copies say, up or down to a whole number."""
    if not (copies == np.round(copies)).all():
        ends = np.floor(np.cumsum(copies) + rng.random())
        copies = np.diff(ends, prepend=0)
    drawn = np.repeat(rows, copies.astype(np.int64))
    return drawn[rng.permutation(len(drawn))]


@torch.no_grad()
def _score(run: _Run, rows: np.ndarray, weights: dict[str, torch.Tensor]) -> dict[str, float]:
    """Loss and, for classes, accuracy of the model with these weights on the held-out rows."""
    own = deepcopy(run.model.state_dict())
    run.model.load_state_dict(weights)
    run.model.eval()
    loss, right = 0.0, 0
    for piece, batch in read_ahead(run.images, _pieces(rows, run.config.batch_size)):
        target = run.targets[piece].to(run.device)
        output = run.model(batch.to(run.device)).float()
        loss += float(run.loss(output, target)) * len(piece)
        right += int((output.argmax(1) == target).sum()) if not target.is_floating_point() else 0
    run.model.load_state_dict(own)
    scores = {"holdout_loss": loss / len(rows)}
    return scores if run.targets.is_floating_point() else {**scores, "holdout_accuracy": right / len(rows)}


def _holdout(targets: torch.Tensor, share: float, allowed: np.ndarray | None, seed: int) -> np.ndarray:
    """Rows held out: the share of each class that has more than one image left to train on."""
    allowed = np.arange(len(targets)) if allowed is None else np.unique(np.asarray(allowed, np.int64))
    if share == 0:
        return allowed[:0]
    rng = np.random.default_rng([seed, 1 << 20])
    classes = np.zeros(len(allowed), np.int64) if targets.is_floating_point() else targets.numpy()[allowed]
    parts = []
    for label in np.unique(classes):
        rows = rng.permutation(allowed[classes == label])
        parts.append(rows[: min(round(share * len(rows)), len(rows) - 1)])
    held_out = np.sort(np.concatenate(parts)) if parts else allowed[:0]
    if not len(held_out):
        raise UsageError(
            f"{share:.0%} of {len(allowed)} training images leaves nothing to hold out; use holdout=0."
        )
    return held_out


def _check_output(model: nn.Module, images: Images, targets: torch.Tensor) -> None:
    """Classes need a column each; targets need the output's shape."""
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    with torch.inference_mode():
        output = model(images.load(np.arange(1)).to(device))
    model.train(training)
    if targets.is_floating_point():
        if output.shape[1:] != targets.shape[1:] and not (output[0].numel() == targets[0].numel() == 1):
            raise UsageError(
                f"the model's output has shape {tuple(output.shape[1:])} an image but the targets have "
                f"{tuple(targets.shape[1:])}; make them equal."
            )
    elif output.ndim != 2 or output.shape[1] <= int(targets.max()):
        raise UsageError(
            f"the model's output has shape {tuple(output.shape[1:])} an image but the labels go up to "
            f"{int(targets.max())}; it must be one logit for each class."
        )


def _training_mode(model: nn.Module) -> None:
    """Train mode, but frozen layers keep their running statistics."""
    model.train()
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if own and not any(parameter.requires_grad for parameter in own):
            module.eval()


def _pieces(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Batches of the rows; a last one of a single image joins its neighbour, as batch norm needs two."""
    starts = list(range(0, len(rows), size))
    if len(starts) > 1 and len(rows) - starts[-1] == 1:
        starts.pop()
    return [rows[a:b] for a, b in zip(starts, [*starts[1:], len(rows)])]


def _mix(seed: int, epoch: int, rank: int) -> int:
    """Derive a torch seed from the run's seed, the epoch and the process."""
    return int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1, np.uint64)[0] >> np.uint64(1))
