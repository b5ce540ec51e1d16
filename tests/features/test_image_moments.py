import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hudd.features import MomentsImage, MomentsWeighted
from hudd.features.image_moments import derivatives, image_moments
from hudd.lrp import LRP


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(20, 3)
    ).eval()  # fmt: skip


@pytest.fixture
def images():
    return torch.rand(9, 2, 8, 8, generator=torch.Generator().manual_seed(1))


def by_the_formula(image):
    """Derivatives of (H, W), pixel by pixel."""
    height, width = image.shape

    def at(row, column):
        return image[min(max(row, 0), height - 1), min(max(column, 0), width - 1)]

    found = np.zeros((7, height, width))
    for y in range(height):
        for x in range(width):
            across = at(y, x - 1) + at(y, x + 1) - 2 * at(y, x)
            along = at(y - 1, x) + at(y + 1, x) - 2 * at(y, x)
            found[:, y, x] = (
                (at(y, x + 1) - at(y, x - 1)) / 2,
                (at(y + 1, x) - at(y - 1, x)) / 2,
                (at(y + 1, x + 1) - at(y - 1, x - 1)) / 2,
                (at(y + 1, x - 1) - at(y - 1, x + 1)) / 2,
                across,
                along,
                across + along,
            )
    return found


def moments_by_the_formula(image, weight):
    """Columns of one image, (C, H, W), where a place weighs as (H, W) says."""
    found = []

    def add(channels, weight, power):
        share = weight / weight.sum()
        mean = (share * channels).sum(axis=(1, 2))
        deviation = np.sqrt((share * (channels - mean[:, None, None]) ** 2).sum(axis=(1, 2)))
        found.extend([*mean**power, *deviation**power])

    def halved(values):
        height, width = (size - size % 2 for size in values.shape)
        return values[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))

    add(image, weight, 1)
    grey = image.mean(axis=0)
    while min(grey.shape) >= 3 and len(found) < 2 * len(image) + 4 * 14:
        add(np.abs(by_the_formula(grey)), weight, 0.25)
        grey, weight = halved(grey), halved(weight)
    return np.array(found)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (3, 3), (7, 5), (8, 8)])
def test_derivatives_are_differences_of_neighbours(shape):
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = derivatives(torch.from_numpy(image)[None, None])
    np.testing.assert_allclose(found[0], by_the_formula(image.astype(np.float64)), atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 2, 9), (1, 3, 3), (2, 7, 5), (3, 32, 24), (3, 60, 61)])
def test_moments_are_those_of_the_formula(shape):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(3, *shape)).astype(np.float32)
    weights = rng.normal(size=(3, 2, *shape[1:])).astype(np.float32)
    plain, weighted = (
        image_moments(torch.from_numpy(images)),
        image_moments(*map(torch.from_numpy, (images, weights))),
    )
    assert plain.dtype == torch.float32
    for at in range(3):
        image, weight = images[at].astype(np.float64), np.abs(weights[at]).sum(axis=0).astype(np.float64)
        np.testing.assert_allclose(plain[at], moments_by_the_formula(image, np.ones(shape[1:])), atol=1e-4)
        np.testing.assert_allclose(weighted[at], moments_by_the_formula(image, weight), atol=1e-4)


def test_memory_need_not_be_contiguous_nor_single_precision(images):
    turned = images.permute(0, 1, 3, 2)
    torch.testing.assert_close(image_moments(turned), image_moments(turned.contiguous()))
    torch.testing.assert_close(image_moments(images.double()), image_moments(images))
    torch.testing.assert_close(
        image_moments(images.half(), images), image_moments(images.half().float(), images)
    )
    channels_last = images.to(memory_format=torch.channels_last)
    torch.testing.assert_close(image_moments(channels_last), image_moments(images))


def test_an_even_image_has_no_derivatives_and_denormals_are_numbers():
    even = torch.full((1, 3, 16, 16), 0.7)
    assert (image_moments(even)[:, 6:] == 0).all()
    torch.testing.assert_close(image_moments(even, torch.zeros(1, 1, 16, 16)), torch.zeros(1, 6 + 3 * 14))
    assert torch.isfinite(image_moments(1e-40 * torch.rand(2, 1, 9, 9), 1e-40 * torch.rand(2, 1, 9, 9))).all()


def test_what_is_no_number_stays_with_its_image(images):
    broken = images.clone()
    broken[2, 0, 3, 3], broken[4, 1, 0, 0] = np.nan, np.inf
    found, whole = image_moments(broken), image_moments(images)
    finite = torch.isfinite(found).all(1)
    assert torch.equal(finite, torch.tensor([row not in (2, 4) for row in range(9)]))
    assert torch.equal(found[finite], whole[finite])


