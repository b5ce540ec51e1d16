"""The OpenODD document: openodd-py reads it and judges as we do, it comes back as regions, and cells count alike."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hudd.errors import HuddError, UsageError
from hudd.evaluation import Bound, Region
from hudd.export import export_one, read_openodd
from hudd.export.openodd_document import GROUP, binding, document
from hudd.summary.coverage import MISSING, Axis, axes_of, coverage

PARAMETERS = ("light", "a.b c", "AND", "é: #", "tab\tname")
TEXTS = ("fog", "unknown", "1.5", "true", " a\nb", "\u2028", "😀", "[0 .. 1]")
_NUMBERS = st.floats(-1e6, 1e6) | st.sampled_from([0.0, 0.1, 1e-7, -20.0, 0.1 + 0.2])


@st.composite
def _bounds(draw: st.DrawFn, parameter: str) -> Bound:
    if parameter in PARAMETERS[:2]:
        value = draw(st.sampled_from(TEXTS))
        return Bound(parameter, outside=draw(st.booleans()), value=value)
    low, high = sorted(draw(st.lists(_NUMBERS, min_size=2, max_size=2, unique=True)))
    kind = draw(st.sampled_from(["below", "from", "between", "outside"]))
    if kind == "below":
        return Bound(parameter, high=high)
    if kind == "from":
        return Bound(parameter, low=low)
    return Bound(parameter, low, high, outside=kind == "outside")


@st.composite
def _regions(draw: st.DrawFn) -> Region:
    names = draw(st.lists(st.sampled_from(PARAMETERS), min_size=1, max_size=3, unique=True))
    return Region(tuple(draw(_bounds(name)) for name in names))


def _columns(regions: list[Region], seed: int, count: int = 25) -> dict[str, np.ndarray]:
    """Values around the bounds and on them, some not known; texts."""
    rng, found = np.random.default_rng(seed), {}
    for name in PARAMETERS:
        if name in PARAMETERS[:2]:
            found[name] = rng.choice(np.array(TEXTS[:4], object), count)
        else:
            bounds = [bound for region in regions for bound in region.bounds if bound.parameter == name]
            ends = [end for bound in bounds for end in (bound.low, bound.high) if math.isfinite(end)] or [0.0]
            near = [
                value for end in ends for value in (end, math.nextafter(end, -math.inf), end - 1, end + 1)
            ]
            found[name] = rng.choice([*near, math.nan], count)
    return found


def _row(columns: dict[str, np.ndarray], axes: list[Axis], at: int) -> dict[str, Any]:
    """The values of an image as openodd-py takes them."""
    row = {f"{GROUP}.{axis.name}": columns[axis.name][at] for axis in axes}
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()
    }


@pytest.fixture(scope="session")
def openodd(peer):
    return peer("openodd")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(regions=st.lists(_regions(), min_size=1, max_size=3), seed=st.integers(0, 99))
def test_openodd_judges_and_counts_as_we_do(
    openodd, tmp_path: Path, regions: list[Region], seed: int
) -> None:
    columns = _columns(regions, seed)
    axes = axes_of(regions, [columns])
    modules = {f"TC-{number}": region for number, region in enumerate(regions)}
    (tmp_path / "odd.yaml").write_text(
        document(axes, modules, {"TC-0": 'a "b" \\ é'}, list(modules)), "utf-8"
    )
    (tmp_path / "odd.binding.yaml").write_text(binding(axes, "name"), "utf-8")
    odd = openodd.load_odd_binding(tmp_path / "odd.binding.yaml")
    count = len(columns["light"])
    holds = {name: region.holds(columns, count) for name, region in modules.items()}
    verdicts = [odd.evaluate(_row(columns, axes, at)) for at in range(count)]
    for name, own in holds.items():
        assert [verdict.modules[name] is True for verdict in verdicts] == own.tolist()
    assert odd.roots == ["ODD"]

    back = read_openodd(tmp_path / "odd.yaml", list(modules))
    assert {name: set(region.bounds) for name, region in back.items()} == {
        name: set(region.bounds) for name, region in modules.items()
    }

    failed = np.arange(count) % 3 == 0
    cells, failing = openodd.OddCells(odd), openodd.OddCells(odd)
    for at in range(count):
        for one in (cells, failing) if failed[at] else (cells,):
            one.add(_row(columns, axes, at))
    _check_equal(openodd, odd, axes, coverage(axes, columns, np.ones(count, bool), failed), cells, failing)


def _check_equal(openodd, odd, axes: list[Axis], ours: list[dict[str, Any]], cells, failing) -> None:
    """Compare our table of cells with that of openodd-py, whose buckets have other names in the same order."""
    items = {attribute.name: attribute.item for attribute in odd.attributes}
    names = []
    for axis in axes:
        labels = items[f"{GROUP}.{axis.name}"].labels
        assert len(labels) == len(axis.buckets)
        names.append({**dict(zip(axis.buckets, labels)), MISSING: openodd.MISSING})
    theirs = {tuple(row[0]): row[1] for row in cells.to_dict()["rows"]}
    failures = Counter({tuple(row[0]): row[1] for row in failing.to_dict()["rows"]})
    order = [cells.attributes.index(f"{GROUP}.{axis.name}") for axis in axes]
    seen = {}
    for row in ours:
        labels = [own[bucket] for own, bucket in zip(names, row["cell"])]
        key = tuple(labels[order.index(at)] for at in range(len(labels)))
        seen[key] = row["images"]
        assert row["failures"] == failures[key]
        low, high = openodd.wilson_interval(row["failures"], row["images"])
        assert (row["low"], row["high"]) == pytest.approx((low, high), abs=1e-12)
    assert seen == theirs


def test_a_bound_at_the_largest_number_has_a_bucket_of_its_own() -> None:
    (axis,) = axes_of([Region((Bound("x", low=1.0),))], [{"x": np.array([0.0, 1.0])}])
    assert axis.places(np.array([0.0, 1.0, math.nan])).tolist() == [0, 1, 2]
    assert len(axis.buckets) == 2


MODULES = """
TAXONOMY:
  environment:
    light: float
    weather: [fog, rain, sun]
    wet: boolean
