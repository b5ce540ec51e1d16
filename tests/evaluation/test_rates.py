"""Regions as data, and failure rates in them against SciPy's tests, their laws and chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from hudd.evaluation import (
    Bound,
    Region,
    cluster_rules,
    cross_fitted_rates,
    cross_fitted_regions,
    failure_rates,
    holm,
)

TEXTS = st.text("ab\n\"'é;", max_size=3)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
BOUNDS = st.one_of(
    st.builds(Bound, TEXTS, NUMBERS | st.just(-np.inf), NUMBERS | st.just(np.inf), st.booleans()),
    st.builds(Bound, TEXTS, outside=st.booleans(), value=TEXTS),
)


@given(st.lists(BOUNDS, max_size=3).map(lambda bounds: Region(tuple(bounds))))
def test_a_region_is_read_as_it_was_written(region):
    again = Region.from_json(region.to_json())
    table = {bound.parameter: np.array([-1e300, -1, 0, 0.5, 1e9]) for bound in region.bounds}
    np.testing.assert_array_equal(again.holds(table, 5), region.holds(table, 5))
    assert again.to_json() == region.to_json()


def test_a_region_without_a_bound_has_none_written():
    assert Region((Bound("p", high=0.5),)).to_json() == '[{"parameter": "p", "high": 0.5}]'
    text = '[{"parameter": "weather", "value": "snow", "outside": true}]'
    assert Region((Bound("weather", outside=True, value="snow"),)).to_json() == text


@pytest.mark.parametrize(("outside", "fits"), [(False, [0, 1, 1, 0, 0, 0]), (True, [1, 0, 0, 1, 1, 0])])
def test_a_range_has_its_lower_end_and_not_its_upper_one(outside, fits):
    numbers = np.array([0.9, 1, 1.9, 2, 2.1, np.nan])
    np.testing.assert_array_equal(Bound("p", 1, 2, outside).holds(numbers), np.array(fits, bool))


@given(st.integers(0, 10_000), st.integers(3, 40))
def test_a_rule_fits_the_rows_of_its_region(seed, count):
    rng = np.random.default_rng(seed)
    table = {
        "p": rng.integers(0, 5, count),
        "q": np.where(rng.random(count) < 0.2, rng.choice([np.nan, np.inf], count), rng.random(count)),
        "t": rng.choice(["a", "b", "c"], count),
    }
    labels = rng.integers(0, 4, count)
    for rule in cluster_rules(table, labels, permutations=0):
        fits = rule.region.holds(table, count)
        member = labels == rule.cluster
        assert (fits.sum(), (fits & member).sum()) == (rule.images, rule.failures)
        assert tuple(dict.fromkeys(bound.parameter for bound in rule.region.bounds)) == rule.parameters


def test_a_parameter_that_is_not_known_fits_nowhere():
    region = Region((Bound("p", low=0), Bound("q", low=0)))
    assert not region.holds({"p": np.ones(3)}, 3).any()
    assert Region().holds({}, 2).all()


@given(st.integers(0, 10_000), st.integers(1, 60))
def test_counts_and_p_value_are_those_of_the_table(seed, count):
    rng = np.random.default_rng(seed)
    p, failed = rng.random(count), rng.random(count) < 0.3
    (found,) = failure_rates({4: Region((Bound("p", high=0.4),))}, {"p": p}, failed)
    inside = p < 0.4
    counted = (found.group, found.images, found.failures, found.images_outside, found.failures_outside)
    assert counted == (4, inside.sum(), failed[inside].sum(), (~inside).sum(), failed[~inside].sum())
    table = [
        [(inside & failed).sum(), (inside & ~failed).sum()],
        [(~inside & failed).sum(), (~inside & ~failed).sum()],
    ]
    assert found.p_value == pytest.approx(fisher_exact(table, "greater").pvalue)
    if inside.any() and failed.any():
        assert found.rate == failed[inside].mean()
        assert found.lift == pytest.approx(failed[inside].mean() / failed.mean())
        assert found.exposure == inside.mean()
        assert found.share == inside[failed].mean()
        low, high = found.interval
        assert low <= found.rate <= high


def test_without_images_there_are_no_shares():
    (found,) = failure_rates({1: Region()}, {}, np.empty(0, bool))
    assert np.isnan([found.rate, found.lift, found.exposure, found.share]).all()
    assert (found.interval, found.p_value, found.confirmed) == ((0, 1), 1, False)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_against_its_definition(p_values):
    found, ranked = holm(p_values), sorted(p_values)
    for p_value, adjusted in zip(p_values, found):
        expected = max(min(1, (len(ranked) - i) * p) for i, p in enumerate(ranked) if p <= p_value)
        assert adjusted == pytest.approx(expected)


def study(rng, effect):
    """Images of which those in the dark fail more often, and errors that are a group for being dark, or not."""
    light, noise = rng.random((2, 1500))
    failed = rng.random(1500) < np.where(light < 0.2, 0.1 + effect, 0.1)
    dark = (light < 0.2) if effect else rng.random(1500) < 0.3
    return {"light": light, "noise": noise}, failed, np.where(failed, np.where(dark, 1, 2), 0)


def rates_of(table, failed, labels, seed=0):
    def find(kept):
        rows = np.flatnonzero(kept)
        columns = {name: values[rows] for name, values in table.items()}
        rules = cluster_rules(columns, labels[rows], failed=failed[rows], permutations=199, seed=seed)
        told = [rule for rule in rules if rule.text and rule.p_value <= 0.05]
        return {rule.cluster: rule.region.holds(table, len(failed)) for rule in told}

    return cross_fitted_rates(find, failed, seed=seed)


def test_a_cause_is_confirmed_and_every_image_counted_once():
    found = {one.group: one for one in rates_of(*study(np.random.default_rng(0), 0.5))}
    assert found[1].confirmed
    assert found[1].images + found[1].images_outside == 1500
    low, high = found[1].interval
    assert low < 0.6 < high
    assert found[1].lift > 2


@pytest.mark.slow
def test_groups_by_chance_are_hardly_ever_confirmed():
    rng = np.random.default_rng(1)
    confirmed = [any(one.confirmed for one in rates_of(*study(rng, 0.0), seed=n)) for n in range(20)]
    assert sum(confirmed) <= 1


def test_the_division_is_the_seed_s():
    material = study(np.random.default_rng(2), 0.4)
    assert rates_of(*material) == rates_of(*material)


@given(st.integers(0, 10_000), st.integers(5, 60))
def test_an_image_is_told_by_a_region_that_was_found_without_it(seed, count):
    rng = np.random.default_rng(seed)
    failed, looked_at = rng.random(count) < 0.3, []

    def find(among):
        looked_at.append(among)
        fits = np.arange(count) % 3 == 0
        return (
            {2: fits} | ({1: ~fits} if len(looked_at) % 2 else {}) | ({3: fits} if len(looked_at) < 3 else {})
        )

    found = cross_fitted_regions(find, failed, seed=seed)
    assert list(found) == [1, 2]  # the third has a region in two of the five parts only
    aside = ~np.array(looked_at)
    assert (aside.sum(axis=0) == 1).all()
    np.testing.assert_array_equal(found[2], np.arange(count) % 3 == 0)
    without = aside[1::2].any(axis=0)
    np.testing.assert_array_equal(found[1] == -1, without)
    np.testing.assert_array_equal(found[1][~without], (np.arange(count) % 3 > 0)[~without])


def test_images_that_are_not_counted_lie_nowhere():
    rng = np.random.default_rng(1)
    failed, region, counted = (rng.random(300) < share for share in (0.3, 0.4, 0.5))
    found = cross_fitted_regions(lambda among: {1: region}, failed, counted=counted)[1]
    np.testing.assert_array_equal(found, np.where(counted, region, -1))
    (rate,) = cross_fitted_rates(lambda among: {1: region}, failed, counted=counted)
    assert (rate.images, rate.failures) == ((region & counted).sum(), (region & counted & failed).sum())
    assert rate.images + rate.images_outside == counted.sum()
