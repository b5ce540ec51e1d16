"""Models that end in a head: the last pre-activation is explained with its own value, whatever comes after it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import hudd
from hudd.errors import UnsupportedOperation
from hudd.lrp import heads as head_tools
from hudd.lrp.targets import contrast
from hudd.presets import PRESETS

pytestmark = pytest.mark.slow

IMAGES = torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(0))
CLASSES = torch.tensor([1, 2, 3, 0])


def scores(seed=0, classes=6, shift=-4.0):
    """A classifier all of whose logits are negative."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, classes)
    )
    with torch.no_grad():
        net[4].weight.mul_(3)
        net[4].bias.add_(shift)
    return net.eval()


class Ended(nn.Module):
    """One network, or several, and what comes after."""

    def __init__(self, head, members=1):
        super().__init__()
        self.members = nn.ModuleList(scores(seed) for seed in range(members))
        self.head = head
        self.temperature = nn.Parameter(torch.tensor(2.5))
        self.scales = nn.Parameter(torch.linspace(0.5, 2, 6))
        self.register_buffer("groups", torch.eye(3).repeat(1, 2).reshape(3, 6).T.contiguous())

    def forward(self, x):
        z = [member(x) for member in self.members]
        return self.head(z[0] if len(z) == 1 else z, self)


def softmax(z):
    return functional.softmax(z, 1)


def odds(z):
    return torch.sigmoid(z) / (1 - torch.sigmoid(z))


def by_hand(z):
    e = (z - z.amax(1, keepdim=True)).exp()
    return e / e.sum(1, keepdim=True)


SINGLE = {
    "softmax": lambda z, s: softmax(z),
    "log_softmax": lambda z, s: functional.log_softmax(z, 1),
    "sigmoid": lambda z, s: torch.sigmoid(z),
    "log_sigmoid": lambda z, s: functional.logsigmoid(z),
    "temperature": lambda z, s: softmax(z / s.temperature),
    "vector scaling": lambda z, s: softmax(z * s.scales + s.scales),
    "log of probabilities": lambda z, s: softmax(z).log(),
    "clamp": lambda z, s: softmax(z).clamp(1e-6, 1 - 1e-6).log(),
    "exp of log": lambda z, s: functional.log_softmax(z, 1).exp(),
    "softmax by hand": lambda z, s: by_hand(z),
    "minus logsumexp": lambda z, s: z - z.logsumexp(1, keepdim=True),
    "odds": lambda z, s: odds(z),
    "log odds": lambda z, s: torch.log(torch.sigmoid(z)) - torch.log1p(-torch.sigmoid(z)),
    "sharpened": lambda z, s: softmax(z).pow(s.temperature) / softmax(z).pow(s.temperature).sum(1, True),
    "ratio to the best": lambda z, s: softmax(z) / softmax(z).max(1, keepdim=True).values,
    "evidence": lambda z, s: (functional.softplus(z) + 1) / (functional.softplus(z) + 1).sum(1, True),
    "label smoothing": lambda z, s: 0.9 * softmax(z) + 0.1 / 6,
    "complement twice": lambda z, s: 1 - (1 - torch.sigmoid(z)),
    "reciprocal": lambda z, s: 1 / (1 + torch.exp(-z)),
    "probit": lambda z, s: torch.special.ndtr(z),
    "unit norm": lambda z, s: functional.normalize(z),
    "double precision": lambda z, s: softmax(z.double()).float(),
    "scale and shift": lambda z, s: 3 * z - 1,
    "reshaped": lambda z, s: softmax(z).unsqueeze(-1).flatten(1),
}


def explained(model, target=CLASSES, rules="epsilon", **options):
    return hudd.LRP(model, rules=rules, **options).attribute(IMAGES, target)


def cosines(first, second):
    return functional.cosine_similarity(first.flatten(1), second.flatten(1))


@pytest.mark.parametrize("name", SINGLE)
def test_heatmaps_are_those_of_the_logits(name):
    found, logits = explained(Ended(SINGLE[name]).eval()), explained(scores())
    assert cosines(found.input, logits.input).min() > 0.9999
    if name not in ("scale and shift",):
        assert found.head.startswith("the pre-activation before")
    assert torch.equal(found.output, Ended(SINGLE[name]).eval()(IMAGES))  # the model's own


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sigmoid", "clamp", "odds"])
def test_the_value_is_the_logits_own(name):
    found, logits = explained(Ended(SINGLE[name]).eval(), None), explained(scores(), None)
    assert torch.equal(found.input, logits.input)
    assert torch.equal(found.explained, logits.explained)


def test_without_a_head_nothing_is_said():
    found = explained(scores())
    assert found.head == ""
    picked = found.output.gather(1, CLASSES[:, None])[:, 0]
    torch.testing.assert_close(found.explained.float(), picked)


