"""The pictures and heatmaps that a report shows, read from the study a cluster at a time."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from hudd import plot

if TYPE_CHECKING:
    from hudd.review.view import View


class Material:
    """Reads the shown members' pictures and heatmaps, one cluster at a time, and keeps the last few.

    Parameters
    ----------
    study : View
        The study.
    members : list of ndarray
        For each cluster, the error rows to show.
    layers : list of str
        Layers whose heatmaps are shown.
    """

    def __init__(self, study: View, members: list[np.ndarray], layers: list[str]) -> None:
        self._study, self._members, self._layers = study, members, layers
        self._errors, self._source = study.errors, study.source("test")
        self._ends = np.cumsum([len(rows) for rows in members])
        self._lock = threading.RLock()
        self._pictures = lru_cache(4)(self._read_pictures)
        self._heatmaps = lru_cache(4 * len(layers))(self._read_heatmaps)
        self._flat: dict[str, np.ndarray] = {}

    def picture(self, place: int, at: int) -> np.ndarray:
        """Return the picture of member `at` of the cluster at `place`, (H, W, 3) uint8."""
        with self._lock:
            row = int(self._errors[self._members[place][at]])
            return self._study.drawn("test", self._pictures(place)[at], row)

    def heatmap(self, layer: int, place: int, at: int) -> np.ndarray:
        """Return its relevance at a layer, (h, w) float32."""
        with self._lock:
            relevance: np.ndarray = self._heatmaps(layer, place)[at]
            return relevance

    def mean_picture(self, place: int) -> np.ndarray:
        """Return the mean of a cluster's pictures, brought to the first one's size, (H, W, 3) uint8."""
        with self._lock:
            pictures = self._pictures(place)
        height, width = pictures[0].shape[:2]
        same = [np.asarray(Image.fromarray(one).resize((width, height)), np.float32) for one in pictures]
        average: np.ndarray = np.rint(np.mean(same, axis=0)).astype(np.uint8)
        return average

    def mean_heatmap(self, layer: int, place: int) -> np.ndarray:
        """Return the mean of a cluster's heatmaps, each first brought to its own scale, (h, w)."""
        with self._lock:
            relevance = self._heatmaps(layer, place)
        mean: np.ndarray = np.mean([one / plot.relevance_scale(one) for one in relevance], axis=0)
        return mean

    def _read_pictures(self, place: int) -> list[np.ndarray]:
        return [self._source.picture(int(row)) for row in self._errors[self._members[place]]]

    def _read_heatmaps(self, layer: int, place: int) -> np.ndarray:
        name, rows = self._layers[layer], self._members[place]
        if len(self._study.heatmap_shape(name)) == 3:
            return self._study.spatial_heatmaps(rows, name)
        if name not in self._flat:  # propagated again, for all at once: the model is captured for each call
            self._flat[name] = self._study.spatial_heatmaps(np.concatenate(self._members), name)
        return self._flat[name][self._ends[place] - len(rows) : self._ends[place]]
