"""Batched forward passes: predictions, scores and uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from hudd.arithmetic import contracting
from hudd.errors import HuddError
from hudd.lrp.heads import OutputScale, entropies, output_scale, probabilities
from hudd.retraining.images import as_images, read_ahead

EXAMPLES = 8  # images that show what a model's outputs are


@dataclass(frozen=True)
class Predictions:
    """What a model says about N images.

    Attributes
    ----------
    output : np.ndarray
        (N, ...) float32 raw output, (N, K) of a classifier.
    scale : str
        What the outputs of a classifier are, see :func:`hudd.lrp.heads.output_scale`.
    """

    output: np.ndarray
    scale: OutputScale = "logits"

    @property
    def prediction(self) -> np.ndarray:
        """(N,) int64 class of the largest output."""
        largest: np.ndarray = self.output.argmax(axis=1)
        return largest

    @property
    def probability(self) -> np.ndarray:
        """(N, K) float64: the softmax of logits; of other scales what they stand for."""
        return probabilities(self.output, self.scale)

    @property
    def score(self) -> np.ndarray:
        """(N,) float64 probability of the predicted class."""
        highest: np.ndarray = self.probability.max(axis=1)
        return highest

    @property
    def second(self) -> np.ndarray:
        """(N,) int64 class of the second largest output; -1 where there is one output."""
        if self.output.shape[1] < 2:
            return np.full(len(self.output), -1, np.int64)
        rest = self.output.copy()
        np.put_along_axis(rest, self.prediction[:, None], -np.inf, 1)
        second: np.ndarray = rest.argmax(axis=1)
        return second

    @property
    def margin(self) -> np.ndarray:
        """(N,) float64 probability of the predicted class less that of the second; NaN where there is one output."""
        if self.output.shape[1] < 2:
            return np.full(len(self.output), np.nan)
        margin: np.ndarray = self.score - np.take_along_axis(self.probability, self.second[:, None], 1)[:, 0]
        return margin

    @property
    def entropy(self) -> np.ndarray:
        """(N,) float64 Shannon entropy of the probabilities, in nats."""
        return entropies(self.output, self.scale)


def predict(
    model: nn.Module, images: Any, *, rows: np.ndarray | None = None, batch_size: int = 256
) -> Predictions:
    """Run the model, in eval mode and on its own device, over the images in order.

    Parameters
    ----------
    model : nn.Module
        Returns one tensor; its training mode is put back afterwards.
    images : tensor, array or Images
        See :func:`hudd.retraining.as_images`.
    rows : np.ndarray, optional
        (n,) int rows to run; by default all.
    batch_size : int
        Images a forward pass.

    Returns
    -------
    Predictions

    Raises
    ------
    HuddError
        If an output is not finite; the image is named.
    """
    images = as_images(images)
    rows = np.arange(len(images)) if rows is None else np.asarray(rows, np.int64)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    training, outputs = model.training, []
    model.eval()
    try:
        with torch.inference_mode(), contracting("float32"):
            pieces = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
            for piece, batch in read_ahead(images, pieces):
                output = model(batch.to(device)).float().cpu()
                if not bool(torch.isfinite(output).all()):
                    bad = piece[int((~torch.isfinite(output).flatten(1).all(1)).nonzero()[0])]
                    raise HuddError(
                        f"the output for image {bad} is not finite; check weights and input scale."
                    )
                outputs.append(output.numpy())
    finally:
        model.train(training)
    if not outputs:
        return Predictions(np.empty((0, 1), np.float32))
    examples = images.load(rows[:EXAMPLES]).to(device)
    return Predictions(np.concatenate(outputs), output_scale(model, examples))
