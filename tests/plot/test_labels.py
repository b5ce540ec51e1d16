import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.plot.labels import apart

ROOM = (400.0, 300.0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 40), st.floats(0, 80), st.integers(0, 2**32 - 1))
def test_labels_cover_neither_each_other_nor_the_edge(count, spread, seed):
    rng = np.random.default_rng(seed)
    points = rng.normal((200, 150), spread, (count, 2))
    sizes = rng.uniform((8, 10), (20, 16), (count, 2))
    centres = apart(points, sizes, ROOM)
    low, high = centres - sizes / 2, centres + sizes / 2
    assert (low >= -1e-9).all()
    assert (high <= np.add(ROOM, 1e-9)).all()
    over = (low[:, None] < high[None]) & (low[None] < high[:, None])
    assert not np.triu(over.all(axis=2), 1).any()


def test_a_label_with_room_stays_at_its_point():
    points = np.array([[50.0, 50], [200, 100], [52, 50]])
    centres = apart(points, np.full((3, 2), 20.0), ROOM)
    np.testing.assert_array_equal(centres[:2], points[:2])
    assert 20 <= np.abs(centres[2] - points[0]).max() < 26


def test_without_room_a_label_lies_on_its_point():
    points = np.array([[5.0, 5], [6, 6]])
    np.testing.assert_array_equal(apart(points, np.full((2, 2), 10.0), (10, 10)), points)
