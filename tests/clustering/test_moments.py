import numpy as np
import pytest
import torch
from torch import nn

import hudd
from hudd.clustering.moments import Moments, channel_moments
from hudd.errors import UsageError
from hudd.lrp import LRP


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(20, 3),
    ).eval()


@pytest.fixture
def images():
    return torch.rand(9, 2, 8, 8, generator=torch.Generator().manual_seed(1))


def test_channel_moments_are_mean_and_deviation_over_space():
    values = np.random.default_rng(0).normal(size=(3, 4, 5, 6)).astype(np.float32)
    found = channel_moments(torch.from_numpy(values)).numpy()
    np.testing.assert_allclose(found[:, :4], values.mean(axis=(2, 3)), atol=1e-6)
    np.testing.assert_allclose(found[:, 4:], values.std(axis=(2, 3)), atol=1e-6)


def by_the_formula(net, images, target, layers):
    """Plain NumPy, from the heatmaps and the activations."""
    relevance = LRP(net, rules="z-plus", layers=layers).attribute(images, target=target).layers
    groups = []
    for name in layers:
        r = relevance[name].numpy().astype(np.float64)
        r /= np.abs(r).sum(axis=(1, 2, 3), keepdims=True)
        groups.append(np.sqrt(np.abs(np.hstack([r.mean(axis=(2, 3)), r.std(axis=(2, 3))]))))
    with torch.no_grad():
        for name in layers:
            a = net[: int(name)](images).numpy().astype(np.float64)
            groups.append(np.hstack([a.mean(axis=(2, 3)), a.std(axis=(2, 3))]))
        last = net[: int(layers[-1])](images).flatten(1).numpy().astype(np.float64)
    last /= np.linalg.norm(last, axis=1, keepdims=True)
    last = (last - last.mean(axis=0)) * np.sqrt(len(groups) / last.var(axis=0).sum())
    groups = [(g - g.mean(axis=0)) / g.std(axis=0) / np.sqrt(g.shape[1]) for g in groups]
    return np.hstack([*groups, last])


def test_moments_are_standardised_over_the_reference(net, images):
    target = net(images).argmax(1)
    calls = []

    def reference():
        calls.append(1)
        yield images[:4], target[:4]
        yield images[4:], target[4:]

    extractor = Moments(net, reference)
    assert extractor.prepare(images[:1]) == ("moments",)
    assert not calls
    found = torch.cat(
        [extractor.attribute(images[at : at + 3], target[at : at + 3]).layers["moments"] for at in (0, 3, 6)]
    )
    np.testing.assert_allclose(found, by_the_formula(net, images, target, ["0", "3"]), atol=2e-4)
    assert calls == [1]


def test_a_column_that_never_changes_is_zero(net, images):
    with torch.no_grad():
        net[0].weight[1] = 0  # channel 1 of the second convolution's input is its bias everywhere
        net[0].bias[1] = 0.5
    extractor = Moments(net, lambda: [(images, net(images).argmax(1))], layers=["3"])
    found = extractor.attribute(images, net(images).argmax(1)).layers["moments"]
    activation = found[:, 8:]
    assert (activation[:, 1] == 0).all()
    assert (activation[:, 5] == 0).all()
    assert torch.isfinite(found).all()


def test_equal_images_have_no_moments_to_tell_apart(net, images):
    same = images[:1].expand(4, -1, -1, -1)
    extractor = Moments(net, lambda: [(same, torch.zeros(4, dtype=torch.long))])
    found = extractor.attribute(same, torch.zeros(4, dtype=torch.long)).layers["moments"]
    assert (found == 0).all()


def test_a_network_without_convolutions_is_refused(images):
    net = nn.Sequential(nn.Flatten(), nn.Linear(128, 3)).eval()
    with pytest.raises(UsageError, match="there is none"):
        Moments(net, list).prepare(images)


def test_the_preset_cuts_by_the_size_of_the_clusters():
    rows = np.random.default_rng(0).normal(size=(90, 6)).astype(np.float32)
    assert hudd.cluster(rows, preset="moments").k == 6
    assert hudd.cluster(rows, preset="moments", max_clusters=4).k == 4
    assert (
        hudd.cluster(rows, preset="moments", cluster_size=9).k == hudd.cluster(rows, cluster_size=9).k == 10
    )
    with pytest.raises(UsageError, match="cluster_size is 0"):
        hudd.cluster(rows, cluster_size=0)
    assert hudd.cluster(rows[:3], preset="moments").k <= 2
