"""The measures, the corruptions and the summary of benchmarks/causes; the grid itself runs by ``hudd bench causes``."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks" / "causes"
MODULES = (
    "cases",
    "corruptions",
    "features",
    "field",
    "grid",
    "levels",
    "marks",
    "methods",
    "metrics",
    "pipelines",
    "shortcuts",
    "summary",
    "transfer",
)


@pytest.fixture(scope="module")
def causes():
    """The scripts' modules by name, as they are when the folder is run."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: __import__(name) for name in MODULES}
    finally:
        sys.path.remove(str(FOLDER))
        for name in MODULES:
            sys.modules.pop(name, None)


def test_quality_by_hand(causes):
    cause = np.array(["a"] * 4 + ["b"] * 3 + ["natural"] * 3 + ["a+b"] * 2 + ["c"] * 2)
    labels = np.array([1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 1, 2, -1, 4])
    found = causes["metrics"].quality(labels, cause, rare=("c", "b"))
    assert found.clusters == 3  # one of one does not count
    # 1: a a a ab = 4 of 4 have a; 2: a b b b ab = 4 of 5 have b; 3: natural
    assert found.purity == pytest.approx((1 + 0.8 + 1) / 3)
    assert found.weighted_purity == pytest.approx((4 + 4 + 3) / 12)
    assert found.coverage == pytest.approx(2 / 3)
    assert found.strict_coverage == pytest.approx(1 / 3)
    assert found.rare_coverage == 0.5
    assert found.redundancy == 1
    assert found.clustered == pytest.approx(12 / 14)


def test_a_perfect_clustering_and_none(causes):
    cause = np.repeat(["a", "b", "natural"], 5)
    perfect = causes["metrics"].quality(np.repeat([1, 2, 3], 5), cause, rare=("a",))
    assert perfect.purity == perfect.coverage == perfect.rand == perfect.information == 1
    none = causes["metrics"].quality(np.full(15, -1), cause, rare=("a",))
    assert none.purity == none.coverage == none.clustered == 0
    assert none.information == pytest.approx(0, abs=1e-9)


def test_corruptions_are_drawn_from_the_generator_alone(causes):
    corruptions = causes["corruptions"]
    images = np.random.default_rng(0).integers(0, 256, (3, 20, 20, 3), dtype=np.uint8)
    for name in corruptions.CORRUPTIONS:
        first, second = (
            corruptions.corrupt(images, (name,), {name: 0.6}, np.random.default_rng(1)) for _ in range(2)
        )
        assert first.dtype == np.uint8
        assert first.shape == images.shape
        np.testing.assert_array_equal(first, second)
        assert (first != images).any(axis=(1, 2, 3)).all(), name


def test_compressed_rows_keep_their_distances(causes):
    rows = np.random.default_rng(0).normal(size=(12, 300)).astype(np.float32)
    small = causes["features"].isometric(rows)
    assert small.shape == (12, 12)
    full, kept = (np.linalg.norm(x[:, None] - x[None], axis=2) for x in (rows, small))
    np.testing.assert_allclose(kept, full, rtol=1e-4, atol=1e-4)


def cell(case, seed, pipeline, purity, coverage=1.0, clustered=1.0):
    names = (
        "weighted_purity",
        "strict_coverage",
        "rare_coverage",
        "clusters",
        "rand",
        "information",
        "seconds",
        "bytes_each",
    )
    return {
        "case": case, "seed": seed, "pipeline": pipeline, "purity": purity, "coverage": coverage,
        "clustered": clustered, "redundancy": 2.0, **dict.fromkeys(names, 0.5),
    }  # fmt: skip


def test_a_case_is_judged_by_what_the_others_choose(causes):
    cells = [
        cell(case, seed, name, purity)
        for seed in (0, 1)
        for case, left, right in (("one", 0.9, 0.5), ("two", 0.9, 0.5), ("three", 0.2, 0.5))
        for name, purity in (("left", left), ("right", right), ("preset x", 1.0))
    ]
    found = {row["case"]: row for row in causes["summary"].held_out(cells)}
    assert found["three"]["chosen"] == "left"
    assert found["three"]["purity"] == 0.2
    assert all(not row["chosen"].startswith("preset") for row in found.values())
    few = [cell("one", 0, "all", 0.6), cell("one", 0, "some", 1.0, clustered=0.3)]
    assert causes["summary"].best(few) == "all"


def test_confidence_intervals_are_those_of_the_seeds(causes):
    cells = [cell("one", seed, "p", value) for seed, value in enumerate((0.5, 0.6, 0.7))]
    width = causes["summary"].half_widths(cells, ("purity",))["p"]["purity"]
    assert width == pytest.approx(4.303 * 0.1 / np.sqrt(3), rel=1e-3)  # Student's t, 2 degrees of freedom


