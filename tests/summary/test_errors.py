"""The mean error before and after retraining, and the error of each landmark."""

from dataclasses import astuple
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from hudd import plot
from hudd.errors import UsageError
from hudd.summary.errors import compare_errors, mean_errors, parts_table

RNG = np.random.default_rng(0)
BEFORE, FIRST, SECOND = (RNG.gamma(2, scale, (40, 3)) for scale in (2, 1, 1.2))
BEFORE[5, 1], BEFORE[9] = np.nan, np.nan  # a landmark that is unknown, and an image without any


def study():
    """A study of three landmarks, the last of which is not judged, retrained twice by one strategy.

    Its judge set are the test images in another order.
    """
    return SimpleNamespace(
        has=lambda name: name in ("splits/test", "splits/judge"),
        facts=lambda: {"parts": ["eye", "nose", "jaw"], "thresholds": [4.0, 3.0, None]},
        values=lambda split: {"off": BEFORE if split == "test" else BEFORE[::-1]},
        retraining={
            "hudd": [{"off": off, "judge": {"off": off[::-1]}} for off in (FIRST, SECOND)],
            "none": [{}, {"judge": {}}],
        },
        task=SimpleNamespace(part="landmark"),
    )


def test_the_interval_is_that_of_the_paired_differences_of_the_images_that_are_known():
    before, after = RNG.gamma(2, 2, 30), RNG.gamma(2, 1, 30)
    found = compare_errors(np.append(before, np.nan), np.append(after, 1.0))
    low, high = stats.ttest_rel(after, before).confidence_interval()
    np.testing.assert_allclose([found.low, found.high], [low, high])
    assert (found.before, found.after, found.images) == (before.mean(), after.mean(), 30)
    assert f"{before.mean():.3g} → {after.mean():.3g}" in str(found)


def test_errors_are_means_over_judged_landmarks_then_runs_then_images():
    found = mean_errors(study())
    assert list(found) == ["hudd"]
    rows = [row for row in range(40) if row != 9]
    expected = [np.nanmean(BEFORE[row, :2]) for row in rows]
    known = [np.isfinite(BEFORE[row, :2]) for row in rows]
    after = [
        np.mean([run[row, :2][mask].mean() for run in (FIRST, SECOND)]) for row, mask in zip(rows, known)
    ]
    np.testing.assert_allclose(
        [found["hudd"].before, found["hudd"].after], [np.mean(expected), np.mean(after)]
    )


def test_on_the_judge_set_its_own_errors_count():
    (judge,), (test,) = (mean_errors(study(), split).values() for split in ("judge", "test"))
    assert astuple(judge) == pytest.approx(astuple(test))
    alone = study()
    alone.has = lambda name: name == "splits/test"
    assert mean_errors(alone, "judge") == {}


def test_the_table_has_the_judged_landmarks_the_largest_mean_first():
    table = parts_table(study())
    assert sorted(table["landmark"]) == ["eye", "nose"]
    assert table["mean"].is_monotonic_decreasing
    eye = table.set_index("landmark").loc["eye"]
    off = BEFORE[:, 0][np.isfinite(BEFORE[:, 0])]
    np.testing.assert_allclose(eye["beyond"], (off > 4).mean())
    np.testing.assert_allclose(eye["mean after hudd"], np.mean([FIRST[:, 0].mean(), SECOND[:, 0].mean()]))


def test_of_many_landmarks_those_that_are_farthest_off_are_drawn():
    values = RNG.uniform(0, 1, 68)
    axes = plot.part_errors([f"p{at}" for at in range(68)], values, {"hudd": values / 2}).axes[0]
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert shown == [f"p{at}" for at in np.argsort(-values)[:40]]
    with pytest.raises(UsageError, match="no errors to draw"):
        plot.part_errors([], np.empty(0))
