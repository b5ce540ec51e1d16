"""Studies of networks that have channels last: what is stored tells so, and pictures are summed over them."""

import h5py
import numpy as np
import pytest
import torch

from hudd.study import Study

pytestmark = pytest.mark.slow

MODEL = """
import torch
from torch import nn
from hudd.data import Transform


class ChannelsLast(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.stem, self.norm, self.mix = nn.Conv2d(1, 5, 2, 2), nn.LayerNorm(5), nn.Linear(5, 5)
        self.tokens, self.head = nn.Linear(5, 5), nn.Linear(5, 3)

    def forward(self, x):
        x = self.mix(self.norm(self.stem(x).permute(0, 2, 3, 1)))
        return self.head(self.tokens(torch.relu(x).flatten(1, 2)).mean(1))


def make():
    return ChannelsLast()


make.transform = Transform(grayscale=True)
"""


@pytest.fixture
def made(material, tmp_path):
    (tmp_path / "last.py").write_text(MODEL)
    given = {name: material[name] for name in ("test", "preset")}

    def create(**choices):
        path = tmp_path / f"study-{len(list(tmp_path.iterdir()))}"
        return Study.create(path, model=f"{tmp_path / 'last.py'}:make", **given, **choices)

    return create


def test_pictures_are_summed_over_the_channels(made):
    study, rows = made(layers=("stem", "norm", "mix", "tokens")).heatmaps(), np.arange(3)
    wanted = {"stem": ((1, 8, 8), 1), "norm": ((4, 4, 5), 3), "mix": ((4, 4, 5), 3), "tokens": ((16, 5), 2)}
    for layer, (shape, axis) in wanted.items():
        assert study.heatmap_shape(layer) == shape
        assert study.channel_axis(layer) == axis
    for layer in ("norm", "mix"):
        expected = study.heatmaps_of(layer)[rows].sum(axis=3)
        np.testing.assert_allclose(study.spatial_heatmaps(rows, layer), expected, rtol=1e-5, atol=1e-7)
    assert study.spatial_heatmaps(rows, "tokens").shape == (3, 8, 8)  # tokens are no picture
    with h5py.File(study.path / "study.h5") as h5:
        for layer, last in {"stem": "column", "mix": "channel", "tokens": "channel"}.items():
            dims = h5[f"layers/{layer}/relevance"].dims
            assert dims[wanted[layer][1]].label == "channel"
            assert dims[len(dims) - 1].label == last


def test_also_where_heatmaps_are_not_kept(made):
    kept, made_anew = made(layers=("mix",)).heatmaps(), made(layers=("mix",), store="none").heatmaps()
    rows = np.arange(4)
    np.testing.assert_allclose(
        made_anew.spatial_heatmaps(rows, "mix"), kept.spatial_heatmaps(rows, "mix"), rtol=1e-5, atol=1e-7
    )


def test_a_file_without_the_axis_has_channels_first(made):
    study = made(layers=("stem",)).heatmaps()
    with study.writing() as h5:
        del h5["layers/stem"].attrs["channel_axis"]
    assert study.channel_axis("stem") == 1


@pytest.mark.parametrize("choices", [{}, {"features": "activation"}])
def test_pooled_features_have_a_number_a_channel(made, choices):
    study = made(layers=("mix", "tokens"), pool="channel", **choices).heatmaps()
    assert [study.heatmap_shape(layer) for layer in study.layers] == [(5,), (5,)]
    assert torch.isfinite(torch.from_numpy(study.heatmaps_of("mix")[...])).all()
