"""Which images of a large set are measured."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.attributes import sample
from hudd.data.identifiers import Identifiers


@given(st.integers(1, 60), st.integers(0, 50), st.integers(0, 30), st.integers(0, 2**32 - 1))
def test_the_choice_is_of_the_images_whatever_their_order(count, drawn, most, seed):
    rng = np.random.default_rng(seed)
    paths = [f"{number}.png" for number in rng.choice(1000, count, replace=False)]
    wrong = rng.random(count) < 0.4
    order = rng.permutation(count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "DRAWN", drawn)
        patch.setattr(sample, "ERRORS", most)
        chosen = sample.choose(Identifiers.encode(paths), np.flatnonzero(wrong))
        shuffled = Identifiers.of(paths[at] for at in order)
        again = sample.choose(shuffled.encoded(), np.flatnonzero(wrong[order]))
    np.testing.assert_array_equal(again, chosen[order])
    assert (chosen == sample.AS_DRAWN).sum() == min(drawn, count)
    assert wrong[chosen == sample.AS_ERROR].all()
    errors = (chosen[wrong] > 0).sum()
    assert errors >= min(most, wrong.sum())
    assert (chosen == sample.AS_ERROR).sum() <= most


def test_errors_are_drawn_at_the_rate_at_which_they_occur():
    paths = [f"{number:06d}.png" for number in range(100_000)]
    errors = np.flatnonzero(np.arange(100_000) % 20 == 0)
    chosen = sample.choose(Identifiers.encode(paths), errors)
    drawn = chosen == sample.AS_DRAWN
    assert drawn[errors].sum() / drawn.sum() == pytest.approx(0.05, abs=0.005)
    assert (chosen[errors] > 0).all()
