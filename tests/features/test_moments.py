import numpy as np
import pytest
import torch
from torch import nn

import hudd
from hudd.errors import UsageError
from hudd.features.moments import (
    Moments,
    Moments2026,
    MomentsWeighted,
    _coarse,
    _shares,
    channel_moments,
    roughness,
    weighted_moments,
)
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
    alone = channel_moments(torch.from_numpy(values[:, :, 0, 0])).numpy()
    np.testing.assert_array_equal(alone, np.hstack([values[:, :, 0, 0], np.zeros((3, 4))]))


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 7), (2, 3, 4, 5), (2, 3, 2, 3, 4)])
def test_moments_of_any_number_of_axes_in_half_precision(shape):
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0)).half()
    found, flat = channel_moments(values), values.double().numpy().reshape(2, 3, -1)
    assert (found.dtype, found.shape) == (torch.float32, (2, 6))
    np.testing.assert_allclose(found, np.hstack([flat.mean(2), flat.std(2)]), atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 3, 7), (2, 3, 4, 5), (2, 3, 1, 6), (2, 3, 2, 3, 4)])
def test_roughness_is_steps_between_neighbours_against_deviation(shape):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    flat = values.reshape(2, 3, -1)
    spread = flat.std(2) + 1e-3 * np.abs(flat).mean(2)
    expected = []
    for axis in range(2, values.ndim):
        steps = np.abs(np.diff(values, axis=axis)).reshape(2, 3, -1)
        step = steps.mean(2) if steps.shape[2] else np.zeros((2, 3))
        expected.append(step / (step + spread))
    np.testing.assert_allclose(roughness(torch.from_numpy(values)), np.hstack(expected), rtol=1e-4)


def test_roughness_tells_directions_apart_and_not_scales_and_takes_rounding_for_nothing():
    rows = torch.zeros(1, 1, 8, 8)
    rows[..., ::2, :] = 1
    down, across = roughness(rows)[0]
    assert down > 0.6
    assert across == 0
    np.testing.assert_allclose(roughness(1e-3 * rows), roughness(rows), rtol=1e-5)
    even = 5 + 1e-6 * torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert roughness(even).max() < 1e-3
    assert (roughness(torch.zeros(1, 2, 3, 3)) == 0).all()


@pytest.mark.parametrize("shape", [(2, 3, 7), (2, 3, 4, 5), (2, 3, 2, 3, 4)])
def test_weighted_moments_are_those_of_places_drawn_by_their_weight(shape):
    rng = np.random.default_rng(0)
    values = rng.normal(size=shape).astype(np.float32)
    weights = rng.normal(size=(2, 4, *shape[2:])).astype(np.float32)
    share = np.abs(weights).sum(1).reshape(2, 1, -1).astype(np.float64)
    share /= share.sum(2, keepdims=True)
    flat = values.reshape(2, 3, -1).astype(np.float64)
    mean = (share * flat).sum(2)
    deviation = np.sqrt((share * (flat - mean[..., None]) ** 2).sum(2))
    found = weighted_moments(torch.from_numpy(values), torch.from_numpy(weights))
    assert (found.dtype, found.shape) == (torch.float32, (2, 6))
    np.testing.assert_allclose(found, np.hstack([mean, deviation]), atol=1e-5)


def test_places_without_weight_do_not_count_and_equal_weights_change_nothing():
    values = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    weights = torch.ones(2, 1, 4, 4)
    torch.testing.assert_close(weighted_moments(values, -3 * weights), channel_moments(values))
    weights[..., 2:] = 0
    found = weighted_moments(values, weights)
    torch.testing.assert_close(found, channel_moments(values[..., :2]))
    values[..., 2:] = 7
    assert torch.equal(weighted_moments(values, weights), found)
    assert (weighted_moments(values, 0 * weights) == 0).all()


def test_shares_of_an_image_add_up_to_one_in_magnitude_and_of_none_to_nothing():
    relevance = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    relevance[1] = 0
    relevance[2] *= 1e-30
    shares = _shares(relevance)
    np.testing.assert_allclose(shares.flatten(1).abs().sum(1), [1, 0, 1], rtol=1e-5)
    np.testing.assert_allclose(shares[0], relevance[0] / relevance[0].abs().sum(), rtol=1e-5)
    np.testing.assert_allclose(_shares(torch.tensor([[3.0, -1.0]])), [[0.75, -0.25]])


