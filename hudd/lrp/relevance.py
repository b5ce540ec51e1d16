"""The relevance of a batch of images, and a picture of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image
from torch import Tensor

from hudd.colours import relevance_indices, relevance_palette
from hudd.errors import UsageError

_GAP = 8  # pixels between pictures


@dataclass
class Relevance:
    """The relevance of a batch of N images.

    Attributes
    ----------
    outputs : tuple of Tensor
        (N, ...) each of the model's outputs, the images first, wherever the model has them.
    explained : Tensor
        (N,) float64, the sum of the relevance that entered at the outputs, or before their heads.
    inputs : tuple of Tensor
        (N, ...) the relevance of each of the model's inputs, zeros where none arrives; empty if it was not asked for.
        The heatmap of a layer that reads an input is this same tensor.
    layers : dict of str to Tensor
        Relevance at each layer's input (or output, see :class:`LRP`), (N, ...), by module path; of a model with several
        outputs only the layers that the explained ones depend on.
    conservation : dict of str to Tensor
        For each layer (N,) float64: the relevance that left the layer at its input minus what entered at its output, as
        a share of what is explained. Zero is exact conservation; a bias takes its share, and so does the stabilizer.
    cumulative : dict of str to Tensor
        For each layer (N,) float64: what has been lost (below zero) or added (above zero) on all ways from the output
        until relevance leaves this layer, as a share of what is explained; -0.9: a tenth is left. Where the layer is
        on every way, ``1 + cumulative`` is the share that its heatmap sums to. NaN where the images of a batch are
        mixed on another way. "input" has the same of the model's inputs, if they were asked for.
    bias_share : dict of str to Tensor
        For each layer (N,) float64: what its biases and other constant summands absorbed, in the same unit; so
        ``conservation + bias_share`` is what the rule itself lost or added. Empty unless it was asked for.
    head : str
        What is explained where the model ends in a head, such as a softmax: "the pre-activation before softmax", with
        its own value and not that of the output. Empty where the output itself is explained.
    """

    outputs: tuple[Tensor, ...]
    explained: Tensor
    inputs: tuple[Tensor, ...] = ()
    layers: dict[str, Tensor] = field(default_factory=dict)
    conservation: dict[str, Tensor] = field(default_factory=dict)
    cumulative: dict[str, Tensor] = field(default_factory=dict)
    bias_share: dict[str, Tensor] = field(default_factory=dict)
    head: str = ""

    def __repr__(self) -> str:
        shapes = {"output": self.output, **({} if self.input is None else {"input": self.input})}
        told = [f"{name} {tuple(tensor.shape)}" for name, tensor in shapes.items()]
        told += [f"{len(self.layers)} layers", *([f"explains {self.head}"] if self.head else [])]
        return f"<Relevance of {len(self.explained)} images: {', '.join(told)}>"

    @property
    def output(self) -> Tensor:
        """(N, ...) the model's output, the first of several."""
        return self.outputs[0]

    @property
    def input(self) -> Tensor | None:
        """(N, C, H, W) the relevance of the input, the first of several; None if it was not asked for."""
        return self.inputs[0] if self.inputs else None

    def show(
        self, inputs: Tensor | None = None, *, layer: str | None = None, images: int = 8, side: int = 160
    ) -> Image.Image:
        """Draw heatmaps side by side, which a notebook displays: red speaks for the explained output, blue against it.

        Relevance is summed over channels. What is drawn in full colour is five times the mean absolute relevance
        of its image, so that colours can be compared between images as shares of their relevance.

        Parameters
        ----------
        inputs : Tensor, optional
            (N, C, H, W) what was explained; it is then drawn in grey under the heatmaps, from each image's least value
            to its greatest.
        layer : str, optional
            Whose heatmaps; None: the input's, or the first layer's where the input's were not asked for.
        images : int
            How many at most.
        side : int
            Longer side of a picture, in pixels.

        Raises
        ------
        UsageError
            If there is no such layer, its relevance is no map, or the inputs are of other images.
        """
        maps = self._maps(layer)[:images]
        if inputs is not None and (inputs.ndim != 4 or len(inputs) != len(self.explained)):
            raise UsageError(
                f"the inputs have shape {tuple(inputs.shape)}, but must be the (N, C, H, W) that were explained, "
                f"{len(self.explained)} images."
            )
        pictures = [
            _picture(heatmap, None if inputs is None else _numbers(inputs[at]).mean(0), side)
            for at, heatmap in enumerate(maps)
        ]
        width, height = pictures[0].size
        row = Image.new("RGB", (len(pictures) * (width + _GAP) - _GAP, height), "white")
        for at, picture in enumerate(pictures):
            row.paste(picture, (at * (width + _GAP), 0))
        return row

    def _maps(self, layer: str | None) -> np.ndarray:
        """The heatmaps of a layer, (N, h, w)."""
        if layer is None and self.input is not None:
            layer, found = "input", self.input
        else:
            layer = next(iter(self.layers), "input") if layer is None else layer
            if layer not in self.layers:
                named = ", ".join(self.layers) or "none"
                raise UsageError(f"there is no relevance of layer '{layer}'; the layers are: {named}.")
            found = self.layers[layer]
        if found.ndim != 4:
            raise UsageError(
                f"the relevance of '{layer}' has shape {tuple(found.shape)}, so it is no map; choose a layer whose "
                "relevance is (N, C, H, W)."
            )
        maps: np.ndarray = _numbers(found).sum(1)
        return maps


def _numbers(tensor: Tensor) -> np.ndarray:
    numbers: np.ndarray = tensor.detach().cpu().double().numpy()
    return numbers


def _picture(heatmap: np.ndarray, under: np.ndarray | None, side: int) -> Image.Image:
    """A heatmap over white, or over a picture in grey."""
    height, width = heatmap.shape if under is None else under.shape
    size = (
        max(1, round(side * width / max(height, width))),
        max(1, round(side * height / max(height, width))),
    )
    colours = Image.fromarray(relevance_palette()[relevance_indices(heatmap)], "RGBA")
    if under is None:
        ground = Image.new("RGBA", size, "white")
    else:
        low, high = under.min(), under.max()
        grey = np.rint((under - low) / ((high - low) or 1) * 255).astype(np.uint8)
        ground = Image.fromarray(grey).convert("RGBA").resize(size, Image.Resampling.NEAREST)
    return Image.alpha_composite(ground, colours.resize(size, Image.Resampling.NEAREST)).convert("RGB")
