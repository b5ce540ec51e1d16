"""Sets divided in two: shares of classes, groups kept together, images that look alike."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.data import open_source
from hudd.data.prints import Prints, prints_of
from hudd.data.split import groups_alike, groups_of, split_rows
from hudd.data.subset import Subset
from hudd.errors import UsageError


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 5), st.floats(0.1, 0.9), st.integers(0, 99))
def test_single_images_are_shared_out_class_by_class(count, classes, share, seed):
    labels = np.random.default_rng(seed).integers(classes, size=count)
    chosen = split_rows(labels, np.arange(count), share, seed=seed)
    for label in np.unique(labels):
        assert abs(chosen[labels == label].sum() - share * (labels == label).sum()) <= 1
    np.testing.assert_array_equal(chosen, split_rows(labels, np.arange(count), share, seed=seed))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 80), st.integers(1, 12), st.floats(0.2, 0.8), st.integers(0, 99))
def test_groups_stay_together(count, groups, share, seed):
    rng = np.random.default_rng(seed)
    labels, group = rng.integers(3, size=count), rng.integers(groups, size=count)
    chosen = split_rows(labels, group, share, seed=seed)
    for number in np.unique(group):
        assert len(set(chosen[group == number].tolist())) == 1


def test_drivers_of_one_class_each_are_divided_too():
    driver = np.repeat(np.arange(20), 10)
    chosen = split_rows(driver, driver, 0.5, seed=0)
    assert 0.3 <= chosen.mean() <= 0.7
    assert len({tuple(split_rows(driver % 4, driver, 0.5, seed=seed).tolist()) for seed in range(5)}) > 1


def pictures():
    rng = np.random.default_rng(0)
    base = np.kron(rng.integers(0, 255, (4, 8, 9)), np.ones((4, 4))).astype(np.uint8)
    brighter = (base[0].astype(int) + 2).clip(0, 255).astype(np.uint8)
    flat = np.full((32, 36), 99, np.uint8)
    return [base[0], base[1], brighter, base[2], flat, flat + 1, flat.copy(), base[3]]


def test_copies_and_images_that_look_alike_are_one_group():
    found = groups_alike(prints_of(pictures()))
    together = [[bool(a == b) for b in found] for a in found]
    expected = np.eye(8, dtype=bool)
    for a, b in ((0, 2), (4, 6)):  # flat images only where they are copies
        expected[a, b] = expected[b, a] = True
    np.testing.assert_array_equal(together, expected)


def test_alike_through_others():
    rising = np.tile(np.arange(9, dtype=np.uint8) * 10, (8, 1))
    thumbnails = np.stack([rising, rising + 3, rising + 6])  # the first and the last differ by more than 4
    pixels = np.arange(6, dtype=np.uint64).reshape(3, 2)
    assert len(set(groups_alike(Prints(pixels, thumbnails)).tolist())) == 1
    assert len(set(groups_alike(Prints(pixels[:2], thumbnails[[0, 2]])).tolist())) == 2


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 6), st.integers(0, 9), st.integers(0, 999))
def test_groups_are_the_same_however_many_pairs_are_held(count, kinds, links, seed):
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 250, (kinds, 8, 9)).astype(np.uint8)
    thumbnails = base[rng.integers(0, kinds, count)] + rng.integers(0, 5, (count, 1, 1)).astype(np.uint8)
    prints = Prints(rng.integers(0, 9, (count, 2)).astype(np.uint64), thumbnails)
    wanted = groups_alike(prints)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hudd.data.split._LINKS", links)
        np.testing.assert_array_equal(groups_alike(prints), wanted)


def source(tmp_path, **columns):
    images = np.stack(pictures())
    np.savez(
        tmp_path / "a.npz",
        images=images,
        labels=np.arange(8) % 2,
        class_names=np.array(["a", "b"]),
        **columns,
    )
    return open_source(tmp_path / "a.npz")


def test_groups_of_a_column_and_of_looks(tmp_path):
    found = source(
        tmp_path, track=np.array(["x", "y", "x", "", "", "z", "z", "y"]), drive=np.array([1.0] * 7 + [np.nan])
    )
    track = groups_of(found, "track")
    assert [len(set(track[rows].tolist())) for rows in ([0, 2], [1, 7], [5, 6], [3, 4], [0, 1, 3, 4, 5])] == [
        1,
        1,
        1,
        2,
        5,
    ]
    assert len(set(groups_of(found, "drive").tolist())) == 2
    looks = groups_of(found, None, workers=0)
    assert looks[0] == looks[2] != looks[1]
    with pytest.raises(
        UsageError, match="judge_groups is 'lane', which is no column of the test set; its columns are: "
    ):
        groups_of(found, "lane")


def test_a_subset_reads_through_its_source(tmp_path):
    whole = source(tmp_path, track=np.arange(8))
    part = Subset(whole, np.array([5, 0, 7]))
    assert part.paths == [whole.paths[row] for row in (5, 0, 7)]
    assert part.labels.tolist() == [1, 0, 1]
    assert part.parameters["track"].tolist() == [5, 0, 7]
    np.testing.assert_array_equal(part.load([2, 0]), whole.load([7, 5]))
    np.testing.assert_array_equal(part.pixels(1), whole.pixels(0))
    assert part.file(0) == whole.file(5)
    part.check()
    marks = {part.fingerprint(), Subset(whole, np.array([0, 5, 7])).fingerprint(), whole.fingerprint()}
    assert len(marks) == 3
    other = SimpleNamespace(calls=0)

    def dark(pixels):
        other.calls += 1
        return whole.transform(pixels) * 0

    part.transform = dark
    assert not part.load([0, 1]).any()
    assert other.calls == 2