@settings(deadline=None, max_examples=25)
@given(factor=st.floats(1e-3, 1e3), offset=st.floats(-2, 2), seed=st.integers(0, 1000))
def test_all_derivatives_of_a_scaled_image_change_by_one_factor(factor, offset, seed):
    images = torch.rand(2, 1, 12, 10, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    # Of single precision, so that an offset may not take what the differences are made of.
    found, scaled = (image_moments(some)[:, 2:] for some in (images, factor * (images + offset)))
    np.testing.assert_allclose(scaled / factor**0.25, found, rtol=5e-3, atol=1e-3)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turn_of_the_image_changes_directions_alone(images, turns):
    square = images[:, :1]
    one, other = (image_moments(some)[:, 2 : 2 + 14] for some in (square, torch.rot90(square, turns, (2, 3))))
    order = [1, 0, 3, 2, 5, 4, 6] if turns % 2 else list(range(7))
    torch.testing.assert_close(other, one[:, [*order, *(7 + at for at in order)]])


def test_the_image_comes_after_what_the_network_makes_of_it(net, images):
    target = net(images).argmax(1)
    seen, usual = (kind(net, lambda most: [(images, target)]) for kind in (MomentsImage, MomentsWeighted))
    for one in (seen, usual):
        one.prepare(images[:1])
    *groups, used, everywhere = seen._parts(images, target)[0]
    assert all(torch.equal(*pair) for pair in zip(groups, usual._parts(images, target)[0], strict=True))
    relevance = LRP(net, rules="z-plus", layers=["0"]).attribute(images, target=target).layers["0"]
    torch.testing.assert_close(used, image_moments(images, relevance))
    assert torch.equal(everywhere, image_moments(images))


def standardised(part):
    part = part.double() - part.double().mean(0)
    deviation = part.square().mean(0).sqrt()
    alive = deviation > 1e-6
    return part[:, alive] / deviation[alive] / alive.sum().sqrt()


def test_network_and_image_weigh_the_same_where_there_is_nothing_to_compare_with(net, images):
    target = net(images).argmax(1)
    extractor = MomentsImage(net, lambda most: [(images, target)])
    found = extractor.attribute(images, target).layers["moments"].double()
    assert found.shape[1] <= 175
    rows = found * found.norm(dim=1, keepdim=True)  # as they are before the root of the norm is divided by
    groups = extractor._parts(images, target)[0]
    last = groups[4].double() - groups[4].double().mean(0)  # the map, of a sixteenth of the 3 of the network
    wanted = 3 / 16 * last @ last.T / last.square().sum(1).mean()
    for share, part in zip((1, 1, 0.5, 0.5, 2, 1), [*groups[:4], *groups[5:]]):
        wanted += share * standardised(part) @ standardised(part).T
    torch.testing.assert_close(rows @ rows.T, wanted, atol=1e-3 * wanted.abs().max().item(), rtol=0)


def test_either_part_is_whitened_by_normal_images_alone(net, images):
    target, normal = (
        net(images).argmax(1),
        torch.rand(300, 2, 8, 8, generator=torch.Generator().manual_seed(2)),
    )
    extractor = MomentsImage(
        net, lambda most: [(images, target)], lambda most: [(normal, net(normal).argmax(1))]
    )
    rows = extractor.attribute(images, target).layers["moments"]
    assert torch.isfinite(rows).all()
    _, directions = extractor._map
    of_image = sum(part.shape[1] for part in extractor._parts(images, target)[0][-2:])
    either = (directions != 0).numpy()
    network, image = either[:-of_image].any(axis=0), either[-of_image:].any(axis=0)
    assert (network != image).all()
    assert network[: network.sum()].all()


@pytest.mark.slow
def test_the_number_of_images_at_a_time_makes_no_difference(net, images):
    target = net(images).argmax(1)
    found = []
    for size in (1, 4, 9):
        extractor = MomentsImage(net, lambda most: [(images, target)])
        parts = [(images[at : at + size], target[at : at + size]) for at in range(0, 9, size)]
        found.append(torch.cat([extractor.attribute(*part).layers["moments"] for part in parts]))
    for other in found[1:]:  # the relevance itself differs by rounding
        np.testing.assert_allclose(found[0], other, atol=1e-4 * found[0].abs().max())


class Strided(nn.Module):
    """Reads every other pixel before the first layer with weights."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(2, 4, 3), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(torch.relu(self.conv(torch.nn.functional.avg_pool2d(x, 2))).mean((2, 3)))


def test_relevance_of_a_smaller_map_is_brought_to_the_size_of_the_image(images):
    torch.manual_seed(0)
    net = Strided().eval()
    target = net(images).argmax(1)
    extractor = MomentsImage(net, lambda most: [(images, target)])
    extractor.prepare(images[:1])
    used, everywhere = extractor._parts(images, target)[0][-2:]
    relevance = LRP(net, rules="z-plus", layers=["conv"]).attribute(images, target=target).layers["conv"]
    weights = nn.functional.interpolate(relevance.abs().sum(1, keepdim=True), (8, 8), mode="bilinear")
    torch.testing.assert_close(used, image_moments(images, weights))
    assert torch.equal(everywhere, image_moments(images))


@pytest.mark.slow
def test_what_has_no_places_weighs_all_of_the_image_alike(images):
    torch.manual_seed(0)
    dense = nn.Sequential(nn.Flatten(), nn.Linear(128, 9), nn.ReLU(), nn.Linear(9, 3)).eval()
    target = dense(images).argmax(1)
    extractor = MomentsImage(dense, lambda most: [(images, target)])
    assert torch.isfinite(extractor.attribute(images, target).layers["moments"]).all()
    used, everywhere = extractor._parts(images, target)[0][-2:]
    assert torch.equal(used, everywhere)


class Mapped(MomentsWeighted):
    map_deviation = MomentsImage.map_deviation


@pytest.mark.slow
def test_inputs_that_are_no_images_have_moments_of_activations_alone():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)).eval()
    signals = torch.rand(9, 2, 8)
    target = net(signals).argmax(1)
    found = [
        kind(net, lambda most: [(signals, target)]).attribute(signals, target).layers["moments"]
        for kind in (MomentsImage, Mapped)
    ]
    torch.testing.assert_close(*found)


@pytest.mark.slow
def test_an_exported_program_has_its_image_too(net, images):
    program = torch.export.export(net, (images,), dynamic_shapes=({0: torch.export.Dim("n")},)).module()
    target = net(images).argmax(1)
    extractor = MomentsImage(program, lambda most: [(images, target)])
    rows = extractor.attribute(images, target).layers["moments"]
    assert torch.isfinite(rows).all()
    assert torch.equal(extractor._parts(images, target)[0][-1], image_moments(images))
