"""Weights are averaged over the last steps of a retraining and drawn back towards those before it."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hudd.retraining import TrainingConfig, fit, retrain
from hudd.retraining.averaging import RunningMean, between
from hudd.study.steps.retrain import training_options

PLAIN = {"average": 0.0, "interpolate": 1.0}


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


@given(
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=20), st.sampled_from(["float32", "float16"])
)
def test_the_mean_is_that_of_all_steps(values, dtype):
    model, mean = nn.BatchNorm1d(1).to(getattr(torch, dtype)), RunningMean()
    for step, value in enumerate(values):
        with torch.no_grad():
            model.weight.fill_(value)
        model.num_batches_tracked.fill_(step)
        mean.add(model)
    found = mean.weights(model)
    taken = np.array(values, dtype).astype(float)
    assert float(found["weight"]) == pytest.approx(
        taken.mean(), rel=2e-3, abs=0.1 if dtype == "float16" else 1e-4
    )
    assert found["weight"].dtype == model.weight.dtype
    assert int(found["num_batches_tracked"]) == len(values) - 1  # counted, not averaged


def test_without_a_step_the_weights_are_the_models_own():
    model = nn.Linear(2, 2)
    found = RunningMean().weights(model)
    with torch.no_grad():
        model.weight.zero_()
    assert found["weight"].any()


@pytest.mark.parametrize(("average", "steps"), [(0.0, 1), (0.25, 2), (0.5, 4), (1.0, 8)])
def test_the_last_steps_are_averaged(make_model, data, average, steps):
    images, labels = data
    before = []

    def step(model, batch, target):
        before.append(state(model))
        return nn.functional.cross_entropy(model(batch), target)

    config = TrainingConfig(epochs=2, batch_size=60, lr=0.05)
    averaged, plain = make_model(), make_model()
    fit(averaged, images, labels, config, seed=0, average=average)
    fit(plain, images, labels, config, seed=0, train_step=step)
    assert len(before) == 8
    taken = [*before[1:], state(plain)][-steps:]
    for name in ("0.weight", "6.bias"):
        expected = torch.stack([weights[name] for weights in taken]).double().mean(0)
        np.testing.assert_allclose(averaged.state_dict()[name].double(), expected, rtol=1e-5, atol=1e-6)


def test_the_held_out_part_is_scored_by_the_mean(make_model, data):
    images, labels = data
    config = TrainingConfig(epochs=2, batch_size=50, lr=0.05, holdout=0.2)
    model = make_model()
    found = fit(model, images, labels, config, seed=0, average=0.5)
    plain = fit(make_model(), images, labels, config, seed=0)
    first, last = ([entry["holdout_loss"] for entry in one.history] for one in (found, plain))
    assert first[0] == last[0]  # the mean begins with the second epoch
    assert first[1] != last[1]


def test_retraining_comes_a_share_of_the_way(make_model, make_data):
    model, (images, labels), (field, truth) = make_model(), make_data(60, 0), make_data(30, 1)

    def retrained(**options):
        config = TrainingConfig(epochs=2, lr=0.05, freeze=("0.*",), **options)
        done = retrain(
            model, images, field, np.arange(30), config, seed=0, train_labels=labels, improvement_labels=truth
        )
        return done.model.state_dict()

    start, whole = model.state_dict(), retrained(**PLAIN)
    assert all(torch.equal(whole[name], value) for name, value in between(start, whole, 1.0).items())
    half = retrained(average=0.0, interpolate=0.5)
    for name in ("1.running_mean", "6.weight"):
        np.testing.assert_allclose(half[name], (start[name] + whole[name]) / 2, rtol=1e-5, atol=1e-7)
    assert torch.equal(half["0.weight"], start["0.weight"])
    assert half["1.num_batches_tracked"] == whole["1.num_batches_tracked"]
    ends = [retrained(interpolate=share)["6.weight"] for share in (0.25, 0.5, 1.0)]
    away = [float((end - start["6.weight"]).norm()) for end in ends]
    assert all(near < far for near, far in pairwise(away))


@pytest.mark.parametrize(
    ("bagging", "given", "expected"),
    [("exact", {}, {}), ("hudd-2021", {}, PLAIN), ("hudd-2021", {"average": 0.5}, PLAIN | {"average": 0.5})],
)
def test_the_original_is_reproduced_plainly(bagging, given, expected):
    settings = SimpleNamespace(choices=SimpleNamespace(bagging=bagging), training=given)
    assert training_options(settings) == expected
