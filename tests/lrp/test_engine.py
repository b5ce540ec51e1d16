"""What a caller of LRP can ask for, and what must make no difference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import hudd
from hudd.capture import RelevanceGraph, capture
from hudd.errors import UsageError


class Net(nn.Module):
    """A block that is called twice, a residual add, pools, a batch norm that folds and one that does not."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.block = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU())
        self.norm = nn.BatchNorm2d(6)
        self.pool = nn.MaxPool2d(3, 2)
        self.head = nn.Sequential(nn.Dropout(), nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.norm(self.block(x) + x)
        x = self.pool(self.block(x))
        return self.head(x.mean((2, 3)))


@pytest.fixture(autouse=True)
def _one_capture_a_model(monkeypatch: pytest.MonkeyPatch, known: dict[nn.Module, RelevanceGraph]) -> None:
    """Capture takes nearly all the time of these tests."""

    def remembered(model: nn.Module, example: Tensor | Sequence[Tensor]) -> RelevanceGraph:
        if model not in known:
            known[model] = capture(model, example)
        return known[model]

    monkeypatch.setattr("hudd.lrp.engine.capture", remembered)


@pytest.fixture(scope="module")
def known() -> dict[nn.Module, RelevanceGraph]:
    return {}


@pytest.fixture(scope="module")
def net() -> Net:
    torch.manual_seed(0)
    model = Net().eval()
    model.norm.running_mean.normal_()
    return model


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn((6, 3, 11, 11), generator=torch.Generator().manual_seed(1))


def _everything(relevance: hudd.Relevance) -> dict[str, Tensor]:
    assert relevance.input is not None
    return {"input": relevance.input, **relevance.layers}


def _assert_close(ours: Tensor, theirs: Tensor, share: float) -> None:
    scale = theirs.abs().flatten(1).amax(1).clamp(min=1e-30).view(-1, *[1] * (theirs.ndim - 1))
    assert ((ours - theirs).abs() / scale).max() <= share


# Our own kernels give the same bits whatever the batch; torch's dense products do not: a batch of one takes another
# path than a batch of two. Measured: 5e-7 of the greatest relevance.
ROUNDING = 3e-6


@pytest.mark.parametrize("rules", ["epsilon-plus", "hudd-2021", "gamma", "epsilon-alpha2-beta1-flat"])
def test_batch_size_makes_no_difference(net: Net, images: Tensor, rules: str) -> None:
    lrp = hudd.LRP(net, rules=rules)
    whole = _everything(lrp.attribute(images))
    for size in (1, 2, 4):
        parts = [_everything(lrp.attribute(part)) for part in images.split(size)]
        for name, heatmap in whole.items():
            _assert_close(torch.cat([part[name] for part in parts]), heatmap, ROUNDING)


def test_order_makes_no_difference(net: Net, images: Tensor) -> None:
    lrp, order = hudd.LRP(net), torch.tensor([3, 0, 5, 1, 4, 2])
    plain, permuted = _everything(lrp.attribute(images)), _everything(lrp.attribute(images[order]))
    for name, heatmap in plain.items():
        _assert_close(permuted[name], heatmap[order], ROUNDING)


def test_repeated_calls_are_equal_to_the_bit(net: Net, images: Tensor) -> None:
    lrp = hudd.LRP(net)
    first, second = _everything(lrp.attribute(images)), _everything(lrp.attribute(images))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_nothing_is_changed(net: Net, images: Tensor) -> None:
    net.train()
    try:
        flags = [module.training for module in net.modules()]
        before, pixels = {name: value.clone() for name, value in net.state_dict().items()}, images.clone()
        hudd.LRP(net).attribute(images)
        assert [module.training for module in net.modules()] == flags
        assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
        assert all(parameter.grad is None for parameter in net.parameters())
        assert not any(module._forward_hooks or module._backward_hooks for module in net.modules())
        assert torch.equal(images, pixels)
    finally:
        net.eval()


def test_output_is_the_models(net: Net, images: Tensor) -> None:
    relevance = hudd.LRP(net).attribute(images)
    torch.testing.assert_close(
        relevance.output, net(images).detach(), rtol=1e-5, atol=1e-6
    )  # batch norm is folded
    best = relevance.output.amax(1).double()
    torch.testing.assert_close(relevance.explained, best)


TARGETS: dict[str, tuple[object, list[int]]] = {
    "one class": (2, [2] * 6),
    "numpy integer": (np.int64(2), [2] * 6),
    "list": ([0, 1, 2, 3, 4, 0], [0, 1, 2, 3, 4, 0]),
    "tensor": (torch.tensor([0, 1, 2, 3, 4, 0]), [0, 1, 2, 3, 4, 0]),
    "array": (np.array([0, 1, 2, 3, 4, 0]), [0, 1, 2, 3, 4, 0]),
    "tuple": ((3,), [3] * 6),
    "tuples": ([(0,), (1,), (2,), (3,), (4,), (0,)], [0, 1, 2, 3, 4, 0]),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets(net: Net, images: Tensor, name: str) -> None:
    target, classes = TARGETS[name]
    lrp = hudd.LRP(net)
    ours = lrp.attribute(images, target)  # type: ignore[arg-type]
    rows = torch.arange(6)
    torch.testing.assert_close(ours.explained, ours.output[rows, classes].double())

    def chosen(output: Tensor) -> Tensor:
        return output * functional.one_hot(torch.tensor(classes), 5)

    by_callable = lrp.attribute(images, chosen)
    assert ours.input is not None
    assert by_callable.input is not None
    torch.testing.assert_close(ours.input, by_callable.input)


def test_one_sample_is_explained_alone(net: Net, images: Tensor) -> None:
    lrp = hudd.LRP(net)
    ours = lrp.attribute(images, [0, 1, 2, 3, 4, 0])
    alone = lrp.attribute(images[2:3], 2)
    assert ours.input is not None
    assert alone.input is not None
    _assert_close(ours.input[2:3], alone.input, ROUNDING)


WRONG_TARGETS: dict[str, tuple[object, str]] = {
    "too great": (5, "target 5 is outside the 5 outputs of axis 1"),
    "negative": (-1, "target -1 is outside"),
    "too few": ([0, 1], "target has 2 entries for a batch of 6"),
    "floats": ([0.5] * 6, "must hold class indices"),
    "bool": (True, "must hold class indices"),
    "two indices": ((1, 2), "a target of 2 indices does not fit an output of shape"),
    "ragged": ([(0,), (1, 2), (0,), (0,), (0,), (0,)], "target must be an index"),
    "text": ("cat", "target must be an index"),
    "float": (1.0, "target must be an index"),
    "nothing": ([], "target must be an index"),
    "callable of another shape": (lambda output: output[:2], "the target callable returned shape"),
    "callable of no tensor": (lambda output: 3, "the target callable returned a int"),
}


@pytest.mark.parametrize("name", WRONG_TARGETS)
def test_wrong_targets(net: Net, images: Tensor, name: str) -> None:
    target, message = WRONG_TARGETS[name]
    with pytest.raises(UsageError, match=message):
        hudd.LRP(net).attribute(images, target)  # type: ignore[arg-type]


@pytest.mark.slow
def test_targets_of_other_outputs() -> None:
    torch.manual_seed(0)
    maps = nn.Conv2d(2, 3, 3)
    x = torch.randn(2, 2, 5, 5)
    ours = hudd.LRP(nn.Sequential(maps)).attribute(x, [(0, 1, 2), (2, 0, 0)])
    torch.testing.assert_close(
        ours.explained, torch.stack([maps(x)[0, 0, 1, 2], maps(x)[1, 2, 0, 0]]).double()
    )
    with pytest.raises(UsageError, match="so there is no predicted class"):
        hudd.LRP(nn.Sequential(maps)).attribute(x)
    with pytest.raises(UsageError, match="a target of 1 indices does not fit an output of shape"):
        hudd.LRP(nn.Sequential(maps)).attribute(x, 1)
    number = nn.Sequential(nn.Linear(4, 1), nn.Flatten(0))
    y = torch.randn(3, 4)
    torch.testing.assert_close(hudd.LRP(number).attribute(y).explained, number(y).detach().double())
    with pytest.raises(UsageError, match="give None for its only number"):
        hudd.LRP(number).attribute(y, 0)


def test_layers_by_default(net: Net, images: Tensor) -> None:
    relevance = hudd.LRP(net).attribute(images)
    expected = ["stem.0", "block.0", "norm", "block.0@1", "pool", "head.1", "head.3"]
    assert list(relevance.layers) == expected
    assert list(relevance.conservation) == expected
    assert hudd.LRP(net).prepare(images) == tuple(expected)
    assert relevance.layers["pool"].shape == (6, 6, 11, 11)


def test_layers_asked_for(net: Net, images: Tensor) -> None:
    whole = hudd.LRP(net).attribute(images)
    globbed = hudd.LRP(net, layers=["head.*", "block.0"]).attribute(images)
    assert list(globbed.layers) == ["block.0", "head.0", "head.1", "head.2", "head.3"]
    for name in ("block.0", "head.1"):
        assert torch.equal(globbed.layers[name], whole.layers[name])
    only_input = hudd.LRP(net, layers=["input"]).attribute(images)
    assert only_input.layers == {}
    assert only_input.input is not None
    assert whole.input is not None
    assert torch.equal(only_input.input, whole.input)
    assert torch.equal(hudd.LRP(net, layers=["stem.0"]).attribute(images).layers["stem.0"], whole.input)


def test_a_container_has_the_relevance_of_its_first_layer(net: Net, images: Tensor) -> None:
    relevance = hudd.LRP(net, layers=["head", "head.1"]).attribute(images)
    assert torch.equal(relevance.layers["head"], relevance.layers["head.1"])


def test_every_call_of_a_container_is_a_layer(net: Net, images: Tensor) -> None:
    names = ["block", "block.0", "block@1", "block.0@1"]
    relevance = hudd.LRP(net, layers=names, bias_share=True).attribute(images)
    assert list(relevance.layers) == names
    for container, first in (("block", "block.0"), ("block@1", "block.0@1")):
        assert torch.equal(relevance.layers[container], relevance.layers[first])
        assert torch.equal(relevance.conservation[container], relevance.conservation[first])
        assert torch.equal(relevance.bias_share[container], relevance.bias_share[first])


def test_a_container_of_attention_that_is_spelled_out() -> None:
    model, x = nn.Sequential(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)), torch.randn(2, 3, 4)
    lrp = hudd.LRP(model, rules="attnlrp", layers=["0", "0.self_attn"])
    assert lrp.prepare(x) == ("0", "0.self_attn")


@pytest.mark.slow
def test_a_container_called_on_its_own_output() -> None:
    torch.manual_seed(0)
    block = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    model, x = nn.Sequential(block, block, nn.Linear(4, 2)), torch.rand(3, 4)

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block, self.head = block, model[2]

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.block(self.block(x)))

    for at in ("input", "output"):
        ours = hudd.LRP(Twice(), layers=["block", "block@1"], at=at).attribute(x).layers
        theirs = hudd.LRP(model, layers=["0", "1"], at=at).attribute(x).layers
        assert all(map(torch.equal, ours.values(), theirs.values()))


