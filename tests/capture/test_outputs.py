"""Models that return more than one tensor: the one that is asked for, or the only one; else its name is told."""

import copy
from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import pytest
import torch
from torch import nn

import hudd
from hudd.capture.outputs import choose_output
from hudd.errors import UsageError


@dataclass
class Scores:
    logits: torch.Tensor
    features: torch.Tensor
    loss: torch.Tensor | None = None


Pair = namedtuple("Pair", ["logits", "features"])
FORMS = {
    "dict": (lambda y, h: {"logits": y, "features": h, "names": ["a"]}, "logits"),
    "ordered dict": (lambda y, h: OrderedDict(out=y, aux=h), "out"),
    "tuple": (lambda y, h: (h, y), "1"),
    "tuple, from its end": (lambda y, h: (h, y), "-1"),
    "list": (lambda y, h: [y, h], "0"),
    "namedtuple": (Pair, "logits"),
    "namedtuple by number": (Pair, "0"),
    "dataclass": (Scores, "logits"),
    "one within another": (lambda y, h: {"head": (y, h)}, "head.0"),
    "the only one, unasked": (lambda y, h: {"loss": None, "logits": y}, None),
    "the only one of a tuple": (lambda y, h: (y,), None),
}


class Net(nn.Module):
    def __init__(self, form):
        super().__init__()
        self.form = form
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
        self.head = nn.Linear(4 * 36, 3)

    def forward(self, x):
        hidden = self.body(x)
        scores = self.head(hidden.flatten(1))
        return scores if self.form is None else self.form(scores, hidden)


def plain(form):
    torch.manual_seed(3)
    return Net(form).eval()


IMAGES = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMS)
def test_relevance_and_scores_are_those_of_the_output_chosen(kind):
    form, name = FORMS[kind]
    wanted, model = plain(None), plain(form)
    choose_output(model, name)
    for net in (model, copy.deepcopy(model)):
        torch.testing.assert_close(net(IMAGES), wanted(IMAGES))
    found, expected = (hudd.LRP(net).attribute(IMAGES) for net in (model, wanted))
    assert list(found.layers) == list(expected.layers)
    for layer, heatmap in expected.layers.items():
        torch.testing.assert_close(found.layers[layer], heatmap)


@pytest.mark.parametrize(
    ("form", "name", "says"),
    [
        (
            FORMS["dict"][0],
            None,
            r"a dict with logits \(4, 3\), features \(4, 4, 6, 6\); .* such as `output='logits'`\.",
        ),
        (
            FORMS["dataclass"][0],
            "scores",
            r"a Scores with .* and output 'scores' is none of them; .*`output='logits'`\.",
        ),
        (FORMS["tuple"][0], None, r"a tuple with 0 \(4, 4, 6, 6\), 1 \(4, 3\); .*`output='1'`\."),
        (FORMS["tuple"][0], "2", "output '2' is none of them"),
        (lambda y, h: "nothing", None, "a str without tensors"),
        (
            None,
            "logits",
            r"output is 'logits', but the model returns a tensor of shape \(4, 3\); leave it out\.",
        ),
    ],
)
def test_the_names_are_told(form, name, says):
    model = plain(form)
    choose_output(model, name)
    with pytest.raises(UsageError, match=says):
        model(IMAGES)


def test_weights_of_another_precision_are_refused_with_what_helps():
    model = plain(None).half()
    with pytest.raises(UsageError, match=r"has weights of torch\.float16.*give model\.float\(\)\."):
        hudd.LRP(model).attribute(IMAGES)
    hudd.LRP(model.float()).attribute(IMAGES)
