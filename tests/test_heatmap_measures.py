"""The measures of benchmarks/heatmaps, on a network whose right order is known, and a whole family on a small one."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks" / "heatmaps"
MODULES = ("measures", "families", "explanations")


@pytest.fixture(scope="module")
def heatmaps():
    """The scripts' modules by name, as they are when the folder is run."""
    sys.path[:0] = [str(FOLDER), str(FOLDER.parent)]
    try:
        found = {name: __import__(name) for name in MODULES}
        spec = {"__name__": "heatmaps", "__file__": str(FOLDER / "__main__.py")}
        exec(compile((FOLDER / "__main__.py").read_text(), spec["__file__"], "exec"), spec)
        yield found | {"main": spec}
    finally:
        sys.path.remove(str(FOLDER))
        sys.path.remove(str(FOLDER.parent))
        for name in MODULES:
            sys.modules.pop(name, None)


def gain(heatmaps, weights, images, maps, size=2):
    """Insertion less deletion of a linear network, patches replaced by zeros."""
    measures = heatmaps["measures"]

    def score(some):
        return (some * weights).sum((1, 2, 3))[:, None]

    zeros = torch.zeros_like(images)
    ends = score(images), score(zeros)
    kept, gone = measures.areas(score, images, zeros, measures.orders(maps, size), size, ends)
    return (kept - gone)[:, 0].numpy()


def test_areas_by_hand(heatmaps):
    # Patches of 4, 3, 2, 1 and none more; replaced are 1, 2 and 3 of the four.
    images = torch.tensor([[4.0, 3], [2, 1]]).view(1, 1, 2, 2)
    measures = heatmaps["measures"]
    score = lambda some: some.sum((1, 2, 3))[:, None]  # noqa: E731
    ends = score(images), torch.zeros(1, 1)
    order = measures.orders(images[:, 0], 1)
    assert order.tolist() == [[0, 1, 2, 3]]
    kept, gone = measures.areas(score, images, torch.zeros_like(images), order, 1, ends)
    assert gone.item() == pytest.approx((10 / 2 + 6 + 3 + 1 + 0) / 4)
    assert kept.item() == pytest.approx((10 / 2 + 9 + 7 + 4 + 0) / 4)


@given(seed=st.integers(0, 2**31), size=st.sampled_from([1, 2, 4]))
def test_no_order_gains_more_than_gradient_times_input_of_a_linear_network(heatmaps, seed, size):
    draw = torch.Generator().manual_seed(seed)
    weights, images = (torch.randn(3, 2, 8, 8, generator=draw, dtype=torch.float64) for _ in range(2))
    right = (weights * images).sum(1)
    most = gain(heatmaps, weights, images, right, size)
    assert (most > 0).all()
    for _ in range(4):
        other = torch.randn(3, 8, 8, generator=draw)
        assert (gain(heatmaps, weights, images, other, size) <= most + 1e-9).all()
    np.testing.assert_allclose(gain(heatmaps, weights, images, -right, size), -most, rtol=1e-9, atol=1e-12)


def test_random_maps_gain_about_nothing(heatmaps):
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(400, 1, 8, 8, generator=draw)
    weights = torch.randn(400, 1, 8, 8, generator=draw)
    most = gain(heatmaps, weights, images, (weights * images).sum(1))
    found = gain(heatmaps, weights, images, torch.rand(400, 8, 8, generator=draw))
    assert abs(found.mean()) < 0.1 * most.mean()
    assert abs(found.mean()) < 3 * found.std() / 20


def test_equal_patches_are_not_taken_row_by_row(heatmaps):
    order = heatmaps["measures"].orders(torch.zeros(2, 8, 8), 2)
    assert order[0].tolist() != list(range(16))
    assert sorted(order[0].tolist()) == list(range(16))
    assert torch.equal(order[0], order[1])


def test_patches_that_do_not_tile_are_refused(heatmaps):
    with pytest.raises(ValueError, match="do not tile"):
        heatmaps["measures"].orders(torch.zeros(1, 8, 8), 3)


def test_fillings_keep_the_colour(heatmaps):
    images = 5 + torch.rand(6, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    for name, filling in heatmaps["measures"].fillings(images).items():
        assert filling.shape == images.shape
        assert filling.mean().item() == pytest.approx(images.mean().item(), abs=0.02), name
        assert (filling != images).any()


def test_the_first_is_chosen_by_one_half_and_tested_on_the_other(heatmaps):
    measures, draw = heatmaps["measures"], np.random.default_rng(0)
    base = draw.normal(size=80)
    gains = {"good": base + 1, "same": base + 1 + draw.normal(0, 0.01, 80), "bad": base - 1}
    gains["lucky"] = base.copy()
    gains["lucky"][0::2] += 5  # on the choosing half alone
    assert measures.first(gains) == "lucky"
    p = measures.behind(gains, "good")
    assert set(p) == {"same", "bad", "lucky"}
    assert p["bad"] < 1e-6
    assert p["lucky"] < 1e-6
    assert measures.paired(base, base) == 1


def test_holm_by_hand(heatmaps):
    found = heatmaps["measures"].corrected({"a": 0.04, "b": 0.01, "c": 0.03, "d": 0.5})
    assert found == pytest.approx({"a": 0.09, "b": 0.04, "c": 0.09, "d": 0.5})


@pytest.mark.slow
def test_a_family(heatmaps):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)
    ).eval()
    images = torch.rand(80, 3, 8, 8)
    labels = model(images).argmax(1).numpy()
    labels[::2] = (labels[::2] + 1) % 3  # so the network gets these wrong
    families = heatmaps["families"]
    network = families.Network(
        model, lambda rows: images[torch.from_numpy(rows)], labels,
        box=(0, 1), space="3", patches=(2, 4), images=(8, 8), batch=5,
    )  # fmt: skip
    for failing in (True, False):
        some, classes = families.picked(network, 24, failing=failing)
        assert torch.equal(model(some).argmax(1), classes)
        rows = [int((images == image).all((1, 2, 3)).nonzero()[0]) for image in some]
        assert len(set(rows)) == 24
        assert ((labels[rows] != classes.numpy()) == failing).all()
    found = heatmaps["main"]["measure"](network, some, classes)
    rows = {row["explanation"]: row for row in found["rows"]}
    assert {"hudd epsilon-plus", "hudd hudd-2021", "gradient x input", "SmoothGrad", "centre"} <= set(rows)
    for row in rows.values():
        for output in ("probability", "logit"):
            figures = row[output]
            gain = figures["insertion"] - figures["deletion"]
            assert gain == pytest.approx((figures["choosing"] + figures["confirming"]) / 2)
            assert np.mean(list(figures["by"].values())) == pytest.approx(figures["confirming"])
    assert rows["gradient x input"]["logit"]["confirming"] > rows["random"]["logit"]["confirming"]
    table = heatmaps["main"]["tables"](json.loads(json.dumps({"families": {"tiny, failing": found}})))
    assert table.count("**") == 4
    assert "(r)" in table


def test_the_page_has_the_figures_of_the_record(heatmaps):
    main = heatmaps["main"]
    record = json.loads((main["harness"].RESULTS / "heatmaps.json").read_text())
    page = main["PAGE"].read_text(encoding="utf-8")
    told = page.partition(main["BEGIN"])[2].partition(main["END"])[0].strip()
    assert told == main["tables"](record), "run: python benchmarks/heatmaps --page"
