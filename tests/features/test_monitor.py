"""The monitor's columns against NumPy, and the laws of its directions, centres and scores."""

import numpy as np
import pytest
import torch
from torch import nn

from hudd.errors import UsageError
from hudd.features.monitor import ActivationMoments, Monitor, Reference


class Tokens(nn.Module):
    """A convolution, tokens with a linear layer, windows of several images, and a last layer."""

    def __init__(self):
        super().__init__()
        self.patches, self.mix = nn.Conv2d(2, 6, 2, 2), nn.Linear(6, 6)
        self.windows, self.unused, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x):
        tokens = self.mix(self.patches(x).flatten(2).transpose(1, 2))
        inside = self.windows(tokens.reshape(-1, 4, 6))
        return self.last(inside.reshape(x.size(0), -1, 6).mean(1))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Tokens().eval()


def test_columns_are_moments_of_what_enters_the_layers(model):
    images = torch.randn(5, 2, 8, 8)
    moments = ActivationMoments(model, images[:2])
    assert moments.layers == ["patches", "mix", "last"]
    assert moments.widths == [4, 12, 6]
    with torch.no_grad():
        columns = moments(images).numpy()
        patches = model.patches(images).flatten(2).numpy()
        tokens = model.mix(torch.from_numpy(patches).transpose(1, 2)).numpy()
        last = model.windows(torch.from_numpy(tokens)).mean(1).numpy()
    expected = [
        *(
            getattr(values, name)(axis)
            for values, axis in ((images.flatten(2).numpy(), 2), (patches, 2))
            for name in ("mean", "std")
        ),
        last,
    ]
    np.testing.assert_allclose(columns, np.concatenate(expected, 1), rtol=1e-4, atol=1e-5)


def test_a_model_without_modules_is_refused(model):
    program = torch.export.export(model, (torch.zeros(2, 2, 8, 8),)).module()
    with pytest.raises(UsageError, match="give the model as a factory of modules"):
        ActivationMoments(program, torch.zeros(2, 2, 8, 8))


def rows(seed=0):
    """Columns of two layers; failures of two causes, each of which shifts another column."""
    rng = np.random.default_rng(seed)
    cause = np.repeat([0, 2, 5, 0], [200, 30, 30, 10])
    columns = rng.normal(size=(270, 9)).astype(np.float32) * np.array(
        [1, 9, 1, 1, 1, 40, 1, 1, 0], np.float32
    )
    columns[cause == 2, 1] += 60
    columns[cause == 5, 5] -= 300
    return columns, np.arange(270) >= 200, cause


def watched(columns, reference, threshold=0.0):
    """What a monitor says, whose model is not asked."""
    found = Monitor(nn.Identity(), reference, threshold).judge(torch.from_numpy(columns))
    return [each.numpy() for each in found]


def test_an_image_is_near_the_cause_that_it_looks_like_and_scores_above_others():
    columns, failed, cause = rows()
    reference = Reference.fit(columns, [5, 4], failed, cause)
    assert reference.numbers.tolist() == [2, 5]
    fresh, fresh_failed, fresh_cause = rows(seed=1)
    nearest, distance, score, alarm = watched(fresh, reference)
    known = fresh_cause > 0
    assert (nearest[known] == fresh_cause[known]).mean() > 0.95
    assert score[known].min() > np.quantile(score[~fresh_failed], 0.95)
    np.testing.assert_array_equal(alarm, score > 0)
    assert (distance >= 0).all()


def test_scale_and_origin_of_a_column_do_not_count():
    columns, failed, cause = rows()
    scale, shift = np.array([3, 0.5, 7, 1, 1, 2, 0.25, 4, 1], np.float32), np.arange(9, dtype=np.float32)
    one = watched(columns, Reference.fit(columns, [5, 4], failed, cause))
    changed = columns * scale + shift
    other = watched(changed, Reference.fit(changed, [5, 4], failed, cause))
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_allclose(one[2], other[2], rtol=1e-2, atol=1e-2)


def test_distance_and_score_are_those_of_the_centres():
    columns, failed, cause = rows()
    reference = Reference.fit(columns, [5, 4], failed, cause)
    at = (columns.astype(np.float64) - reference.origin) @ reference.directions
    at /= np.sqrt(np.linalg.norm(at, axis=1, keepdims=True))
    away = np.linalg.norm(at[:, None] - reference.centres, axis=2)
    nearest, distance, score, alarm = watched(columns, reference, threshold=1.5)
    np.testing.assert_array_equal(nearest, reference.numbers[away.argmin(axis=1)])
    np.testing.assert_allclose(distance, away.min(axis=1), rtol=1e-3)
    expected = np.square(at - at[~failed].mean(axis=0)).sum(axis=1) - away.min(axis=1) ** 2
    np.testing.assert_allclose(score, expected, rtol=1e-2, atol=2e-2)
    np.testing.assert_array_equal(alarm, score > 1.5)
    np.testing.assert_allclose(reference.centres[0], at[cause == 2].mean(axis=0), rtol=1e-6)