@pytest.mark.parametrize(
    ("shape", "smaller"),
    [
        ((1, 1 << 14), (1, 1 << 14)),
        ((1, 20_000, 1, 1), (1, 20_000, 1, 1)),  # no space to average over
        ((1, 4, 1 << 12), (1, 4, 1 << 12)),  # few enough
        ((1, 4, 1 << 13), (1, 4, 1 << 12)),
        ((1, 3, 128, 128), (1, 3, 64, 64)),
        ((1, 1, 64, 32, 16), (1, 1, 32, 16, 8)),
        ((2, 17_000, 2, 1), (2, 17_000, 1, 1)),
        ((1, 5, 257, 32), (1, 5, 129, 16)),
    ],
)
def test_maps_are_halved_until_they_are_small_enough(shape, smaller):
    values = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    coarse = _coarse(values)
    assert coarse.shape == smaller
    if shape == smaller:
        assert torch.equal(coarse, values)
    elif all(size == 2 * half for size, half in zip(shape[2:], smaller[2:])):
        folded = values.reshape(*shape[:2], *(part for half in smaller[2:] for part in (half, 2)))
        expected = folded.mean(dim=tuple(range(3, folded.ndim, 2)))
        np.testing.assert_allclose(coarse, expected, rtol=1e-4)


@pytest.mark.slow
def test_conservation_is_that_of_the_leakiest_layer(net, images):
    target = net(images).argmax(1)
    extractor = Moments(net, lambda most: [(images, target)], rules="alpha-beta")
    assert extractor.head == ""
    found = extractor.attribute(images, target).conservation["moments"]
    lost = torch.stack(
        list(
            LRP(net, rules="alpha-beta", layers=["0", "3"])
            .attribute(images, target=target)
            .conservation.values()
        )
    )
    assert found.abs().max() > 0
    worst = lost.gather(0, lost.abs().argmax(0, keepdim=True))[0]
    torch.testing.assert_close(found, worst, rtol=1e-4, atol=1e-6)


def columns_by_the_formula(net, images, target, layers):
    """Plain NumPy, from the heatmaps and the activations: groups of columns, the last activation last."""
    relevance = LRP(net, rules="z-plus", layers=layers).attribute(images, target=target).layers
    groups = []
    for name in layers:
        r = relevance[name].numpy().astype(np.float64)
        r /= np.maximum(np.abs(r).sum(axis=(1, 2, 3), keepdims=True), 1e-30)
        groups.append(np.sqrt(np.abs(np.hstack([r.mean(axis=(2, 3)), r.std(axis=(2, 3))]))))
    with torch.no_grad():
        for name in layers:
            a = net[: int(name)](images).numpy().astype(np.float64)
            groups.append(np.hstack([a.mean(axis=(2, 3)), a.std(axis=(2, 3))]))
        last = net[: int(layers[-1])](images).flatten(1).numpy().astype(np.float64)
    return [*groups, last / np.linalg.norm(last, axis=1, keepdims=True)]


def by_the_formula(net, failures, normal, asked, layers):
    """The features of the images `asked`, up to a rotation: from the columns, scaled over the failures."""
    *groups, last = columns_by_the_formula(net, *failures, layers)
    scales = [np.sqrt(g.shape[1]) * g.std(axis=0) for g in groups]
    scales.append(np.full(last.shape[1], np.sqrt(last.var(axis=0).sum() / len(groups))))
    means = [g.mean(axis=0) for g in (*groups, last)]

    def scaled(images):
        found = columns_by_the_formula(net, *images, layers)
        return np.hstack([(g - m) / s for g, m, s in zip(found, means, scales)])

    both = np.vstack([scaled(failures), scaled(normal)])
    _, values, axes = np.linalg.svd(both - both.mean(axis=0), full_matrices=False)
    axes = axes[values > 1e-4 * values[0]].T
    at = scaled(normal) @ axes
    covariance = np.cov(at.T)
    level = np.trace(covariance) / len(covariance)
    inverse = np.linalg.inv(0.9 * covariance + 0.1 * level * np.eye(len(covariance)))
    away = (scaled(asked) - scaled(normal).mean(axis=0)) @ axes
    products = away @ inverse @ away.T
    lengths = np.sqrt(np.diag(products))
    return products / np.sqrt(np.outer(lengths, lengths))  # scalar products of the rows


def test_moments_are_those_of_the_formula(net, images):
    target, normal = (
        net(images).argmax(1),
        torch.rand(40, 2, 8, 8, generator=torch.Generator().manual_seed(2)),
    )
    right, calls = net(normal).argmax(1), []

    def failures(most):
        calls.append(most)
        yield images[:4], target[:4]
        yield images[4:], target[4:]

    extractor = Moments2026(net, failures, lambda most: [(normal, right)])
    assert extractor.prepare(images[:1]) == ("moments",)
    assert not calls
    found = torch.cat(
        [extractor.attribute(images[at : at + 3], target[at : at + 3]).layers["moments"] for at in (0, 3, 6)]
    )
    assert found.dtype == torch.float32
    both = ((images, target), (normal, right))
    wanted = by_the_formula(net, *both, (images, target), ["0", "3"])
    np.testing.assert_allclose(found @ found.T, wanted, atol=2e-3 * np.abs(wanted).max())
    assert calls == [1000]


