"""Images that two sets share: by name, by pixels, and never by a name that another image has."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hudd.data.pairing import pair_images


def pixels(*hashes):
    return np.array([(one, one + 7) for one in hashes], np.uint64).reshape(-1, 2)


SETS = st.dictionaries(st.text("abcd", min_size=1, max_size=2), st.integers(0, 3), max_size=8)


@given(SETS, SETS)
def test_pairs_have_the_same_pixels_and_as_many_the_same_name_as_can(one, other):
    found = pair_images(list(one), list(other), pixels(*one.values()), pixels(*other.values()))
    paths, others = [list(names) for names in (one, other)]
    pairs = list(zip(found.rows.tolist(), found.other_rows.tolist()))
    assert found.checked
    assert pairs == sorted(pairs)
    assert len({b for _, b in pairs}) == len(pairs)
    assert all(one[paths[a]] == other[others[b]] for a, b in pairs)
    named = {name for name in one if one[name] == other.get(name)}
    assert {paths[a] for a, b in pairs if paths[a] == others[b]} == named
    assert found.by_name == len(named)
    left = [
        sorted(set(range(len(own))) - set(rows))
        for own, rows in zip((one, other), zip(*pairs) if pairs else ((), ()))
    ]
    assert not {one[paths[row]] for row in left[0]} & {other[others[row]] for row in left[1]}


@given(SETS, SETS)
def test_without_pixels_only_names_count(one, other):
    found = pair_images(list(one), list(other), None, pixels(*other.values()))
    assert not found.checked
    assert [list(one)[row] for row in found.rows] == [name for name in one if name in other]
    assert [list(other)[row] for row in found.other_rows] == [name for name in one if name in other]
    assert found.by_name == len(found.rows)


def test_an_image_that_was_renamed_is_found_and_one_that_was_replaced_is_not():
    found = pair_images(["a", "b", "c"], ["c", "b", "z"], pixels(1, 2, 3), pixels(3, 9, 1))
    assert (found.rows.tolist(), found.other_rows.tolist(), found.by_name) == ([0, 2], [2, 0], 1)


def test_copies_are_paired_one_by_one():
    found = pair_images(["a", "b", "c"], ["x", "y"], pixels(5, 5, 5), pixels(5, 5))
    assert (found.rows.tolist(), found.other_rows.tolist()) == ([0, 1], [0, 1])
