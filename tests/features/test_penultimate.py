"""What enters the last layer, against hooks, of modules and of exported programs."""

import pytest
import torch
from torch import nn

from hudd.errors import UsageError
from hudd.features.penultimate import penultimate


def cnn():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 7), nn.ReLU(inplace=True), nn.Linear(7, 3)
    ).eval()


def hooked(model, last, images):
    kept = []
    handle = last.register_forward_pre_hook(lambda module, inputs: kept.append(inputs[0].clone()))
    output = model(images)
    handle.remove()
    return kept[-1], output


@torch.no_grad()
def test_the_input_of_the_last_linear_layer():
    model, images = cnn(), torch.rand(5, 1, 8, 8)
    features, output = penultimate(model, images)
    expected, told = hooked(model, model[-1], images)
    torch.testing.assert_close(features, expected, rtol=0, atol=0)
    torch.testing.assert_close(output, told, rtol=0, atol=0)


@torch.no_grad()
def test_an_exported_program_gives_the_same():
    model, images = cnn(), torch.rand(2, 1, 8, 8)
    program = torch.export.export(model, (images,)).module()
    torch.testing.assert_close(penultimate(program, images), penultimate(model, images))


@torch.no_grad()
def test_channels_are_averaged_over_places():
    images = torch.rand(2, 3, 8, 8)
    model = nn.Sequential(
        nn.Conv2d(3, 5, 1), nn.Conv2d(5, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).eval()
    features, _ = penultimate(model, images)
    torch.testing.assert_close(features, model[0](images).mean((2, 3)))

    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(8, 2)

        def forward(self, x):
            return self.last(x.mean(1)).mean(1)

    features, _ = penultimate(Tokens(), images)
    torch.testing.assert_close(features, images.mean((1, 2)))


@torch.no_grad()
def test_no_such_layer_is_named():
    with pytest.raises(UsageError, match="no linear layer or convolution"):
        penultimate(nn.Flatten(), torch.rand(2, 1, 3, 3))

    class Folded(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(4, 2)

        def forward(self, x):
            return self.last(x.reshape(-1, 4)).reshape(len(x), -1)

    with pytest.raises(UsageError, match=r"takes in \(4, 4\) for 2 images"):
        penultimate(Folded(), torch.rand(2, 8))
