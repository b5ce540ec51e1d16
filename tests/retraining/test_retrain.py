"""Retraining starts from the original weights, learns what the bag holds, and is compared fairly."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from hudd.errors import HuddError, UsageError
from hudd.retraining import (
    CachedImages,
    JoinedImages,
    TensorImages,
    TrainingConfig,
    compare_answers,
    fit,
    predict,
    retrain,
    save_weights,
)

CONFIG = TrainingConfig(epochs=6, batch_size=32, lr=0.05, holdout=0.1)


@pytest.fixture
def weak(make_model, make_data):
    """A model that never saw class 3, with its training set."""
    images, labels = make_data(240, 0)
    keep = labels < 3
    model = make_model()
    fit(model, images[keep], labels[keep], CONFIG, seed=0)
    return model, images[keep], labels[keep]


def test_the_bag_teaches_what_was_missing(weak, make_data, tmp_path):
    model, train, train_labels = weak
    improvement, truth = make_data(200, 1)
    test, test_labels = make_data(150, 2)
    original = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    hidden = np.where(truth == 3, truth, -1)  # only class 3 was labelled
    bag = np.resize(np.flatnonzero(truth == 3), 80)
    wrong = predict(model, test).prediction != test_labels
    clusters = np.where(test_labels[wrong] == 3, 1, 2)

    result = retrain(
        model, train, improvement, bag, CONFIG, seed=1, train_labels=train_labels, improvement_labels=hidden,
        test=test, test_labels=test_labels, clusters=clusters, weights=tmp_path / "new.safetensors",
    )  # fmt: skip
    assert result.change.accuracy_after > 0.95 > result.change.accuracy_before
    assert result.change.recovery[1] > 0.9
    assert result.change.improved - result.change.worsened == result.after.sum() - result.before.sum()
    assert all(torch.equal(original[name], tensor) for name, tensor in model.state_dict().items())
    stored = load_file(tmp_path / "new.safetensors")
    assert all(torch.equal(stored[name], tensor) for name, tensor in result.model.state_dict().items())


def test_an_empty_bag_retrains_on_the_training_set(weak, make_data):
    model, train, train_labels = weak
    improvement, _ = make_data(20, 1)
    config = TrainingConfig(epochs=1)
    result = retrain(
        model, train, improvement, np.array([], int), config, seed=0,
        train_labels=train_labels, improvement_labels=np.full(20, -1),
    )  # fmt: skip
    assert result.change is None
    assert len(result.fit.history) == 1


def test_wrong_bags_are_named(weak, make_data):
    model, train, train_labels = weak
    improvement, truth = make_data(20, 1)
    for bag, labels, words in [
        (np.array([20]), truth, "rows 20 to 20 of 20"),
        (np.array([1, 2]), np.where(np.arange(20) == 2, -1, truth), "negative"),
        (np.array([1, 2]), truth[:5], "need a label each"),
        (np.array([1, 2]), truth.astype("f4"), "improvement labels torch.float32"),
    ]:
        with pytest.raises(UsageError, match=words):
            retrain(
                model,
                train,
                improvement,
                bag,
                CONFIG,
                seed=0,
                train_labels=train_labels,
                improvement_labels=labels,
            )


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)), min_size=1, max_size=40))
def test_change_counts(rows):
    before, after, clusters = (np.array(column) for column in zip(*rows))
    change = compare_answers(before, after, clusters[~before])
    assert change.improved == sum(not b and a for b, a, _ in rows)
    assert change.worsened == sum(b and not a for b, a, _ in rows)
    assert change.accuracy_after == pytest.approx(np.mean(after))
    for cluster, share in change.recovery.items():
        assert share == pytest.approx(np.mean([a for b, a, c in rows if c == cluster and not b]))
    assert set(change.recovery) == {c for b, _, c in rows if not b and c >= 1}
    with pytest.raises(UsageError, match="have a cluster"):
        compare_answers(before, after, np.append(clusters[~before], 1))


def test_predictions_do_not_depend_on_the_batch(weak, make_data):
    model, *_ = weak
    images, _ = make_data(50, 4)
    whole = predict(model, images)
    for size in (1, 7):
        np.testing.assert_allclose(
            predict(model, images, batch_size=size).output, whole.output, rtol=1e-5, atol=1e-5
        )
    logits = torch.from_numpy(whole.output).double()
    entropy = torch.distributions.Categorical(logits=logits).entropy()
    np.testing.assert_allclose(whole.entropy, entropy, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(whole.score, logits.softmax(1).amax(1), rtol=1e-6)
    rows = np.array([4, 4, 1])
    np.testing.assert_allclose(
        predict(model, images, rows=rows).output, whole.output[rows], rtol=1e-5, atol=1e-5
    )
    assert len(predict(model, images[:0]).prediction) == 0
    broken = images.float()
    broken[3] = torch.nan
    with pytest.raises(HuddError, match="image 3 is not finite"):
        predict(model, broken)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(0, 1000))
def test_joined_and_cached_images_load_the_right_ones(rows, memory):
    first, second = torch.arange(10.0).view(10, 1, 1, 1), torch.arange(100.0, 110.0).view(10, 1, 1, 1)
    source = CachedImages(TensorImages(first), memory=memory)
    joined = JoinedImages([(source, np.array(rows)), (TensorImages(second), np.array([7, 7]))])
    expected = np.r_[np.array(rows, float), 107, 107]
    indices = np.random.default_rng(len(rows)).integers(0, len(joined), 25)
    for _ in range(2):
        np.testing.assert_array_equal(joined.load(indices).flatten().numpy(), expected[indices])


def test_weights_have_the_right_ending(make_model, tmp_path):
    with pytest.raises(UsageError, match="safetensors"):
        save_weights(make_model(), tmp_path / "weights.pth")


def test_images_decoded_in_inference_mode_can_be_trained_on(make_model, data):
    images = CachedImages(TensorImages(data[0]))
    predict(make_model(), images, rows=np.arange(5))
    with torch.inference_mode():
        images.load(np.arange(5, 10))
    make_model()(images.load(np.arange(20))).sum().backward()


def test_what_is_too_big_for_the_cache_is_read_once_a_call():
    class Reading(TensorImages):
        calls = 0

        def load(self, indices):
            Reading.calls += 1
            return super().load(indices)

    images = CachedImages(Reading(np.random.default_rng(0).random((20, 3, 4, 4))), memory=100)
    for number in range(1, 4):
        rows = np.array([3, 1, 3, 7])
        assert torch.equal(images.load(rows), images.images.images[rows].float())
        assert Reading.calls == number