@pytest.mark.parametrize("layer", ["block.0@1", "pool", "head.3"])
def test_a_sweep_that_stops_early_equals_a_whole_one(net: Net, images: Tensor, layer: str) -> None:
    whole, early = hudd.LRP(net).attribute(images), hudd.LRP(net, layers=[layer]).attribute(images)
    assert early.input is None
    assert list(early.layers) == [layer]
    assert torch.equal(early.layers[layer], whole.layers[layer])
    assert torch.equal(early.conservation[layer], whole.conservation[layer])


def test_wrong_layers(net: Net, images: Tensor) -> None:
    with pytest.raises(UsageError, match=r"layer 'neck.\*' is not in the model; its layers are: stem"):
        hudd.LRP(net, layers=["neck.*"]).attribute(images)
    for wrong, remedy in (("stem", r"\['stem'\]"), ([3], r"\['3'\]"), (3, r"\['3'\]")):
        with pytest.raises(UsageError, match=f"layers must be a list of module paths, .* give {remedy}"):
            hudd.LRP(net, layers=wrong)  # type: ignore[arg-type]


def test_rules_for_layers_that_are_not_there(net: Net, images: Tensor) -> None:
    with pytest.raises(
        UsageError, match=r"rules name 'neck.\*', but no layer with weights matches; these are: stem.0"
    ):
        hudd.LRP(net, rules={"*": "epsilon", "neck.*": "gamma"}).attribute(images)


