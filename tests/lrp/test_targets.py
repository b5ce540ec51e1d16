"""Explanations against another class, and of the worst landmark."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import hudd
from hudd.errors import UsageError
from hudd.lrp import contrast, worst_keypoint


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


def test_landmarks_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match="true landmarks of shape"):
        worst_keypoint(torch.zeros(1, 3, 2))(torch.zeros(1, 4, 8, 8))