def test_a_line_that_was_cut_off_does_not_count(causes, tmp_path):
    lines = tmp_path / "cells.jsonl"
    lines.write_text(json.dumps(cell("one", 0, "p", 0.5)) + '\n{"case": "one", "se')
    assert [row["pipeline"] for row in causes["grid"].read(lines)] == ["p"]


def test_the_grid_has_sixty_pipelines_at_least(causes):
    grid = causes["pipelines"].choices(tuple(causes["features"].FEATURES))
    assert len({choice.name for choice in grid}) == len(grid) >= 60


def test_precision_at_10_is_that_of_the_group_that_holds_a_cause_best(causes):
    cause = np.array(["a"] * 12 + ["b"] * 5 + ["natural"] * 3)
    rows = np.arange(20.0)[:, None]
    precise = causes["levels"].precision_at_10
    assert precise(np.repeat([1, 2, 3], [12, 5, 3]), rows, cause) == 1
    assert precise(np.repeat([1, 2], [12, 8]), rows, cause) == pytest.approx((1 + 5 / 8) / 2)
    assert precise(np.full(20, -1), rows, cause) == 0


def test_what_spoils_field_images_grows_with_its_severity(causes):
    rng = np.random.default_rng(0)
    images = (rng.random((3, 32, 32, 3)) ** 2 * 255).astype(np.uint8)
    for name in causes["field"].SPOILS:
        far = [
            np.abs(
                causes["field"].spoiled(images, name, np.full(3, severity), rng).astype(int) - images
            ).mean()
            for severity in (0.1, 0.5, 1.0)
        ]
        assert 0 < far[0] < far[2], name


def test_field_networks_classify_and_explain(causes):
    field = causes["field"]
    for network in (field.residual, field.plain, field.Transformer):
        scores = network(3, 4).eval()(field.as_inputs(np.zeros((2, 32, 32, 3), np.uint8)))
        assert scores.shape == (2, 4)


def scene(causes, case, used):
    marks, n = causes["marks"], len(used)
    clean = np.full((n, 32, 32, 3 if case.name.startswith("colour") else 1), 60, np.uint8)
    bad = clean + 40
    shown = np.ones((n, 3), bool)
    return marks.Scene.of(clean, bad, shown, np.array(used), np.random.default_rng(0))


def test_every_mark_is_there_in_either_state_and_can_be_taken_away(causes):
    for case in causes["marks"].CASES.values():
        made = scene(causes, case, [0, 1, 2, -1])
        images = made.drawn(case.draw)
        unmarked = made.bad != images
        assert (made.drawn(case.draw, mended=True)[~unmarked] == 60).all()
        for mark in range(3):
            rest = made.drawn(case.draw, without=mark)
            own = (rest != images).any(axis=(1, 2, 3))
            assert own.all(), case.name
            assert ((rest == images) | (rest == made.bad)).all()
        ignored = causes["marks"].Scene(made.clean, made.bad, made.shown, np.full(4, -1), made.at, made.move)
        in_use = (ignored.drawn(case.draw) != images).any(axis=(1, 2, 3))
        assert in_use.tolist() == [True, True, True, False]


def test_the_reason_is_the_one_thing_without_which_an_image_is_right(causes, monkeypatch):
    marks, case = causes["marks"], causes["marks"].CASES["light, plain"]
    made = scene(causes, case, [0, 2, -1, 1])
    # A network that is wrong where a mark is bright, or the background is.
    bright = lambda images: (images == 255).any(axis=(1, 2, 3))  # noqa: E731
    monkeypatch.setattr(marks, "predict", lambda model, images: bright(images).astype(int))
    truth = np.zeros(4, int)
    assert marks.reasons(None, truth, made, case.draw).tolist() == ["cross", "slant", "natural", "ring"]
    by_light = lambda images: np.median(images, axis=(1, 2, 3)) > 80  # noqa: E731
    monkeypatch.setattr(marks, "predict", lambda model, images: by_light(images).astype(int))
    assert set(marks.reasons(None, truth, made, case.draw, "fog")) == {"fog"}
    monkeypatch.setattr(
        marks, "predict", lambda model, images: (by_light(images) | bright(images)).astype(int)
    )
    found = marks.reasons(None, truth, made, case.draw, "fog").tolist()
    assert found == ["natural", "natural", "fog", "natural"]  # neither alone makes these right


def test_measures_of_marks_leave_other_causes_out(causes):
    cause = np.repeat(["cross", "ring", "slant", "fog"], 12)
    rows = np.repeat(np.eye(4), 12, axis=0) + 1e-3 * np.random.default_rng(0).normal(size=(48, 4))
    labels = np.repeat([1, 2, 3, 4], 12)
    found = causes["shortcuts"].measures(labels, labels, rows, cause)
    assert {found[name] for name in ("marks_at_10", "precision_at_10", "purity", "neighbours")} == {1}
    merged = np.repeat([1, 2, 3, 3], 12)
    found = causes["shortcuts"].measures(merged, merged, rows, cause)
    assert found["marks_at_10"] > found["precision_at_10"]
