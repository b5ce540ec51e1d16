"""Training is seeded, resumable to the bit, and finds its best epoch on held-out training images."""

import numpy as np
import pytest
import torch
from torch import nn

from hudd.errors import HuddError, UsageError
from hudd.retraining import JoinedImages, TensorImages, TrainingConfig, fit, predict
from hudd.retraining.fit import _epoch_order

CONFIG = TrainingConfig(epochs=4, batch_size=32, lr=0.05, holdout=0.1, augment=("shift",))


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_learns_and_reports(make_model, data):
    images, labels = data
    model = make_model()
    seen = []
    result = fit(model, images, labels, CONFIG, seed=0, on_epoch=seen.append)
    assert [entry["epoch"] for entry in result.history] == [1, 2, 3, 4]
    assert seen == result.history
    assert result.history[-1]["loss"] < 0.5 * result.history[0]["loss"]
    assert (predict(model, images).prediction == labels).mean() > 0.95
    best = max(result.history, key=lambda e: (e["holdout_accuracy"], -e["holdout_loss"]))
    assert result.best_epoch == best["epoch"]
    assert model.training  # the mode it came in


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam", "adamw"])
@pytest.mark.parametrize("cut", [1, 3])
def test_resumes_to_the_bit(make_model, data, tmp_path, optimizer, cut):
    images, labels = data
    average = 0.6 if optimizer in ("sgd", "adam") else 0.0
    config = TrainingConfig(
        epochs=4,
        batch_size=50,
        lr=0.01,
        holdout=0.1,
        optimizer=optimizer,
        schedule="cosine",
        augment=("flip",),
    )
    through = make_model()
    whole = fit(through, images, labels, config, seed=3, average=average)

    def kill(entry):
        if entry["epoch"] == cut:
            raise KeyboardInterrupt

    file = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(make_model(), images, labels, config, seed=3, average=average, checkpoint=file, on_epoch=kill)
    torch.manual_seed(999)  # the global state must not matter
    resumed, more = make_model(), []
    result = fit(
        resumed, images, labels, config, seed=3, average=average, checkpoint=file, on_epoch=more.append
    )
    assert [entry["epoch"] for entry in more] == list(range(cut + 1, 5))
    assert same(weights(resumed), weights(through))
    for mine, theirs in zip(result.history, whole.history):
        assert {**mine, "seconds": 0} == {**theirs, "seconds": 0}
    again = make_model()
    fit(
        again,
        images,
        labels,
        config,
        seed=3,
        average=average,
        checkpoint=file,
        on_epoch=lambda e: pytest.fail("trained again"),
    )
    assert same(weights(again), weights(through))


def test_seed_decides_and_global_state_does_not(make_model, data):
    images, labels = data
    results = []
    for seed, noise in ((1, 0), (1, 1), (2, 0)):
        torch.manual_seed(noise)
        np.random.default_rng(noise)
        before = torch.random.get_rng_state()
        model = make_model()
        fit(model, images, labels, CONFIG, seed=seed)
        assert torch.equal(before, torch.random.get_rng_state())
        results.append(weights(model))
    assert same(results[0], results[1])
    assert not same(results[0], results[2])


def test_checkpoint_of_another_training_is_refused(make_model, data, tmp_path):
    images, labels = data
    file = tmp_path / "run.pt"
    fit(make_model(), images, labels, CONFIG, seed=0, checkpoint=file)
    with pytest.raises(UsageError, match="another model, seed"):
        fit(make_model(), images, labels, CONFIG, seed=1, checkpoint=file)
    with pytest.raises(UsageError, match="another model, seed"):
        fit(make_model(5), images, labels, CONFIG, seed=0, checkpoint=file)
    file.write_bytes(b"no checkpoint")
    with pytest.raises(HuddError, match="not a training checkpoint"):
        fit(make_model(), images, labels, CONFIG, seed=0, checkpoint=file)


def test_holdout_is_not_trained_on(make_model, data):
    images, labels = data

    class Watch:
        def __init__(self):
            self.loaded = []

        def __len__(self):
            return len(images)

        def load(self, rows):
            self.loaded += list(rows)
            return images[rows].float() / 255

    watch, trained = Watch(), []

    def step(model, batch, target):
        trained.append(len(batch))
        return nn.functional.cross_entropy(model(batch), target)

    fit(make_model(), watch, labels, TrainingConfig(epochs=2, holdout=0.25), seed=0, train_step=step)
    assert sum(trained) == 2 * (len(images) - sum(round(0.25 * n) for n in np.bincount(labels)))
    assert len(watch.loaded) == len(set(watch.loaded))  # cached after the first reading


