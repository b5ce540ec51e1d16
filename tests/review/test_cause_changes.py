"""What became of causes: every status by cases that a person would decide, and how often chance alone is confirmed."""

from types import SimpleNamespace

import numpy as np
import pytest

from hudd.review.cause_changes import STATUSES, Outcome, Side, cause_changes


def cause(number):
    """A cause: nothing but its number counts."""
    return SimpleNamespace(number=number, name=f"cause {number}", rule="")


def side(of_image, regions=None):
    of_image = np.asarray(of_image)
    return Side({n: cause(n) for n in np.unique(of_image[of_image > 0]).tolist()}, of_image, regions or {})


def images(**blocks):
    """Blocks of images, each `count * (failed before, failed after)`, and where each block is."""
    before, after, where, at = [], [], {}, 0
    for name, outcomes in blocks.items():
        count = sum(times for times, *_ in outcomes)
        where[name] = np.zeros(0, bool)
        for times, one, other in outcomes:
            before += [bool(one)] * times
            after += [bool(other)] * times
        where[name] = (at, at + count)
        at += count
    masks = {name: (np.arange(at) >= low) & (np.arange(at) < high) for name, (low, high) in where.items()}
    return np.array(before), np.array(after), masks


REST = [(300, 0, 0), (6, 1, 1)]
DARK = {
    "gone": ([(40, 1, 0), (10, 0, 0)], True, False),
    "better": ([(30, 1, 0), (15, 1, 1), (5, 0, 0)], True, True),
    "kept": ([(3, 1, 0), (30, 1, 1), (4, 0, 1), (13, 0, 0)], True, True),
    "worse": ([(15, 1, 1), (30, 0, 1), (5, 0, 0)], True, True),
    "new": ([(40, 0, 1), (10, 0, 0)], False, True),
}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("ruled", [True, False])
def test_statuses(status, ruled):
    outcomes, there_before, there_after = DARK[status]
    before, after, where = images(dark=outcomes, rest=REST)
    regions = {1: where["dark"].astype(np.int8)} if ruled else {}
    sides = [
        side(np.where(where["dark"] & failed & there, 1, 0), regions if there else {})
        for failed, there in ((before, there_before), (after, there_after))
    ]
    (found,) = cause_changes(*sides, (before, after))
    assert found.status == status
    paired = there_before and there_after
    assert found.confirmed == (status == "kept" or ruled or paired)
    if ruled:
        assert found.on == ("before" if there_before else "after")
    else:
        assert found.on == ("errors" if paired else "")
    assert (found.before is not None, found.after is not None) == (there_before, there_after)
    assert found.told == status + ("" if found.confirmed else "?")


def test_a_cause_whose_errors_all_stay_in_another_one_is_not_gone():
    before, after, where = images(a=[(6, 1, 1)], b=[(20, 1, 1)], rest=[(300, 0, 0)])
    found = cause_changes(
        side(np.where(where["a"], 1, np.where(where["b"], 2, 0))),
        side((where["a"] | where["b"]).astype(int)),
        (before, after),
    )
    assert [(one.status, one.errors_before, one.errors_after) for one in found] == [
        ("kept", 20, 26),
        ("kept", 6, 6),
    ]


def test_a_cause_that_no_longer_forms_is_not_gone_where_its_images_still_fail_more_often():
    before, after, where = images(dark=[(30, 1, 0), (20, 1, 1)], rest=REST)
    (found,) = cause_changes(
        side(where["dark"].astype(int), {1: where["dark"].astype(np.int8)}),
        side(np.zeros(len(before), int)),
        (before, after),
    )
    assert (found.status, found.confirmed, found.lasting) == ("better", True, True)
    assert (found.errors_before, found.errors_after, found.common) == (50, 20, 20)


def test_images_that_no_region_was_told_of_are_not_counted():
    before, after, where = images(dark=[(20, 1, 0)], rest=REST)
    told = np.where(np.arange(len(before)) % 2, -1, where["dark"]).astype(np.int8)
    (found,) = cause_changes(
        side(where["dark"].astype(int), {1: told}), side(np.zeros(len(before), int)), (before, after)
    )
    assert (found.region_before.change.images, found.region_before.before, found.region_before.after) == (
        10,
        10,
        0,
    )


def test_p_values_are_adjusted_over_all_that_is_tested():
    before, after, where = images(a=[(7, 1, 0), (3, 0, 0)], b=[(7, 1, 0), (3, 0, 0)], rest=REST)
    labels = np.where(where["a"], 1, np.where(where["b"], 2, 0)) * before
    regions = {1: where["a"].astype(np.int8), 2: where["b"].astype(np.int8)}
    found = cause_changes(side(labels, regions), side(np.zeros(len(before), int)), (before, after))
    assert [one.p_value for one in found] == pytest.approx([2 * 2 / 2**7] * 2)
    (alone,) = cause_changes(
        side(np.where(where["a"] & before, 1, 0), {1: regions[1]}),
        side(np.zeros(len(before), int)),
        (before, after),
    )
    assert alone.p_value == pytest.approx(2 / 2**7)


def test_regressions_are_listed_before_gains():
    blocks = {status: outcomes for status, (outcomes, *_) in DARK.items()}
    before, after, where = images(**blocks, rest=REST)
    sides = []
    for at, failed in enumerate((before, after)):
        labels, regions = np.zeros(len(before), int), {}
        for number, status in enumerate(DARK, start=1):
            if DARK[status][1 + at]:
                labels[where[status] & failed], regions[number] = number, where[status].astype(np.int8)
        sides.append(side(labels, regions))
    assert [one.status for one in cause_changes(*sides, (before, after))] == list(STATUSES)


def test_two_dnns_that_are_equally_good_are_hardly_ever_told_apart():
    """Both fail more often in the dark; which images these are is chance."""
    rng, confirmed = np.random.default_rng(3), 0
    for _ in range(200):
        dark = rng.random(800) < 0.2
        failed = [rng.random(800) < np.where(dark, 0.5, 0.05) for _ in range(2)]
        sides = [side((dark & one).astype(int), {1: dark.astype(np.int8)}) for one in failed]
        confirmed += any(one.status != "kept" for one in cause_changes(*sides, tuple(failed)))
    assert confirmed <= 16  # 5 % of 200 and two standard deviations


def test_an_outcome_counts_what_changed():
    found = Outcome.of(np.array([1, 1, 1, 0, 0], bool), np.array([0, 1, 0, 1, 0], bool))
    assert (found.change.fixed, found.change.regressed, found.both) == (2, 1, 1)
    assert (found.before, found.after, found.told()) == (3, 2, "3→2/5")
    assert (found.share_before, found.share_after) == (0.6, 0.4)
    nothing = Outcome.of(np.zeros(0, bool), np.zeros(0, bool)).to_dict()
    assert (nothing["rate_before"], nothing["difference"], nothing["p_value"]) == (None, None, 1)
