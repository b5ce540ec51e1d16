"""Labels of which several may apply, and two classes by a single score."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hudd.data.arrays import ArraySource
from hudd.errors import UsageError
from hudd.lrp import LRP
from hudd.retraining import Predictions, TrainingConfig, fit
from hudd.tasks import TaskSubject, infer_task, make_task

SCORES = st.floats(-20, 20, allow_nan=False, width=32)


def source(labels=None, **columns):
    count = len(next(iter(columns.values()))) if columns else len(labels)
    images, paths = np.zeros((count, 4, 4), np.uint8), [f"{row}.png" for row in range(count)]
    names = ["no", "yes"] if labels is not None else []
    return ArraySource(images, paths, np.full(count, -1) if labels is None else labels, names, columns)


def made(task, found, targets=(), **choices):
    return make_task(task, TaskSubject(targets=targets, test=lambda: found, **choices))


def labelled():
    nan = np.nan
    return source(dog=[1.0, 0.0, 1.0, nan], cat=[0.0, 0.0, 1.0, nan])


def judged(task, found, logits, scale="logits"):
    return task.judge(task.read(np.array(logits, np.float32), scale), found, None)


def test_an_image_is_wrong_where_any_label_is():
    found = labelled()
    task = made("multilabel", found, ("dog", "cat"))
    result = judged(task, found, [[3, -3], [-3, 1], [-2, -4], [0.1, -3]])
    names = task.outcomes(found)
    assert [names[at] if at >= 0 else "" for at in result.prediction] == [
        "correct",
        "cat found wrongly",
        "cat missed",
        "",
    ]
    assert result.label.tolist() == [0, 0, 0, -1]
    assert result.explained.tolist() == [1, 1, 1, 0]  # of no labels, the one that is least certain
    assert result.score[2] == pytest.approx((1 - 1 / (1 + np.exp(4))) / 0.5, rel=1e-5)
    assert result.facts["wrong"] == [0.25, 0.5]
    entered = task.explain(torch.from_numpy(result.explained[:2]))(torch.tensor([[3.0, -3], [-3, 1]]))
    assert entered.tolist() == [[0, -3], [0, 1]]


@given(st.lists(st.tuples(SCORES, SCORES), min_size=1, max_size=6))
def test_logits_and_their_sigmoids_are_judged_alike(rows):
    logits = np.array(rows, np.float32)
    found = source(dog=np.arange(len(rows)) % 2 * 1.0, cat=np.ones(len(rows)))
    task = made("multilabel", found, ("dog", "cat"))
    sigmoids = torch.sigmoid(torch.from_numpy(logits).double()).float().numpy()
    by_logit, by_sigmoid = (
        task.read(*given) for given in ((logits, "logits"), (sigmoids, "independent probabilities"))
    )
    for name in by_logit:
        np.testing.assert_allclose(by_logit[name], by_sigmoid[name], atol=1e-5)


@given(st.lists(SCORES, min_size=1, max_size=8), st.floats(0.05, 0.95))
def test_a_single_score_is_that_of_two_classes(scores, least):
    scores = np.array(scores, np.float32)
    p = 1 / (1 + np.exp(-scores.astype(np.float64)))
    task = made("binary", source(np.zeros(len(scores), int)), threshold=str(least))
    found = task.read(scores[:, None], "logits")
    assert (found["prediction"] == (p > least)).all()
    np.testing.assert_allclose(found["score"], np.where(p > least, p, 1 - p), atol=1e-6)
    np.testing.assert_allclose(
        found["entropy"], -sum(q * np.log(np.maximum(q, 1e-300)) for q in (p, 1 - p)), atol=1e-5
    )
    same = task.read(p.astype(np.float32), "independent probabilities")
    near = np.abs(p - least) > 1e-6
    assert (same["prediction"] == found["prediction"])[near].all()


def test_the_score_of_the_first_class_is_the_negative_one():
    task = made("binary", source([0, 1]))
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 1, bias=False))
    images = torch.rand(2, 1, 2, 2)
    for net in (model, torch.nn.Sequential(model, torch.nn.Sigmoid())):
        relevance = LRP(net).attribute(images, task.explain(torch.tensor([0, 1]))).input
        found = relevance.flatten(1).sum(1)
        torch.testing.assert_close(
            found, model(images)[:, 0].detach() * torch.tensor([-1.0, 1.0]), rtol=1e-3, atol=1e-5
        )


@pytest.mark.parametrize("sigmoid", [False, True])
@pytest.mark.parametrize("squeeze", [False, True])
def test_training_lowers_the_binary_cross_entropy(sigmoid, squeeze):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)

        def forward(self, images):
            score = self.layer(images.flatten(1))
            score = torch.sigmoid(score) if sigmoid else score
            return score[:, 0] if squeeze else score

    torch.manual_seed(0)
    images = torch.randn(200, 1, 2, 2)
    labels = (images[:, 0, 0, 0] > 0).long().numpy()
    task, net = made("binary", source(labels)), Net()
    config = task.training({"epochs": 20, "lr": 0.1, "optimizer": "adam", "weight_decay": 0.0})
    assert config.loss == "binary-cross-entropy"
    fit(net, images, task.targets(source(labels), labels), config, seed=0)
    with torch.inference_mode():
        output = net(images).numpy()
    scale = "independent probabilities" if sigmoid else "logits"
    assert task.right(Predictions(output, scale), source(labels), {}).mean() > 0.95


def test_unknown_labels_teach_nothing():
    loss = TrainingConfig(loss="binary-cross-entropy").loss_function()
    output = torch.zeros(2, 2, requires_grad=True)
    loss(output, torch.tensor([[1.0, np.nan], [0.0, 1.0]])).backward()
    assert (output.grad != 0).tolist() == [[True, False], [True, True]]
    assert float(loss(output, torch.tensor([[1.0, np.nan], [0.0, 1.0]])).detach()) == pytest.approx(np.log(2))


def test_tasks_are_inferred_where_the_data_and_the_outputs_leave_no_other():
    assert infer_task(("dog", "cat"), labelled()) == "multilabel"
    assert infer_task(("dog", "size"), source(dog=[0.0, 1.0], size=[0.3, 1.0])) == "regression"
    for labels, outputs, expected in (
        ([0, 1, 1], 1, "binary"),
        ([0, 1, 1], 2, "classification"),
        ([0, 2, 1], 1, None),
    ):
        found = source(np.array(labels))
        assert infer_task((), found, lambda outputs=outputs: outputs) == (expected or "classification")


@pytest.mark.parametrize(
    ("task", "output", "choices", "message"),
    [
        ("binary", torch.zeros(1, 2), {}, "returns one number"),
        ("multilabel", torch.zeros(1, 3), {}, "there are 2 labels"),
        ("multilabel", torch.zeros(1, 2), {"threshold": "0"}, "a number above 0"),
        ("multilabel", torch.zeros(1, 2), {"threshold": "3"}, "between 0 and 1"),
    ],
)
def test_other_outputs_and_choices_are_refused(task, output, choices, message):
    found = source([0, 1]) if task == "binary" else source(dog=[0.0, 1.0], cat=[0.0, 1.0])
    with pytest.raises(UsageError, match=message):
        made(task, found, ("dog", "cat"), **choices).check(output, {"test": found})


def test_what_excludes_each_other_is_no_set_of_labels():
    task = made("multilabel", labelled(), ("dog", "cat"))
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2), torch.nn.Softmax(1))
    with pytest.raises(UsageError, match="exclude each other"):
        task.scale(net, torch.rand(4, 1, 4, 4))
    assert task.scale(torch.nn.Sequential(*net[:2], torch.nn.Sigmoid()), torch.rand(4, 1, 4, 4)) == (
        "independent probabilities"
    )


@pytest.mark.parametrize("text", ["0", "1", "30%", "low"])
def test_a_threshold_that_is_no_probability_is_refused(text):
    with pytest.raises(UsageError, match="between 0 and 1"):
        made("binary", source([0, 1]), threshold=text)