def test_copies_are_exact_and_drawn_anew(make_model, data):
    images, labels = data
    copies = np.concatenate([np.ones(200), np.full(40, 2.3)])
    epochs = []

    class Counting:
        def __len__(self):
            return len(images)

        def load(self, indices):
            epochs.append(indices)
            return images[torch.from_numpy(indices)].float() / 255

    config = TrainingConfig(epochs=3, batch_size=1000, lr=0.01)
    own = lambda model, batch, target: nn.functional.cross_entropy(model(batch), target)  # noqa: E731
    fit(
        make_model(),
        JoinedImages([(TensorImages(images), np.arange(240))]),
        labels,
        config,
        seed=0,
        copies=copies,
    )
    rng = [np.random.default_rng([0, epoch]) for epoch in range(3)]
    counts = [np.bincount(_epoch_order(np.arange(240), copies, r), minlength=240) for r in rng]
    for count in counts:
        assert (count[:200] == 1).all()
        assert set(count[200:]) == {2, 3}
        assert abs(count.sum() - 292) <= 1
    assert not np.array_equal(counts[0], counts[1])
    fit(make_model(), Counting(), labels, config, seed=0, copies=np.eye(240)[5] * 7, train_step=own)
    assert set(np.concatenate(epochs)) == {5}
    with pytest.raises(UsageError, match="copies must be 240"):
        fit(make_model(), images, labels, config, seed=0, copies=-copies)


def test_may_hold_out_limits_the_holdout(make_model, data):
    images, labels = data
    sizes = []

    def step(model, batch, target):
        sizes.append(len(batch))
        return nn.functional.cross_entropy(model(batch), target)

    allowed = np.flatnonzero(labels == 2)
    config = TrainingConfig(epochs=1, holdout=0.5)
    fit(make_model(), images, labels, config, seed=0, may_hold_out=allowed, train_step=step)
    assert sum(sizes) == len(images) - round(0.5 * len(allowed))


def test_early_stopping_keeps_the_best(make_model, data):
    images, labels = data
    model = make_model(dropout=0.0)
    config = TrainingConfig(epochs=30, batch_size=16, lr=0.1, holdout=0.1, patience=2)
    result = fit(model, images, labels, config, seed=0)
    assert result.stopped_early
    assert len(result.history) == result.best_epoch + 2


def test_frozen_layers_stay_as_they_are(make_model, data):
    images, labels = data
    model = make_model()
    before = weights(model)
    fit(model, images, labels, TrainingConfig(epochs=1, holdout=0.1, freeze=("0.*", "1.*")), seed=0)
    after = weights(model)
    for name in before:
        assert torch.equal(before[name], after[name]) == name.startswith(("0.", "1.")), name
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_regression_and_own_loss():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 3)).astype("f4")
    y = x @ np.array([[1.0], [2.0], [-1.0]], "f4")
    for loss in ("mse", lambda output, target: (output - target).abs().mean()):
        model = nn.Linear(3, 1)
        config = TrainingConfig(epochs=60, lr=0.05, loss=loss, batch_size=20, weight_decay=0.0, holdout=0.1)
        result = fit(model, x, y, config, seed=0)
        assert result.history[result.best_epoch - 1]["holdout_loss"] < 0.05
        assert "holdout_accuracy" not in result.history[0]


def test_bfloat16_learns(make_model, data):
    images, labels = data
    model = make_model()
    fit(model, images, labels, TrainingConfig(epochs=4, batch_size=32, lr=0.05, precision="bfloat16"), seed=0)
    assert (predict(model, images).prediction == labels).mean() > 0.9


def test_last_batch_of_one_joins_its_neighbour(make_model, data):
    images, labels = data
    fit(make_model(), images[:33], labels[:33], TrainingConfig(epochs=1, batch_size=32, holdout=0), seed=0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": 0}, "epochs"),
        ({"lr": -1.0}, "lr"),
        ({"optimizer": "lion"}, "choose one of: sgd"),
        ({"loss": "hinge"}, "cross-entropy"),
        ({"holdout": 1.0}, "holdout"),
        ({"patience": 3}, "patience"),
        ({"augment": ("spin",)}, "flip, shift"),
        ({"schedule": "step"}, "cosine"),
        ({"precision": "float16"}, "bfloat16"),
    ],
)
def test_wrong_configurations_are_named(change, words):
    with pytest.raises(UsageError, match=words):
        TrainingConfig(**change)


def test_wrong_calls_are_named(make_model, data):
    images, labels = data
    cases = [
        (make_model(), images, labels[:-1], CONFIG, "240 images but 239 labels"),
        (make_model(), images, labels - 1, CONFIG, "negative"),
        (make_model(), images, labels + 1, CONFIG, "labels go up to 4"),
        (make_model(), images, labels.astype("f4"), CONFIG, "make them equal"),
        (make_model(), images, None, CONFIG, "carry no labels"),
        (make_model(), images[:0], labels[:0], CONFIG, "no training images"),
        (make_model(), images[:4], labels[:4], CONFIG, "nothing to hold out"),
        (make_model(), 3, labels, CONFIG, "not int"),
        (make_model(), images, labels, TrainingConfig(freeze=("conv9.*",)), "matches no parameter"),
        (make_model(), images, labels, TrainingConfig(freeze=("*",)), "no parameter is left"),
    ]
    for model, x, y, config, words in cases:
        with pytest.raises(UsageError, match=words):
            fit(model, x, y, config, seed=0)
    with pytest.raises(HuddError, match="lower the learning rate"):
        fit(make_model(), images, labels, TrainingConfig(lr=1e30, holdout=0), seed=0)