def test_layers_at_their_output(net: Net, images: Tensor) -> None:
    at_input, at_output = hudd.LRP(net).attribute(images), hudd.LRP(net, at="output").attribute(images)
    chain = [("stem.0", "stem.0"), ("head.1", "head.3")]
    # What leaves head.3 at its input is what entered head.1's activation, and so what head.1 got at its output.
    assert torch.equal(at_output.layers[chain[1][0]], at_input.layers[chain[1][1]])
    output = torch.zeros_like(at_output.output)
    best = at_output.output.argmax(1, keepdim=True)
    output.scatter_(1, best, at_output.output.gather(1, best))
    assert torch.equal(at_output.layers["head.3"], output)
    assert at_output.layers["pool"].shape == (6, 6, 5, 5)


def test_pooling_is_summing(net: Net, images: Tensor) -> None:
    whole = hudd.LRP(net).attribute(images)
    channel = hudd.LRP(net, pool="channel").attribute(images)
    space = hudd.LRP(net, pool="space").attribute(images)
    for name, heatmap in whole.layers.items():
        if heatmap.ndim == 2:
            assert torch.equal(channel.layers[name], heatmap)
            assert torch.equal(space.layers[name], heatmap)
            continue
        _assert_close(channel.layers[name], heatmap.double().sum((2, 3)), 1e-6)
        _assert_close(space.layers[name], heatmap.double().sum(1), 1e-6)
    for name, leak in whole.conservation.items():
        torch.testing.assert_close(channel.conservation[name], leak, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("option", "dtype"), [("dtype", "float16"), ("dtype", "bfloat16"), ("precision", "float16")]
)
def test_dtype_is_storage_alone(net: Net, images: Tensor, option: str, dtype: str) -> None:
    whole, stored = hudd.LRP(net).attribute(images), hudd.LRP(net, **{option: dtype}).attribute(images)
    for name, heatmap in stored.layers.items():
        assert heatmap.dtype == getattr(torch, dtype)
        assert torch.equal(heatmap, whole.layers[name].to(heatmap.dtype))
        assert torch.equal(stored.conservation[name], whole.conservation[name])


