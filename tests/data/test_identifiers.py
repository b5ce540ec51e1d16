import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.data.arrays import ArraySource
from hudd.data.identifiers import Identifiers

names = st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=12)


@given(names, st.data())
def test_they_are_a_sequence_of_text(texts, data):
    found = Identifiers.of(texts)
    assert len(found) == len(texts)
    assert list(found) == texts
    assert found == texts
    assert [found[row] for row in range(len(texts))] == texts
    assert [found[row] for row in range(-len(texts), 0)] == texts
    assert list(found[1:5]) == texts[1:5]
    assert found.is_utf8()
    rows = data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=9)) if texts else []
    assert list(found.take(np.array(rows, np.int64))) == [texts[row] for row in rows]
    with pytest.raises(IndexError):
        found[len(texts)]


@given(st.lists(names, min_size=1, max_size=4))
def test_joined(parts):
    found = Identifiers.joined([Identifiers.of(part) for part in parts])
    assert list(found) == [text for part in parts for text in part]
    assert found == Identifiers.of(list(found))


def test_bytes_that_are_no_utf8_stay():
    found = Identifiers.of(["a", b"\xff\xfe".decode("utf-8", "surrogateescape")])
    assert found[1].encode("utf-8", "surrogateescape") == b"\xff\xfe"
    assert not found.is_utf8()


def test_the_fingerprint_does_not_depend_on_how_many_are_hashed_at_once(monkeypatch):
    pixels = np.zeros((5, 2, 2), np.uint8)
    names = ["a", "bé", "", "d/ü.png", "e"]
    hashed = hashlib.sha256("a\0bé\0\0d/ü.png\0e\1x\1".encode() + np.zeros(5, np.int64).tobytes())
    for block in ArraySource(pixels, names, [0] * 5, ["x"]).contents():
        hashed.update(block)
    for size in (1, 2, 4):
        monkeypatch.setattr("hudd.data.base._SLICE", size)
        source = ArraySource(pixels, names, [0] * 5, ["x"])
        assert source.fingerprint() == hashed.hexdigest()
        source.paths = Identifiers.of(names)
        assert source.fingerprint() == hashed.hexdigest()
    assert [*Identifiers.of(names).encoded()] == [name.encode() for name in names]
