"""Which outputs a target selects, explanations against another class, and of the worst landmark."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import hudd
from hudd.errors import UsageError
from hudd.lrp import contrast, worst_keypoint
from hudd.lrp.targets import indices, selection


def test_contrast_is_the_difference_of_two_passes() -> None:
    torch.manual_seed(0)
    lrp = hudd.LRP(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)), rules="epsilon")
    x, labels = torch.randn(5, 6), [0, 1, 2, 3, 0]
    one, other, both = (lrp.attribute(x, target) for target in (2, labels, contrast(2, labels)))
    assert one.input is not None
    assert other.input is not None
    assert both.input is not None
    torch.testing.assert_close(both.input, one.input - other.input, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(both.explained, one.explained - other.explained, rtol=1e-5, atol=1e-6)
    assert not both.input[2].any()


def _peaks(places: list[list[tuple[int, int]]]) -> Tensor:
    """(N, K, 32, 32) maps with one 8x8 block of ones each, its centre at x + 3.5, y + 3.5."""
    maps = torch.zeros(len(places), len(places[0]), 32, 32)
    for image, landmarks in enumerate(places):
        for landmark, (x, y) in enumerate(landmarks):
            maps[image, landmark, y : y + 8, x : x + 8] = 1
    return maps


def test_the_worst_landmark_is_explained() -> None:
    output = _peaks([[(0, 0), (10, 4), (20, 20)], [(0, 0), (10, 4), (20, 20)]])
    truth = torch.tensor([[[3.5, 3.5], [13.5, 9.5], [23.0, 23.5]], [[8.5, 3.5], [13.5, 7.5], [23.5, 23.5]]])
    entering = worst_keypoint(truth)(output)
    assert [int(image.flatten(1).any(1).nonzero()) for image in entering] == [1, 0]
    assert torch.equal(entering[0, 1], output[0, 1])
    among = worst_keypoint(truth, [0, 2])(output)
    assert [int(image.flatten(1).any(1).nonzero()) for image in among] == [2, 0]


def test_unknown_landmarks_are_no_errors() -> None:
    output = _peaks([[(0, 0), (20, 20)]])
    entering = worst_keypoint(torch.tensor([[[3.5, 4.5], [0.0, 0.0]]]))(output)
    assert entering[0, 0].any()
    assert not entering[0, 1].any()


@pytest.mark.parametrize("landmarks", [[], [3], [-1], [0, 99]])
def test_landmarks_that_there_are_not(landmarks: list[int]) -> None:
    with pytest.raises(UsageError, match=r"landmarks are .*, but must be one or more of 0 to 2"):
        worst_keypoint(torch.zeros(1, 3, 2), landmarks)
    with pytest.raises(UsageError, match=r"one or more of 0 to 7; give None for all of them"):
        worst_keypoint(torch.zeros(1, 8, 2), [8])


def test_landmarks_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match="true landmarks of shape"):
        worst_keypoint(torch.zeros(1, 3, 2))(torch.zeros(1, 4, 8, 8))


SCORES = torch.tensor([[0.1, 0.9, 0.3], [0.7, 0.2, 0.6]])
STEPS = torch.arange(12.0).reshape(2, 3, 2)  # (N, T, K)


@pytest.mark.parametrize(
    ("output", "target", "places"),
    [
        (SCORES, None, [(0, 1), (1, 0)]),
        (SCORES[:, 0], None, [(0,), (1,)]),  # its only number
        (SCORES, 2, [(0, 2), (1, 2)]),
        (SCORES, np.int64(0), [(0, 0), (1, 0)]),
        (SCORES, (2,), [(0, 2), (1, 2)]),
        (SCORES, [0, 2], [(0, 0), (1, 2)]),
        (SCORES, [1], [(0, 1), (1, 1)]),
        (SCORES, torch.tensor(2), [(0, 2), (1, 2)]),
        (SCORES, torch.tensor([2, 0], dtype=torch.int32), [(0, 2), (1, 0)]),
        (SCORES, torch.tensor([[2], [0]]), [(0, 2), (1, 0)]),
        (STEPS, (2, 1), [(0, 2, 1), (1, 2, 1)]),
        (STEPS, [(2, 1), (0, 0)], [(0, 2, 1), (1, 0, 0)]),
        (STEPS, torch.tensor([[2, 1], [0, 0]]), [(0, 2, 1), (1, 0, 0)]),
    ],
)
def test_a_target_selects_a_number_a_sample(
    output: Tensor, target: object, places: list[tuple[int, ...]]
) -> None:
    found = selection(output, target)  # type: ignore[arg-type]
    assert found.shape == output.shape
    assert [tuple(place) for place in found.nonzero().tolist()] == places
    assert found.sum() == 2
    if target is not None:
        assert indices(target, output.shape).tolist() == [list(place[1:]) for place in places]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("output", "target", "says"),
    [
        (STEPS, None, "no predicted class"),
        (STEPS, 1, r"a target of 1 indices does not fit an output of shape \(2, 3, 2\); give 2 a sample"),
        (SCORES, (0, 1), r"a target of 2 indices does not fit an output of shape \(2, 3\); give 1 a sample"),
        (SCORES[:, 0], 0, "give None for its only number"),
        (SCORES, 3, r"target 3 is outside the 3 outputs of axis 1 \(0 to 2\)"),
        (SCORES, [0, -1], "target -1 is outside the 3 outputs of axis 1"),
        (STEPS, (0, 2), r"target 2 is outside the 2 outputs of axis 2 \(0 to 1\)"),
        (SCORES, [0, 1, 2], "target has 3 entries for a batch of 2"),
        (SCORES, torch.tensor([0.0, 1.0]), "class indices .* but it is torch.float32"),
        (SCORES, torch.tensor([True, False]), "class indices .* but it is torch.bool"),
        (SCORES, torch.zeros(2, 1, 1, dtype=torch.long), "target must be an index"),
        (SCORES, "cat", "target must be an index"),
        (SCORES, 0.5, "target must be an index"),
        (STEPS, [(0, 1), (0,)], "target must be an index"),
    ],
)
def test_a_target_that_does_not_fit(output: Tensor, target: object, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        selection(output, target)  # type: ignore[arg-type]


def test_contrast_enters_with_either_sign() -> None:
    entering = contrast(None, [0, 0])(SCORES)
    torch.testing.assert_close(entering, torch.tensor([[-0.1, 0.9, 0.0], [0.0, 0.0, 0.0]]))


def _worst(maps: Tensor, truth: Tensor) -> list[int]:
    """The landmark of each image by the description, pixel by pixel."""
    worst = []
    for image, true in zip(maps.double().numpy(), truth.double().numpy()):
        errors = []
        for values, place in zip(image, true):
            order = np.argsort(-values, axis=None, kind="stable")[:64]
            y, x = np.unravel_index(order, values.shape)
            weight = values[y, x]
            found = (
                np.array([x @ weight, y @ weight]) / weight.sum()
                if weight.mean() > 0
                else np.array([-1.0, -1])
            )
            errors.append(np.linalg.norm(np.where(place > 0, found, 0) - place))
        worst.append(int(np.argmax(errors)))
    return worst


@pytest.mark.parametrize("size", [(12, 9), (3, 5)])
def test_the_worst_landmark_is_that_of_the_description(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(200, 4, *size, generator=generator) ** 4
    maps[::7, 1] *= -1  # not found at all
    truth = torch.rand(200, 4, 2, generator=generator) * 2 * torch.tensor([size[1], size[0]]) - 1
    entering = worst_keypoint(truth)(maps)
    expected = torch.zeros_like(maps)
    for image, landmark in enumerate(_worst(maps, truth)):
        expected[image, landmark] = maps[image, landmark]
    assert torch.equal(entering, expected)


@pytest.mark.parametrize(("error", "landmark"), [(11.5, 0), (12.1, 1)])
def test_the_64_greatest_pixels_count(error: float, landmark: int) -> None:
    # Centroids of landmark 0: 31.00 by 63 pixels, 31.96 by 64, 32.34 by 65. Its truth is 20.
    maps = torch.zeros(1, 2, 1, 100)
    maps[0, 0, 0, :63], maps[0, 0, 0, 99], maps[0, 0, 0, 63], maps[0, 1, 0, 50] = 1, 0.9, 0.8, 1
    truth = torch.tensor([[[20.0, 0.0], [50.0 - error, 0.0]]])
    assert [int(place) for place in worst_keypoint(truth)(maps)[0].flatten(1).any(1).nonzero()] == [landmark]


def test_of_landmarks_as_far_off_the_first_of_those_asked_for() -> None:
    maps = _peaks([[(0, 0), (10, 4), (20, 20)]])
    exact = torch.tensor([[[3.5, 3.5], [13.5, 7.5], [23.5, 23.5]]])
    for landmarks, first in ((None, 0), ([2, 1], 1), ([2], 2)):
        entering = worst_keypoint(exact, landmarks)(maps)
        assert [int(place) for place in entering[0].flatten(1).any(1).nonzero()] == [first]


def test_a_truth_of_another_shape_is_refused_by_the_callable() -> None:
    for truth in (torch.zeros(1, 3), torch.zeros(1, 3, 3), torch.zeros(2, 3, 2)):
        with pytest.raises(UsageError, match="true landmarks of shape"):
            worst_keypoint(truth, [0])(torch.zeros(1, 3, 8, 8))
    with pytest.raises(UsageError, match=r"do not fit an output of shape \(1, 3, 8\)"):
        worst_keypoint(torch.zeros(1, 3, 2))(torch.zeros(1, 3, 8))


def test_a_target_is_a_value() -> None:
    entering = contrast(0, 1)
    with pytest.raises(AttributeError, match="cannot assign"):
        entering.multiples = None  # type: ignore[attr-defined]
