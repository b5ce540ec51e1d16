"""Of every predicted class, the images that are least doubtful are trusted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hudd.errors import UsageError
from hudd.selection import select_trusted

doubts = arrays.arrays(np.float64, st.integers(0, 40), elements=st.floats(0, 3) | st.just(np.inf))


def by_hand(doubt, prediction, share):
    chosen = []
    for label in sorted(set(prediction.tolist())):
        rows = [row for row in range(len(doubt)) if prediction[row] == label]
        rows.sort(key=lambda row: (doubt[row], row))
        chosen += rows[: round(share * len(rows))]
    return sorted(chosen)


@given(doubts, st.floats(0, 1), st.integers(0, 2**31))
def test_each_class_has_its_share_least_doubtful_first(doubt, share, seed):
    prediction = np.random.default_rng(seed).integers(0, 4, len(doubt))
    found = select_trusted(doubt, prediction, share)
    assert found.dtype == np.int64
    assert found.tolist() == by_hand(doubt, prediction, share)


@given(doubts, st.floats(0, 1))
def test_the_scale_of_the_doubt_does_not_matter(doubt, share):
    prediction = np.arange(len(doubt)) % 3
    assert (
        select_trusted(doubt, prediction, share).tolist()
        == select_trusted(4 * doubt, prediction, share).tolist()
    )


@pytest.mark.parametrize(
    ("doubt", "prediction", "share", "told"),
    [
        ([1.0, 2.0], [0], 0.5, "one of each an image"),
        ([1.0], [0], 1.5, "from 0 to 1, not 1.5"),
        ([1.0, np.nan], [0, 0], 0.5, "doubt about image 1 is not a number"),
    ],
)
def test_refusals(doubt, prediction, share, told):
    with pytest.raises(UsageError, match=told):
        select_trusted(np.array(doubt), np.array(prediction), share)