def test_weighted_activations_take_the_place_of_moments_of_relevance(net, images):
    target = net(images).argmax(1)
    extractor = MomentsWeighted(net, lambda most: [(images, target)])
    extractor.prepare(images[:1])
    first, second, *others = extractor._parts(images, target)[0]
    relevance = LRP(net, rules="z-plus", layers=["0", "3"]).attribute(images, target=target).layers
    torch.testing.assert_close(first, weighted_moments(images, relevance["0"]))
    torch.testing.assert_close(second, weighted_moments(net[:3](images), relevance["3"]))
    usual = Moments(net, lambda most: [(images, target)])
    usual.prepare(images[:1])
    assert all(torch.equal(*pair) for pair in zip(others, usual._parts(images, target)[0][2:], strict=True))
    _, directions = extractor._map
    assert (directions[-others[-1].shape[1] :] == 0).all()  # no map
    found = extractor.attribute(images, target).layers["moments"].double()
    rows = found * found.norm(dim=1, keepdim=True)  # as they are before the root of the norm is divided by
    wanted = sum(
        share * standardised(part) @ standardised(part).T
        for share, part in zip((1, 1, 0.5, 0.5), (first, second, *others))
    )
    torch.testing.assert_close(rows @ rows.T, wanted, atol=1e-3 * wanted.abs().max().item(), rtol=0)


def standardised(part):
    part = part.double() - part.double().mean(0)
    deviation = part.square().mean(0).sqrt()
    alive = deviation > 1e-6
    return part[:, alive] / deviation[alive] / alive.sum().sqrt()


@pytest.mark.slow
def test_without_places_the_moments_of_relevance_stay(images):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(128, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
    target = net(images).argmax(1)
    parts = []
    for kind in (MomentsWeighted, Moments):
        extractor = kind(net, lambda most: [(images, target)])
        extractor.prepare(images[:1])
        parts.append(extractor._parts(images, target)[0])
    assert all(torch.equal(*pair) for pair in zip(*parts, strict=True))


@pytest.mark.slow
def test_normal_images_are_short_and_vary_alike(net, images):
    normal = torch.rand(300, 2, 8, 8, generator=torch.Generator().manual_seed(2))
    extractor = Moments2026(
        net, lambda most: [(images, net(images).argmax(1))], lambda most: [(normal, net(normal).argmax(1))]
    )
    rows = extractor.attribute(normal, net(normal).argmax(1)).layers["moments"].double()
    rows = rows * rows.norm(dim=1, keepdim=True)  # as they are before the root of the norm is divided by
    assert extractor.contrasted
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-3)
    assert np.linalg.eigvalsh(np.cov(rows.T)).max() < 1 / 0.9


@pytest.mark.slow
@pytest.mark.parametrize("count", [0, 1])
def test_too_few_normal_images_leave_the_components_of_the_failures(net, images, count):
    target = net(images).argmax(1)
    some = lambda most: [(images[:count], target[:count])] if count else []  # noqa: E731
    found = Moments(net, lambda most: [(images, target)], some).attribute(images, target).layers["moments"]
    assert torch.isfinite(found).all()
    assert found.norm(dim=1).min() > 0
    rows = found.double() * found.double().norm(dim=1, keepdim=True)  # centred on the failures
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-4 * rows.abs().max())


def test_what_is_made_of_moments_is_said_of_them():
    assert (Moments.conserves, Moments.unit_norm, Moments.alike) == (True, False, "channel moments")


@pytest.mark.slow
def test_a_column_that_never_changes_does_not_count(net, images):
    with torch.no_grad():
        net[0].weight[1] = 0  # channel 1 of the second convolution's input is its bias everywhere
        net[0].bias[1] = 0.5
    extractor = Moments(net, lambda most: [(images, net(images).argmax(1))], layers=["3"])
    found = extractor.attribute(images, net(images).argmax(1)).layers["moments"]
    _, directions = extractor._map
    assert (directions[8 + np.array([1, 5])] == 0).all()
    assert torch.isfinite(found).all()