@pytest.mark.parametrize(("name", "value"), [("pool", "time"), ("precision", "int8"), ("at", "side")])
def test_wrong_options(net: Net, name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"{name} must be one of .*, but it is '{value}'"):
        hudd.LRP(net, **{name: value})


def test_wrong_inputs(net: Net, images: Tensor) -> None:
    lrp = hudd.LRP(net)
    for wrong, message in (
        (images.double(), "must be float32 tensors with a batch axis"),
        (images[:0], "the batch is empty"),
        (images[0, 0, 0], "with a batch axis"),
        (images.numpy(), "must be torch tensors, .* of type ndarray; torch.from_numpy"),
        ([images, 3], "must be torch tensors, .* of type int"),
        (None, "must be torch tensors, .* of type NoneType"),
        ([], "there is no input"),
    ):
        for way in (lrp.attribute, lrp.prepare):
            with pytest.raises(UsageError, match=message):
                way(wrong)


class Functional(nn.Module):
    """`Net` in another notation: functional calls, operators, in-place methods."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        net = self.net
        x = net.stem[1](net.stem[0](x)).relu_()
        y = functional.relu(net.block[0](x))
        y += x
        x = functional.max_pool2d(torch.relu(net.block[0](net.norm(y))), 3, 2)
        x = functional.adaptive_avg_pool2d(x, 1)[:, :, 0, 0]
        x = functional.dropout(x, 0.5, self.training)
        x = functional.linear(x, net.head[1].weight, net.head[1].bias).clamp(min=0)
        return net.head[3](x)


@pytest.mark.parametrize("rules", ["epsilon-plus", "hudd-2021"])
def test_notation_makes_no_difference(net: Net, images: Tensor, rules: str) -> None:
    ours, theirs = (
        hudd.LRP(model, rules=rules).attribute(images).input for model in (net, Functional(net).eval())
    )
    assert ours is not None
    assert theirs is not None
    _assert_close(theirs, ours, ROUNDING)


def test_a_layer_with_two_inputs_is_crossed_but_not_shown() -> None:
    class Add(nn.Module):
        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            return left + right

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right, self.add = nn.Linear(4, 3), nn.Linear(4, 3), Add()

        def forward(self, x: Tensor) -> Tensor:
            return self.add(self.left(x), self.right(x))

    torch.manual_seed(0)
    model, x = Model(), torch.randn(2, 4)
    assert list(hudd.LRP(model).attribute(x).layers) == ["left", "right"]
    assert list(hudd.LRP(model, layers=["*"]).attribute(x).layers) == ["left", "right"]
    for asked in (["add"], ["left", "ad?"]):
        with pytest.raises(UsageError, match="layer 'add' has 2 inputs that carry relevance"):
            hudd.LRP(model, layers=asked).attribute(x)


@pytest.mark.slow
def test_images_of_another_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hudd.lrp.engine.capture", capture)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8, 3)
    )
    lrp = hudd.LRP(model)
    for size in (6, 9, 6):
        x = torch.randn(2, 1, size, size)
        ours, fresh = lrp.attribute(x), hudd.LRP(model).attribute(x)
        assert ours.input is not None
        assert fresh.input is not None
        assert torch.equal(ours.input, fresh.input)
    with pytest.raises(UsageError, match="cannot be captured for an input of shape"):
        lrp.attribute(torch.randn(2, 2, 6, 6))


def test_inputs_that_want_gradients(net: Net, images: Tensor) -> None:
    relevance = hudd.LRP(net).attribute(images.clone().requires_grad_())
    assert relevance.input is not None
    assert not relevance.input.requires_grad
