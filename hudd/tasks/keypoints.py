"""Landmarks to find: places in the image, as coordinates or as a map each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from hudd.errors import UsageError
from hudd.language import marked
from hudd.lazy import torch
from hudd.tasks.choices import shown
from hudd.tasks.landmarks import landmarks_of
from hudd.tasks.losses import PlacesLoss
from hudd.tasks.numbers import Regression

if TYPE_CHECKING:
    from hudd.data import ImageSource

_SHOWN_SIDE = 256  # pixels, at least, of an image with landmarks drawn on it
_TRUE, _FOUND, _OFF = (40, 200, 80), (230, 60, 60), (250, 210, 60)


class Keypoints(Regression):
    """Two numbers a landmark, x and y; its error is how far it is from where it should be.

    Places are in pixels of the DNN's input, x from the left and y from the top; where no target is beyond 1, they are
    shares of its width and height, or run from -1 to 1. Of maps, (N, K, H, W), the place is that of
    :func:`hudd.lrp.targets.landmark_places`, from 64 pixels or a sixteenth of the map where that is less, brought from
    pixels of the map to those of the input.
    """

    columns = ("output", "maps")
    may_lack = True
    part = marked("landmark")

    def parts(self, names: Sequence[str]) -> dict[str, list[int]]:
        """Return the landmarks, each with the numbers of its two targets."""
        found = landmarks_of(names)
        if found is None:
            raise UsageError(
                f"landmarks need two columns each, NAME_x and NAME_y, and the targets are {shown(names)}; name them "
                "so, write an array of them as (N, K, 2), or give `task='regression'`."
            )
        return found

    def parameters(self, source: ImageSource) -> dict[str, np.ndarray]:
        """Leave out the places: what tells why a DNN fails on an image is not where its landmarks are."""
        names = set(self.names(source))
        return {name: values for name, values in source.parameters.items() if name not in names}

    def _check_shape(self, output: torch.Tensor, names: Sequence[str]) -> None:
        if output.ndim != 4:
            super()._check_shape(output, names)
        elif 2 * output.shape[1] != len(names):
            raise UsageError(
                f"the model returns {output.shape[1]} maps for one image, and there are {len(names) // 2} landmarks "
                f"({shown(list(self.parts(names)))}); name the columns of every landmark, in order, with `targets`."
            )
        elif any(at != [2 * row, 2 * row + 1] for row, at in enumerate(self.parts(names).values())):
            raise UsageError(
                "the model returns a map for each landmark, so their columns come in pairs; name them in this order: x "
                "of the first, y of the first, x of the second, and so on."
            )

    def _check_values(self, truth: np.ndarray, names: Sequence[str], source: ImageSource, split: str) -> None:
        (width, height), (low, extent) = self._frame(source), self._span
        for name, at in self.parts(names).items():
            share = (truth[:, at] - low) / extent
            far = (share < -0.5) | (share > 1.5)
            if far.any():
                row = int(far.any(axis=1).argmax())
                x, y = truth[row, at]
                raise UsageError(
                    f"landmark '{name}' of '{source.paths[row]}' is at ({x:g}, {y:g}), far outside the DNN's input of "
                    f"{width} x {height} pixels; give places in pixels of the input, after the transform's resize."
                )

    def _frame(self, source: ImageSource) -> tuple[int, int]:
        example = source.load([0])
        return int(example.shape[-1]), int(example.shape[-2])

    @cached_property
    def _span(self) -> np.ndarray:
        """(2, 2) lowest x and y of the image, then its width and height, in the unit of the targets."""
        assert self.subject.test is not None  # it is asked for where there are data
        source = self.subject.test()
        return _span(self.truth(source, self.names(source)), *self._frame(source))

    def keep(self, output: torch.Tensor) -> torch.Tensor:
        """Return (n, T + 2) places; of maps in pixels of these, whose width and height follow; else zeros follow."""
        if output.ndim != 4:
            return torch.nn.functional.pad(output.flatten(1), (0, 2))
        from hudd.lrp.targets import landmark_places  # seconds, and results are read without it

        size = torch.tensor([[output.shape[3], output.shape[2]]], device=output.device)
        return torch.cat(
            [landmark_places(output, _pixels(output)).flatten(1), size.expand(len(output), 2)], 1
        )

    def read(self, kept: np.ndarray, scale: str) -> dict[str, np.ndarray]:
        """Return the places, (N, T), and width and height of the maps that they are in, (N, 2), 0 without maps."""
        rows = kept.astype(np.float32)
        return {"output": rows[:, :-2], "maps": rows[:, -2:]}

    def located(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the places in the unit of the targets, (N, T)."""
        output, maps = columns["output"], columns["maps"]
        if not maps.all():
            return output
        low, extent = self._span
        share = output.reshape(len(output), -1, 2) / maps[:, None]
        found: np.ndarray = (low + share * extent).reshape(len(output), -1)
        return found

    def spread(self, mask: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        """Return which numbers of the output are explained, of its shape: of a map all or none."""
        if output.ndim != 4:
            return super().spread(mask, output)
        return mask[:, ::2, None, None].expand(output.shape)

    def loss(self, kind: str) -> Any:
        """Return the loss of that kind for coordinates; maps are compared with peaks."""
        return PlacesLoss(kind, self._span.tolist())

    def noted(self, source: ImageSource) -> dict[str, Any]:
        """Return where the image lies in the unit of the targets, for :meth:`draw`."""
        return {"span": self._span.tolist()}

    def draw(
        self, picture: np.ndarray, values: Mapping[str, np.ndarray], facts: Mapping[str, Any]
    ) -> np.ndarray:
        """Draw a line from where each landmark is, a green ring, to where the DNN has it, a red dot."""
        height, width = picture.shape[:2]
        times = max(1, -(-_SHOWN_SIDE // max(height, width)))
        image = Image.fromarray(picture).resize((width * times, height * times), Image.Resampling.BILINEAR)
        low, extent = np.array(facts["span"])
        size, radius = np.array(image.size), max(2, max(image.size) // 100)
        pen = ImageDraw.Draw(image)
        parts = landmarks_of(facts["targets"]) or {}
        for at in parts.values():
            (true, found) = ((values[name][at] - low) / extent * size for name in ("target", "output"))
            if not np.isfinite(true).all():
                continue
            pen.line([*true, *found], fill=_OFF, width=max(1, radius // 2))
            pen.ellipse([*(true - radius), *(true + radius)], outline=_TRUE, width=max(1, radius // 2))
            pen.ellipse([*(found - radius * 0.7), *(found + radius * 0.7)], fill=_FOUND)
        return np.asarray(image)


def _pixels(maps: torch.Tensor) -> int:
    """Return how many pixels of a map say where its landmark is: the authors' 64 of 32 x 32, and of less no more."""
    return min(64, max(1, maps[0, 0].numel() // 16))


def _span(truth: np.ndarray, width: int, height: int) -> np.ndarray:
    known = truth[np.isfinite(truth)]
    if not len(known) or np.abs(known).max() > 1:
        return np.array([[0, 0], [width, height]], np.float64)
    return np.array([[-1, -1], [2, 2]] if known.min() < 0 else [[0, 0], [1, 1]], np.float64)
