"""A convolution's input gradient by phases against autograd's."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from hudd.lrp.phases import Phases


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_the_gradient_is_autograds(data: st.DataObject) -> None:
    def pair(low: int, high: int) -> list[int]:
        return [data.draw(st.integers(low, high)) for _ in range(2)]

    window, stride, padding = pair(1, 7), pair(1, 4), pair(0, 5)
    size = [data.draw(st.integers(max(1, w - 2 * p), 23)) for w, p in zip(window, padding)]
    outputs, channels = pair(1, 6)
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    weight = torch.randn(outputs, channels, *window, generator=generator, dtype=torch.float64)
    image = torch.zeros(2, channels, *size, dtype=torch.float64, requires_grad=True)
    z = functional.conv2d(image, weight, None, stride, padding)
    s = torch.randn(z.shape, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(z, image, s)
    ours = Phases(weight, stride, padding).adjoint(s, image.shape)
    torch.testing.assert_close(ours, gradient, rtol=1e-12, atol=1e-12)