MODULES:
  dark: {INCLUDE_AND: {light: "[0.1 .. 0.2]", wet: true}}
  above: {INCLUDE_OR: {environment.light: "> 0.2"}}
  dry: {EXCLUDE_OR: {weather: [fog, rain], light: "<= 0.5"}}
  either: {INCLUDE_OR: {weather: fog, light: "< 1"}}
  not_above: {INCLUDE_AND: {above: false}}
  absent: {INCLUDE_AND: {light: unknown}}
  nested: {INCLUDE_AND: {OR: {weather: fog, wet: true}}}
"""


@pytest.fixture
def document_of_others(openodd, tmp_path: Path) -> Path:
    path = tmp_path / "other.yaml"
    path.write_text(MODULES, "utf-8")
    return path


def test_documents_of_others_are_read(document_of_others: Path) -> None:
    found = read_openodd(document_of_others)
    up = {value: math.nextafter(value, math.inf) for value in (0.2, 0.5, 1.0)}
    assert found == {
        "dark": Region((Bound("light", 0.1, up[0.2]), Bound("wet", 1.0, up[1.0]))),
        "above": Region((Bound("light", low=up[0.2]),)),
        "dry": Region(
            (
                Bound("light", low=up[0.5]),
                Bound("weather", outside=True, value="fog"),
                Bound("weather", outside=True, value="rain"),
            )
        ),
        "not_above": Region((Bound("light", high=up[0.2]),)),
    }


@pytest.mark.parametrize(
    ("name", "part"),
    [("either", "several"), ("absent", "unknown"), ("nested", "nests"), ("none", "known are: dark")],
)
def test_what_is_no_region_is_refused_where_it_is_asked_for(
    document_of_others: Path, name: str, part: str
) -> None:
    with pytest.raises(UsageError, match=part):
        read_openodd(document_of_others, [name])


@pytest.mark.parametrize(
    "text", ["", "[]", "TAXONOMY: 3", "MODULES:", "MODULES: 3", "MODULES: {a: {INCLUDE_AND: {x: 1}}}", "a: b"]
)
def test_what_is_no_document_is_refused(openodd, tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.yaml").write_text(text, "utf-8")
    with pytest.raises(UsageError, match=r"odd\.yaml"):
        read_openodd(tmp_path / "odd.yaml")


def test_a_study_without_rules_is_refused(make_study, tmp_path: Path) -> None:
    with pytest.raises(HuddError, match="no cause with a rule"):
        export_one(make_study(), tmp_path / "out", "openodd")
