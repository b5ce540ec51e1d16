"""Parity of the preset ``hudd-2021`` with the heatmaps that the authors' own functions gave."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import hudd

pytestmark = pytest.mark.slow

RELATIVE = (
    1e-5  # of the greatest relevance of the layer; the original itself is within 1e-6 of its float64 run
)


def _reduced(name: str) -> nn.Sequential:
    """The AlexNet-like nets of golden/README.md; ReLUs in place, as there."""
    relu, drop = nn.ReLU(inplace=True), nn.Dropout()
    if name == "redA":
        features = [nn.Conv2d(3, 8, 3, 2), relu, nn.MaxPool2d(3, 2), nn.Conv2d(8, 12, 5, padding=2), relu,
                    nn.Conv2d(12, 10, 3, padding=1), relu, nn.MaxPool2d(3, 2)]  # fmt: skip
        classifier = [drop, nn.Linear(90, 20), relu, drop, nn.Linear(20, 16), relu, nn.Linear(16, 6)]
    elif name == "redB":
        features = [nn.Conv2d(3, 7, 3, 3), relu, nn.MaxPool2d(2, 2), nn.Conv2d(7, 9, 3, padding=1), relu,
                    nn.Conv2d(9, 6, 3, padding=1), relu]  # fmt: skip
        classifier = [drop, nn.Linear(150, 12), relu, nn.Linear(12, 4)]
    else:
        features = [
            nn.Conv2d(3, 6, 11, 4, padding=2),
            relu,
            nn.MaxPool2d(3, 2),
            nn.Conv2d(6, 8, 3, padding=1),
            relu,
        ]
        classifier = [drop, nn.Linear(72, 10), relu, drop, nn.Linear(10, 5)]
    # A fresh module for every place: one in-place ReLU used five times would be one layer with five calls.
    again = {nn.ReLU: lambda: nn.ReLU(inplace=True), nn.Dropout: nn.Dropout}
    fresh = [again.get(type(layer), lambda kept=layer: kept)() for layer in (*features, *classifier)]
    model = nn.Sequential()
    model.add_module("features", nn.Sequential(*fresh[: len(features)]))
    model.add_module("flatten", nn.Flatten())
    model.add_module("classifier", nn.Sequential(*fresh[len(features) :]))
    return model.eval()


class KeypointNet(nn.Module):
    """KPNet with the narrow layers of golden/README.md."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.pool1 = nn.MaxPool2d(2, 2)
        self.conv3, self.conv4 = nn.Conv2d(6, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.pool2 = nn.MaxPool2d(2, 2)
        self.conv5, self.conv6 = nn.Conv2d(8, 10, 3, padding=1), nn.Conv2d(10, 10, 1)
        self.convt1 = nn.ConvTranspose2d(10, 8, 2, 2, bias=False)
        self.convt2 = nn.ConvTranspose2d(8, 27, 2, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        relu = functional.relu
        x = self.pool1(relu(self.conv2(relu(self.conv1(x)))))
        x = self.pool2(relu(self.conv4(relu(self.conv3(x)))))
        x = relu(self.conv6(relu(self.conv5(x))))
        return self.convt2(relu(self.convt1(x)))


def _load(model: nn.Module, golden: dict[str, np.ndarray], net: str) -> None:
    stored = [key for key in golden if key.startswith(f"{net}/w/")]
    values = [torch.from_numpy(golden[key]) for key in stored]
    state = dict(zip(model.state_dict(), values))
    assert len(state) == len(model.state_dict()) == len(values)
    model.load_state_dict(state)


def _worst(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Greatest difference, as a share of the greatest number."""
    scale = np.abs(theirs).max(axis=tuple(range(1, theirs.ndim)), keepdims=True)
    return float((np.abs(ours - theirs) / np.where(scale > 0, scale, 1)).max())


def _assert_close(name: str, ours: np.ndarray, theirs: np.ndarray, tolerance: float = RELATIVE) -> None:
    assert ours.shape == theirs.shape, name
    worst = _worst(ours, theirs)
    assert worst <= tolerance, f"{name}: {worst:.2e}"


def _in_float64(layer: nn.Module, x: Tensor, relevance: Tensor) -> np.ndarray:
    """LRP-0 with the authors' 1e-9, by autograd."""
    x = x.double().requires_grad_()
    z = deepcopy(layer).double()(x)
    z.backward(relevance.double() / (z.detach() + 1e-9))
    return (x * x.grad).detach().numpy()


@pytest.mark.parametrize(
    ("net", "weights"), [("redA", "redA"), ("redB", "redB"), ("redC", "redC"), ("redA_zero", "redA")]
)
def test_classifier_heatmaps(lrp_golden: dict[str, np.ndarray], net: str, weights: str) -> None:
    model = _reduced(weights)
    _load(model, lrp_golden, weights)
    images = torch.from_numpy(lrp_golden[f"{net}/input"])
    names = [str(name).rpartition(".")[0] for name in lrp_golden[f"{net}/layer_names"]]
    relevance = hudd.LRP(model, rules="hudd-2021", layers=names).attribute(images)
    np.testing.assert_allclose(relevance.output.numpy(), lrp_golden[f"{net}/output"], rtol=1e-5, atol=1e-6)
    for position, name in enumerate(names):
        theirs = lrp_golden[f"{net}/HM/{position:02d}"]
        ours = relevance.layers[name].numpy()
        _assert_close(f"{net} {name}", ours.reshape(theirs.shape), theirs)


@pytest.mark.parametrize("area", ["all", "mouth"])
def test_keypoint_heatmaps(lrp_golden: dict[str, np.ndarray], area: str) -> None:
    model = KeypointNet()
    _load(model, lrp_golden, "kp")
    images = torch.from_numpy(lrp_golden["kp/input_u8"].astype(np.float32) / 255)[:, None]
    worst = torch.from_numpy(lrp_golden[f"kp/worst_keypoint_{area}"])

    def worst_landmark(maps: Tensor) -> Tensor:
        kept = torch.zeros_like(maps)
        rows = torch.arange(len(maps))
        kept[rows, worst] = maps[rows, worst]
        return kept

    names = ["conv1", "conv2", "pool1", "conv3", "conv4", "pool2", "conv5", "conv6", "convt1", "convt2"]
    relevance = hudd.LRP(model, rules="hudd-2021", layers=names).attribute(images, worst_landmark)
    for position, name in enumerate(names):
        _assert_close(
            f"kp {name}", relevance.layers[name].numpy(), lrp_golden[f"kp/{area}/HM/{position:02d}"]
        )


_UNITS = {
    "linear": lambda w, b: nn.Linear(w.shape[1], w.shape[0]),
    "conv_k3s1p1": lambda w, b: nn.Conv2d(w.shape[1], w.shape[0], 3, 1, 1),
    "conv_k5s2p2_op1": lambda w, b: nn.Conv2d(w.shape[1], w.shape[0], 5, 2, 2),
    "conv_k3s3_op2": lambda w, b: nn.Conv2d(w.shape[1], w.shape[0], 3, 3),
    "convT_k2s2": lambda w, b: nn.ConvTranspose2d(w.shape[0], w.shape[1], 2, 2, bias=False),
    "convT_k2s2_bias": lambda w, b: nn.ConvTranspose2d(w.shape[0], w.shape[1], 2, 2),
    "pool_k2s2": lambda w, b: nn.MaxPool2d(2, 2),
    "pool_k3s2_overlap": lambda w, b: nn.MaxPool2d(3, 2),
    "pool_k3s2_ties": lambda w, b: nn.MaxPool2d(3, 2),
}


@pytest.mark.parametrize("case", _UNITS)
def test_single_layers(lrp_golden: dict[str, np.ndarray], case: str) -> None:
    part = {
        key.rpartition("/")[2]: torch.from_numpy(value)
        for key, value in lrp_golden.items()
        if key.startswith(f"unit/{case}/")
    }
    layer = _UNITS[case](part.get("weight"), part.get("bias"))
    layer.load_state_dict({name: part[name] for name in ("weight", "bias") if name in part})
    relevance = hudd.LRP(nn.Sequential(layer), rules="hudd-2021", layers=["0"]).attribute(
        part["X"], lambda y: part["R_in"]
    )
    ours, theirs, tolerance = relevance.layers["0"].numpy(), part["R_out"].numpy(), RELATIVE
    if "conv" in case:  # relevance entered over sums near 0: their own rounding is what it is
        truth = _in_float64(layer, part["X"], part["R_in"])
        tolerance = max(RELATIVE, 2 * _worst(theirs, truth))
    _assert_close(case, ours, theirs, tolerance)