@pytest.mark.slow
def test_a_column_that_changes_in_normal_images_alone_does_not_count(net, images):
    with torch.no_grad():
        net[0].weight[1] = 1 / net[0].weight[1].numel()
        net[0].bias[1] = -0.5  # only bright images pass
    dark, bright = 0.3 * images, 0.6 + 0.4 * images
    failures, normal = ([(some, net(some).argmax(1))] for some in (dark, bright))
    extractor = Moments(net, lambda most: failures, lambda most: normal, layers=["3"])
    found = extractor.attribute(dark, net(dark).argmax(1)).layers["moments"]
    _, directions = extractor._map
    assert (directions[8 + np.array([1, 5])] == 0).all()
    assert torch.isfinite(found).all()


@pytest.mark.slow
def test_equal_images_have_no_moments_to_tell_apart(net, images):
    same = images[:1].expand(4, -1, -1, -1)
    extractor = Moments(net, lambda most: [(same, torch.zeros(4, dtype=torch.long))])
    found = extractor.attribute(same, torch.zeros(4, dtype=torch.long)).layers["moments"]
    assert (found == 0).all()


class Tokens(nn.Module):
    """A transformer's block: places first, channels last."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(8, 6)
        self.grow, self.shrink = nn.Linear(6, 12), nn.Linear(12, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = self.embed(x.flatten(1, 2))
        x = x + self.shrink(torch.relu(self.grow(x)))
        return self.head(x.mean(1))


@pytest.mark.slow
def test_layers_that_work_place_by_place_count_and_others_only_where_there_are_none(images):
    torch.manual_seed(0)
    tokens, dense = (
        Tokens().eval(),
        nn.Sequential(nn.Flatten(), nn.Linear(128, 9), nn.ReLU(), nn.Linear(9, 3)).eval(),
    )
    for net, layers in ((tokens, {"embed": -1, "grow": -1, "shrink": -1}), (dense, {"1": -1, "3": -1})):
        extractor = Moments(net, lambda most, net=net: [(images, net(images).argmax(1))])
        rows = extractor.attribute(images, net(images).argmax(1)).layers["moments"]
        assert extractor._lrp.channels == layers
        assert torch.isfinite(rows).all()
        assert len(torch.unique(rows, dim=0)) == len(images)


def test_an_exported_program_has_relevance_alone(net, images):
    program = torch.export.export(net, (images,), dynamic_shapes=({0: torch.export.Dim("n")},)).module()
    target = net(images).argmax(1)
    extractor = Moments(program, lambda most: [(images, target)])
    rows = extractor.attribute(images, target).layers["moments"]
    assert extractor._activations is None
    assert torch.isfinite(rows).all()
    assert rows.norm(dim=1).min() > 0


def test_large_maps_are_averaged_over_space():
    values = torch.rand(2, 512, 14, 14)
    coarse = _coarse(values)
    assert coarse.shape == (2, 512, 4, 4)
    np.testing.assert_allclose(coarse[..., 0, 0], values[..., :4, :4].mean(dim=(2, 3)), atol=0.15)
    assert _coarse(values[:, :64]).shape == (2, 64, 14, 14)


@pytest.mark.slow
def test_the_number_of_images_at_a_time_makes_no_difference(net, images):
    target = net(images).argmax(1)
    found = [
        torch.cat(
            [
                extractor.attribute(images[at : at + size], target[at : at + size]).layers["moments"]
                for at in range(0, 9, size)
            ]
        )
        for size in (1, 4, 9)
        for extractor in [Moments(net, lambda most: [(images, target)])]
    ]
    for other in found[1:]:  # the relevance itself differs by rounding
        np.testing.assert_allclose(found[0], other, atol=1e-4 * found[0].abs().max())


@pytest.mark.slow
def test_the_preset_cuts_by_the_size_of_the_clusters():
    rows = np.random.default_rng(0).normal(size=(90, 6)).astype(np.float32)
    assert hudd.cluster(rows, preset="moments").k == 6
    assert hudd.cluster(rows, preset="moments", max_clusters=4).k == 4
    assert (
        hudd.cluster(rows, preset="moments", cluster_size=9).k == hudd.cluster(rows, cluster_size=9).k == 10
    )
    many = np.random.default_rng(0).normal(size=(800, 3)).astype(np.float32)
    assert hudd.cluster(many, preset="moments").k == 50
    assert hudd.cluster(many, preset="moments", cluster_size=8).k == 100
    assert hudd.cluster(many, preset="moments", cluster_size=8, max_clusters=60).k == 60
    with pytest.raises(UsageError, match="cluster_size is 1; give at least 2"):
        hudd.cluster(rows, cluster_size=1)
    assert hudd.cluster(rows[:3], preset="moments").k <= 2