class Summed(nn.Module):
    def __init__(self, members):
        super().__init__()
        self.members = nn.ModuleList(scores(seed) for seed in range(members))

    def forward(self, x):
        return sum(member(x) for member in self.members)


ENSEMBLES = {
    "mean of softmaxes": lambda z, s: torch.stack([softmax(part) for part in z]).mean(0),
    "softmax of a stack": lambda z, s: torch.stack(z, 1).softmax(-1).mean(1),
    "log of the mean": lambda z, s: torch.stack([softmax(part) for part in z]).mean(0).log(),
    "sum over three": lambda z, s: (softmax(z[0]) + softmax(z[1]) + softmax(z[2])) / 3,
    "log-sum-exp of members": lambda z, s: torch.stack([p.log_softmax(1) for p in z]).logsumexp(0),
    "product of experts": lambda z, s: softmax(z[0]) * softmax(z[1]) * softmax(z[2]),
    "mean of sigmoids": lambda z, s: torch.stack([torch.sigmoid(part) for part in z]).mean(0),
}


@pytest.mark.parametrize("name", ENSEMBLES)
def test_ensembles_explain_the_sum_of_their_members_logits(name):
    found = explained(Ended(ENSEMBLES[name], members=3).eval())
    assert cosines(found.input, explained(Summed(3).eval()).input).min() > 0.9999
    assert "before" in found.head


INDICES = {
    "sliced": (lambda z, s: softmax(z)[:, 2:], lambda k: k + 2),
    "flipped": (lambda z, s: softmax(z).flip(1), lambda k: 5 - k),
    "permuted": (lambda z, s: torch.sigmoid(z)[:, [3, 1, 0, 2]], lambda k: torch.tensor([3, 1, 0, 2])[k]),
}


@pytest.mark.parametrize("name", INDICES)
def test_the_output_leads_to_its_own_logit(name):
    head, logit_of = INDICES[name]
    assert torch.equal(explained(Ended(head).eval()).input, explained(scores(), logit_of(CLASSES)).input)


GROUPED = {
    "sum": lambda z, s: softmax(z).view(-1, 2, 3).sum(2),
    "matrix": lambda z, s: softmax(z) @ s.groups,
    "log-sum-exp": lambda z, s: z.view(-1, 2, 3).logsumexp(2),
    "columns": lambda z, s: torch.stack([softmax(z)[:, 0] + softmax(z)[:, 1], softmax(z)[:, 2:].sum(1)], 1),
}


@pytest.mark.parametrize("name", GROUPED)
def test_groups_share_by_the_probability_of_their_members(name):
    model = Ended(GROUPED[name]).eval()
    found = explained(model, 0)
    z = scores()(IMAGES).double()
    members = {"matrix": [0, 3], "columns": [0, 1]}.get(name, [0, 1, 2])
    expected = (z[:, members].softmax(1) * z[:, members]).sum(1)
    torch.testing.assert_close(found.explained, expected.detach(), rtol=1e-4, atol=1e-5)


BINARY = {
    "complement": lambda z, s: torch.stack([1 - torch.sigmoid(z[:, 0]), torch.sigmoid(z[:, 0])], 1),
    "negated logit": lambda z, s: torch.cat([-z[:, :1], z[:, :1]], 1).sigmoid(),
    "softmax of both signs": lambda z, s: softmax(torch.cat([-z[:, :1], z[:, :1]], 1)),
}


@pytest.mark.parametrize("name", BINARY)
def test_two_classes_of_one_logit_have_opposite_evidence(name):
    logit = explained(scores(), 0).input
    model = Ended(BINARY[name]).eval()
    assert cosines(explained(model, 0).input, logit).max() < -0.9999
    assert cosines(explained(model, 1).input, logit).min() > 0.9999


