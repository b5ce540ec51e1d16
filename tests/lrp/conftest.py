"""Other libraries to agree with, where they are installed, and small networks of the kinds that they lack."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

Peer = Callable[[str], ModuleType]
_torchvision_operators: list[torch.library.Library] = []


@pytest.fixture(scope="session")
def torchvision(peer: Peer) -> ModuleType:
    """torchvision, also where its compiled part was built for another torch: it only looks whether two names exist."""
    try:
        return peer("torchvision")
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _torchvision_operators.append(library)  # they go when the library goes
        return peer("torchvision")


@pytest.fixture(scope="session")
def timm(peer: Peer, torchvision: ModuleType) -> ModuleType:
    """timm, which imports torchvision."""
    return peer("timm")


@pytest.fixture(scope="session")
def zennit(peer: Peer, torchvision: ModuleType) -> ModuleType:
    """zennit with the parts that the tests use."""
    module = peer("zennit")
    for part in ("attribution", "canonizers", "composites", "layer", "rules", "torchvision"):
        peer(f"zennit.{part}")
    return module


@pytest.fixture(scope="session")
def captum(peer: Peer) -> ModuleType:
    """captum's attribution methods."""
    peer("captum.attr._utils.lrp_rules")
    return peer("captum.attr")


def block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, rectifier."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class UNet(nn.Module):
    """Two levels down and up again, skips by concatenation; (N, 3, H, W) to (N, 5, H, W) scores of every pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.bottom = block(3, 8), block(8, 16), block(16, 32)
        self.rise2, self.up2 = nn.ConvTranspose2d(32, 16, 2, 2), block(32, 16)
        self.up1, self.head = block(24, 8), nn.Conv2d(8, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down1(x)
        second = self.down2(functional.max_pool2d(first, 2))
        y = self.bottom(functional.max_pool2d(second, 2))
        y = self.up2(torch.cat([self.rise2(y), second], 1))
        y = functional.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
        return self.head(self.up1(torch.cat([y, first], 1)))


class _Hourglass(nn.Module):
    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.skip, self.down, self.up = block(width, width), block(width, width), block(width, width)
        self.inner = _Hourglass(depth - 1, width) if depth > 1 else block(width, width)

    def forward(self, x: Tensor) -> Tensor:
        inside = self.up(self.inner(self.down(functional.max_pool2d(x, 2))))
        return self.skip(x) + functional.interpolate(inside, scale_factor=2.0)


class StackedHourglass(nn.Module):
    """Two hourglasses, the heatmaps of the first fed to the second; (N, 1, H, W) to (N, 4, H/2, W/2) heatmaps."""

    def __init__(self, width: int = 8, landmarks: int = 4) -> None:
        super().__init__()
        self.stem = block(1, width, 2)
        self.hourglasses = nn.ModuleList(_Hourglass(2, width) for _ in range(2))
        self.maps = nn.ModuleList(nn.Conv2d(width, landmarks, 1) for _ in range(2))
        self.back, self.remap = nn.Conv2d(width, width, 1), nn.Conv2d(landmarks, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.hourglasses[0](x)
        x = x + self.back(y) + self.remap(self.maps[0](y))
        return self.maps[1](self.hourglasses[1](x))


class Fusion(nn.Module):
    """Three resolutions side by side, every one told of the others, as in HRNet; (N, 3, H, W) to (N, 6)."""

    def __init__(self) -> None:
        super().__init__()
        widths = (8, 12, 16)
        self.stem = nn.ModuleList([block(3, 8, 2), block(8, 12, 2), block(12, 16, 2)])
        self.branches = nn.ModuleList(block(width, width) for width in widths)
        self.fuse = nn.ModuleDict()
        for here in range(3):
            for there in range(3):
                if there > here:  # from a lower resolution
                    self.fuse[f"{there}{here}"] = nn.Conv2d(widths[there], widths[here], 1)
                for step in range(there, here):  # from a higher one, halved step by step
                    key = f"{there}{here}{step}"
                    self.fuse[key] = nn.Conv2d(
                        widths[there], widths[here if step == here - 1 else there], 3, 2, 1
                    )
        self.head = nn.Linear(sum(widths), 6)

    def _sent(self, x: Tensor, there: int, here: int, size: torch.Size) -> Tensor:
        if there > here:
            return functional.interpolate(self.fuse[f"{there}{here}"](x), size=size, mode="nearest")
        for step in range(there, here):
            x = self.fuse[f"{there}{here}{step}"](x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        levels = []
        for stem in self.stem:
            x = stem(x)
            levels.append(x)
        levels = [branch(level) for branch, level in zip(self.branches, levels)]
        fused = []
        for here, level in enumerate(levels):
            y = level
            for there, other in enumerate(levels):
                if there != here:
                    y = y + self._sent(other, there, here, level.shape[2:])
            fused.append(torch.relu(y))
        return self.head(torch.cat([level.mean((2, 3)) for level in fused], 1))


class TwoByTwo(nn.Module):
    """An image and its depth map to a class and a distance: two inputs, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.depth = block(3, 8, 2), block(1, 4, 2)
        self.both = block(12, 12)
        self.classes, self.distance = nn.Linear(12, 5), nn.Linear(12, 1)

    def forward(self, image: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
        y = self.both(torch.cat([self.image(image), self.depth(depth)], 1)).mean((2, 3))
        return self.classes(y), self.distance(y)


# Each with the shapes of its inputs.
NETWORKS: dict[str, tuple[type[nn.Module], list[tuple[int, ...]]]] = {
    "u-net": (UNet, [(3, 24, 32)]),
    "stacked hourglass": (StackedHourglass, [(1, 32, 32)]),
    "hrnet-like fusion": (Fusion, [(3, 32, 32)]),
    "two inputs, two outputs": (TwoByTwo, [(3, 16, 16), (1, 16, 16)]),
}


@pytest.fixture(scope="session")
def networks() -> dict[str, tuple[type[nn.Module], list[tuple[int, ...]]]]:
    """Networks of the kinds that torchvision lacks, by name, each with the shapes of its inputs."""
    return NETWORKS
