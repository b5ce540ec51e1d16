"""Whole families on a small network, and the page that tells their figures."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

slow = pytest.mark.slow


@pytest.mark.parametrize("failing", [True, False])
@pytest.mark.parametrize("spent", [0, 5])
def test_images_are_picked_after_those_that_are_spent(heatmaps, small, failing, spent):
    network, images = small
    some, classes = heatmaps["families"].picked(replace(network, spent=spent), 24, failing=failing)
    order = np.random.default_rng(0).permutation(len(network.labels))[spent:]
    with torch.inference_mode():
        predicted = network.model(images[order]).argmax(1)
    kept = np.flatnonzero((predicted.numpy() != network.labels[order]) == failing)[:24]
    assert torch.equal(some, images[order[kept]])
    assert torch.equal(classes, predicted[kept])


@pytest.fixture
def few(heatmaps, small):
    """The small network with the recommended composite and what costs nothing, for the time that others take."""
    network, _ = small
    kept = {"hudd epsilon-plus-flat", "gradient x input", "random", "centre"}
    every = heatmaps["explanations"].explanations(network, torch.zeros(1, 3, 8, 8))
    return replace(network, left_out=tuple(set(every) - kept))


@slow
def test_flipping(heatmaps, small):
    network, _ = small
    some, classes = heatmaps["families"].picked(network, 24, failing=True)
    found = heatmaps["cells"].flipping(network, some, classes)
    rows = {row["explanation"]: row for row in found["rows"]}
    assert {"hudd epsilon-plus", "hudd hudd-2021", "gradient x input", "SmoothGrad", "centre"} <= set(rows)
    for row in rows.values():
        for output in ("probability", "logit"):
            figures = row[output]
            gain = figures["insertion"] - figures["deletion"]
            assert gain == pytest.approx((figures["choosing"] + figures["confirming"]) / 2)
            assert np.mean(list(figures["by"].values())) == pytest.approx(figures["confirming"])
    assert rows["gradient x input"]["logit"]["confirming"] > rows["random"]["logit"]["confirming"]
    table = heatmaps["tables"].flipping(json.loads(json.dumps({"tiny, failing": found})))
    assert table.count("**") == 4
    assert "(r)" in table


@slow
def test_localisation(heatmaps, few):
    found = heatmaps["cells"].localisation(few, 12)
    assert sum(found["causes"].values()) == found["images"]
    assert 0 < found["masked"] < 1
    for row in found["rows"]:
        for figure in ("inside", "pointing", "auc"):
            assert all(0 <= share <= 1 for share in row[figure].values())
    table = heatmaps["tables"].localisation(json.loads(json.dumps({"tiny": found})))
    assert table.count("**") == 6


@slow
def test_stability_and_randomisation(heatmaps, few):
    some, classes = heatmaps["families"].picked(few, 10, failing=True)
    measures = {
        "stability": heatmaps["cells"].stability(few, some, classes),
        "randomisation": heatmaps["cells"].randomisation(few, some, classes),
    }
    stable, random = (
        {row["explanation"]: row for row in measures[name]["rows"]} for name in ("stability", "randomisation")
    )
    assert (
        stable["centre"]["mean"]
        == 0
        < stable["gradient x input"]["mean"]
        <= stable["gradient x input"]["most"]
    )
    assert stable["random"]["mean"] > stable["gradient x input"]["mean"]
    assert random["centre"] == {
        "explanation": "centre",
        "last layer": pytest.approx(1),
        "all layers": pytest.approx(1),
    }
    assert abs(random["gradient x input"]["all layers"]) < 0.5
    assert set(stable) - set(random) == {"random"}
    assert measures["randomisation"]["layers"] == ["4", "0"]
    text = heatmaps["tables"].sections(
        {name: {"tiny": found} for name, found in json.loads(json.dumps(measures)).items()}
    )
    assert "Rank correlation" in text
    assert "Relative change" in text


def test_what_is_wanted(heatmaps, monkeypatch):
    main = heatmaps["main"]
    monkeypatch.setitem(main, "lacking", lambda name: ["it"] if name == "digits" else [])
    found = main["_wanted"](["flipping", "stability"], ["traffic signs", "digits"], ["failing", "correct"])
    assert found == [
        ("flipping", "traffic signs", "failing"),
        ("stability", "traffic signs", "failing"),
        ("flipping", "traffic signs", "correct"),
    ]


@pytest.mark.parametrize("run", ["first", "second"])
def test_the_page_has_the_figures_of_the_records(heatmaps, run):
    main, tables = heatmaps["main"], heatmaps["tables"]
    page = main["PAGE"].read_text(encoding="utf-8")
    if run == "first":
        record = json.loads((heatmaps["harness"].RESULTS / "heatmaps.json").read_text())
        begin, expected = "<!-- figures of the first run -->", tables.flipping(record["families"])
    else:
        file = heatmaps["harness"].RESULTS / "heatmap-quality.json"
        record = json.loads(file.read_text()) if file.exists() else {"measures": {}}
        begin, expected = main["BEGIN"], tables.sections(record["measures"])
    assert begin in page
    told = page.partition(begin)[2].partition(main["END"])[0].strip()
    assert told == expected, "run: python benchmarks/heatmaps --page"
