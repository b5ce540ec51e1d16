"""Heatmaps at the chosen layer, made when they are needed and not kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from hudd.data import batches
from hudd.study.inputs import Inputs


class Relevance:
    """Heatmaps of a split's images for what is explained of each, batch by batch; no other layer's is kept.

    Parameters
    ----------
    inputs : Inputs
        Of a study with clusters.
    split : str
        "test" or "improvement".
    advance : callable, optional
        Called with the number of images after each batch.
    """

    def __init__(self, inputs: Inputs, split: str, advance: Callable[[int], None] = lambda n: None) -> None:
        self._inputs, self._source, self._advance = inputs, inputs.features.source(split), advance
        self._layer, self._explained = inputs.results.chosen_layer, inputs.results.explained(split)
        self._extractor = inputs.features.extractor([self._layer])

    def of(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the (b, ...) float32 heatmaps of the rows in order."""
        settings, device = self._inputs.settings, self._inputs.device
        for part, images in batches(self._source, rows, settings.batch_size, workers=settings.workers):
            target = self._inputs.task.explain(torch.from_numpy(self._explained[part]).to(device))
            found = self._extractor.attribute(images.to(device), target=target)
            yield found.layers[self._layer].float().cpu().numpy()
            self._advance(len(part))