REFUSED = {
    "softmax over the batch": (lambda z, s: functional.softmax(z, 0), "axis 0"),
    "log_softmax over the batch": (lambda z, s: functional.log_softmax(z, 0), "axis 0"),
    "a constant rival": (lambda z, s: softmax(torch.cat([torch.zeros_like(z[:, :1]), z], 1)), "constant"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name):
    head, reason = REFUSED[name]
    with pytest.raises(UnsupportedOperation, match=reason):
        explained(Ended(head).eval(), 0)


def test_callables_see_the_models_output_and_give_multiples_of_it():
    model, seen = Ended(SINGLE["softmax"]).eval(), []

    def most_likely(output):
        seen.append(output.clone())
        return 2 * output * functional.one_hot(CLASSES, 6)

    found = explained(model, most_likely)
    assert torch.equal(seen[0], model(IMAGES))
    torch.testing.assert_close(found.input, 2 * explained(scores()).input)
    other = explained(model, contrast(CLASSES, 5)).input
    torch.testing.assert_close(other, explained(scores(), contrast(CLASSES, 5)).input)


def test_classes_whose_log_probability_is_zero_are_explained():
    class Sure(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = scores(shift=-2000.0)

        def forward(self, x):
            return functional.log_softmax(self.net(x) * torch.tensor([1.0, 2, 2, 2, 2, 2]), 1)

    model = Sure().eval()
    assert (model(IMAGES)[:, 0] == 0).all()
    logit = explained(scores(shift=-2000.0), contrast(0, 1)).input
    assert explained(model, contrast(0, 1)).input.abs().sum() > 0
    assert explained(model, 0, bias_share=True).input.abs().sum() > 0
    with pytest.raises(hudd.errors.UsageError, match="multiple"):
        explained(model, torch.ones_like)
    assert logit.shape == IMAGES.shape


monotone = st.sampled_from(sorted(set(SINGLE) - {"scale and shift"}))


@pytest.mark.parametrize("preset", PRESETS)
@settings(max_examples=3, deadline=None)
@given(
    name=monotone,
    before=st.floats(0.3, 3),
    after=st.floats(0.3, 3),
    shift=st.floats(-3, 3),
    seed=st.integers(0, 3),
)
def test_a_monotone_head_changes_no_direction_and_no_cluster(preset, name, before, after, shift, seed):
    class Net(nn.Module):
        def __init__(self, head):
            super().__init__()
            self.net, self.head = scores(seed), head
            self.temperature = nn.Parameter(torch.tensor(2.5))
            self.scales = nn.Parameter(torch.full((6,), 0.7))

        def forward(self, x):
            z = self.net(x)
            return z if self.head is None else self.head(z * before + shift, self) * after

    choices = PRESETS[preset]
    images = torch.rand(10, 3, 12, 12, generator=torch.Generator().manual_seed(seed))
    target = torch.arange(10) % 6
    maps = [
        hudd.LRP(Net(head).eval(), rules=choices.rules, layers=["input"]).attribute(images, target).input
        for head in (None, SINGLE[name])
    ]
    assert cosines(*maps).min() > 0.999
    units = [functional.normalize(each.flatten(1)).numpy() for each in maps]
    first, second = (hudd.cluster(each, preset="hudd").labels for each in units)
    np.testing.assert_array_equal(first, second)


SCALES = {
    "logits": ("scale and shift", "unit norm"),
    "probabilities": ("softmax", "temperature", "evidence", "ratio by sum"),
    "log-probabilities": ("log_softmax", "clamp", "minus logsumexp"),
    "independent probabilities": ("sigmoid", "probit", "complement twice"),
    "independent log-probabilities": ("log_sigmoid",),
    "positive scores": ("odds",),
}


@pytest.mark.parametrize(
    ("scale", "name"),
    [(scale, name) for scale, names in SCALES.items() for name in names if name in SINGLE],
)
def test_scores_and_losses_are_those_of_what_the_outputs_are(scale, name):
    model = Ended(SINGLE[name]).eval()
    assert head_tools.output_scale(model, IMAGES) == scale
    with torch.no_grad():
        output = model(IMAGES)
    p = torch.from_numpy(head_tools.probabilities(output.numpy(), scale))
    if name in ("softmax", "log_softmax", "minus logsumexp", "odds"):
        z = scores()(IMAGES)
        expected = softmax(z.detach().double())
        torch.testing.assert_close(p, expected, rtol=1e-5, atol=1e-6)
        entropy = -(expected * expected.log()).sum(1).numpy()
        np.testing.assert_allclose(head_tools.entropies(output.numpy(), scale), entropy, rtol=1e-5)
        loss = head_tools.cross_entropy(scale)(output, CLASSES)
        torch.testing.assert_close(loss, functional.cross_entropy(z, CLASSES).detach(), rtol=1e-4, atol=1e-5)
    if name == "sigmoid":
        loss = head_tools.cross_entropy(scale)(output, CLASSES)
        truth = functional.one_hot(CLASSES, 6).float()
        torch.testing.assert_close(loss, functional.binary_cross_entropy(output, truth))
        torch.testing.assert_close(p, output.double())


def test_reprs_are_short_and_true():
    lrp = hudd.LRP(Ended(SINGLE["softmax"]).eval(), rules="epsilon-plus", layers=["members.0.0"])
    found = lrp.attribute(IMAGES)
    assert repr(lrp) == "<LRP of Ended by epsilon-plus, layers members.0.0 at its input, pool none>"
    assert repr(found) == (
        "<Relevance of 4 images: output (4, 6), 1 layers, explains the pre-activation before softmax>"
    )
